"""Simulate a cluster: jobs arrive on schedule, nodes start, run them in turn, idle and stop.

Prices play no part. Times are seconds; 0 is the first scheduled time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from batch_scoring.tables.arrays import Float, Int

Seconds: TypeAlias = Float
_FOREVER = float("inf")


@dataclass(frozen=True)
class Timing:
    """Timing of nodes and autoscaling, in seconds.

    Attributes
    ----------
    node_start : float
        From the decision to start a node until it takes jobs: allocation, boot, start task, image pull.
    node_stop : float
        From the decision to stop a node until it is no longer charged.
    autoscale_interval : float
        Between two autoscale evaluations; above 0.
    autoscale_offset : float
        Time of the first evaluation; the scheduled times are 0, ``every``, …
    idle_before_stop : float
        A node is stopped at the first evaluation at which it has been idle for this time.
    """

    node_start: float
    node_stop: float
    autoscale_interval: float
    autoscale_offset: float = 0.0
    idle_before_stop: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """Limits on the number of nodes, and the number of jobs at once on each.

    ``min_nodes`` always run; with ``min_nodes == max_nodes`` nothing is scaled. Stopping nodes count among
    ``max_nodes``.
    """

    tasks_per_node: int
    min_nodes: int
    max_nodes: int

    @property
    def is_fixed(self) -> bool:
        """Whether no node ever starts or stops."""
        return self.min_nodes == self.max_nodes


@dataclass(frozen=True)
class Simulation:
    """Course of a simulation.

    Attributes
    ----------
    scheduled : array of shape (runs,), float64
        When each run's jobs arrived.
    job_run, job_node : array of shape (runs * jobs,), int64
        Run and node of each job, in the order of the starts.
    job : array of shape (runs * jobs,), int64
        Position of each job among its run's jobs.
    job_start, job_end : array of shape (runs * jobs,), float64
    node_from, node_to : array of shape (nodes,), float64
        Start and end of each node's paid time; the end is infinite for nodes that stay.
    """

    scheduled: Seconds
    job_run: Int
    job: Int
    job_node: Int
    job_start: Seconds
    job_end: Seconds
    node_from: Seconds
    node_to: Seconds

    @property
    def makespans(self) -> Seconds:
        """Seconds from each run's scheduled time to the end of its last job."""
        last = self.scheduled.copy()
        np.maximum.at(last, self.job_run, self.job_end)
        return last - self.scheduled

    def paid_nodes(self, times: Seconds) -> Int:
        """Count the nodes paid for at these times."""
        return _at_once(self.node_from, self.node_to, times)

    def running_jobs(self, times: Seconds) -> Int:
        """Count the jobs that run at these times."""
        return _at_once(self.job_start, self.job_end, times)


def simulate(
    durations: Sequence[float], every: float, runs: int, cluster: Cluster, timing: Timing
) -> Simulation:
    """Simulate the same jobs at ``runs`` scheduled times, until all have ended and all extra nodes are gone.

    Jobs start in the order of arrival, on the oldest node with a free slot.

    Parameters
    ----------
    durations : sequence of float
        Seconds of each job of a run, in the order of its jobs.
    every : float
        Seconds between two scheduled times.
    runs : int
    cluster : Cluster
    timing : Timing
    """
    world = _World(durations, every, runs, cluster, timing)
    world.run()
    placed = np.array(world.placed, dtype=np.float64).reshape(-1, 5)
    nodes = np.array([[node.paid_from, node.paid_to] for node in world.nodes], dtype=np.float64)
    nodes = nodes.reshape(-1, 2)
    run, job, node = placed[:, :3].astype(np.int64).T
    scheduled = np.arange(runs, dtype=np.float64) * every
    return Simulation(scheduled, run, job, node, placed[:, 3], placed[:, 4], nodes[:, 0], nodes[:, 1])


class _What(IntEnum):
    """Events; simultaneous ones are handled in this order."""

    JOB_ENDED = 0
    NODE_READY = 1
    NODE_GONE = 2
    JOBS_CAME = 3
    LOOK = 4


@dataclass
class _Node:
    paid_from: float
    is_ready: bool
    paid_to: float = _FOREVER
    running: int = 0
    idle_since: float = 0.0
    is_stopping: bool = False


@dataclass
class _World:
    """The state of a simulation."""

    durations: Sequence[float]
    every: float
    runs: int
    cluster: Cluster
    timing: Timing
    nodes: list[_Node] = field(default_factory=list)
    placed: list[tuple[float, ...]] = field(default_factory=list)
    events: list[tuple[float, int, int]] = field(default_factory=list)
    queue: deque[tuple[int, int]] = field(default_factory=deque)
    room: list[int] = field(default_factory=list)  # a heap: the node's number once for each free place
    running: int = 0
    to_come: int = 0
    alive: int = 0  # starting or ready
    stopping: int = 0

    def run(self) -> None:
        """Handle events until none is left."""
        self.to_come = self.runs
        for _ in range(self.cluster.min_nodes):
            self._have_node(0.0, is_ready=True)
        self.events += [(run * self.every, _What.JOBS_CAME, run) for run in range(self.runs)]
        if not self.cluster.is_fixed:
            self.events.append((self.timing.autoscale_offset, _What.LOOK, 0))
        heapq.heapify(self.events)
        while self.events:
            now, what, which = heapq.heappop(self.events)
            if what == _What.JOB_ENDED:
                self._end_job(now, which)
            elif what == _What.NODE_READY:
                self._make_ready(now, which)
            elif what == _What.NODE_GONE:
                self.stopping -= 1
            elif what == _What.JOBS_CAME:
                self.to_come -= 1
                self.queue.extend((which, job) for job in range(len(self.durations)))
            else:
                self._look(now, which)
            self._start_jobs(now)

    def _have_node(self, now: float, is_ready: bool = False) -> None:
        number = len(self.nodes)
        self.nodes.append(_Node(now, is_ready, idle_since=now))
        self.alive += 1
        if is_ready:
            self._make_ready(now, number)
        else:
            heapq.heappush(self.events, (now + self.timing.node_start, _What.NODE_READY, number))

    def _make_ready(self, now: float, number: int) -> None:
        self.nodes[number].is_ready, self.nodes[number].idle_since = True, now
        for _ in range(self.cluster.tasks_per_node):
            heapq.heappush(self.room, number)

    def _end_job(self, now: float, number: int) -> None:
        node = self.nodes[number]
        node.running -= 1
        self.running -= 1
        if not node.running:
            node.idle_since = now
        heapq.heappush(self.room, number)

    def _start_jobs(self, now: float) -> None:
        while self.queue and self.room:
            number = heapq.heappop(self.room)
            node = self.nodes[number]
            if node.is_stopping:
                continue
            run, job = self.queue.popleft()
            end = now + self.durations[job]
            self.placed.append((run, job, number, now, end))
            node.running += 1
            self.running += 1
            heapq.heappush(self.events, (end, _What.JOB_ENDED, number))

    def _look(self, now: float, times: int) -> None:
        """Scale to as many nodes as the unfinished jobs need."""
        pending = len(self.queue) + self.running
        least, most = self.cluster.min_nodes, self.cluster.max_nodes
        wanted = min(most, max(least, -(-pending // self.cluster.tasks_per_node)))
        for _ in range(min(wanted - self.alive, most - self.alive - self.stopping)):
            self._have_node(now)
        if self.alive > wanted:
            for node in self._idle_nodes(now)[: self.alive - wanted]:
                self._stop(now, node)
        if pending or self.to_come or self.alive > least:
            later = self.timing.autoscale_offset + (times + 1) * self.timing.autoscale_interval
            heapq.heappush(self.events, (later, _What.LOOK, times + 1))

    def _idle_nodes(self, now: float) -> list[_Node]:
        """Return the nodes that have been idle long enough, longest first."""
        before = now - self.timing.idle_before_stop
        idle = [
            node
            for node in self.nodes
            if node.is_ready and not node.is_stopping and not node.running and node.idle_since <= before
        ]
        return sorted(idle, key=lambda node: node.idle_since)

    def _stop(self, now: float, node: _Node) -> None:
        node.is_stopping, node.paid_to = True, now + self.timing.node_stop
        self.alive -= 1
        self.stopping += 1
        heapq.heappush(self.events, (node.paid_to, _What.NODE_GONE, 0))


def _at_once(begin: Seconds, end: Seconds, times: Seconds) -> Int:
    begun = np.searchsorted(np.sort(begin), times, side="right")
    return (begun - np.searchsorted(np.sort(end), times, side="right")).astype(np.int64)
