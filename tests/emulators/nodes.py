"""A pool of nodes that run jobs: what the stand-ins for clusters share."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.emulators.clock import Clock
from tests.emulators.node_faults import Fault, Faults
from tests.emulators.work import ERR, End, Outcome, Runner, Work, kill, run_process


@dataclass
class Node:
    """One of them; ``state`` is starting, idle, running or leaving."""

    id: str
    state: str
    since: datetime
    running: dict[Hashable, _Running] = field(default_factory=dict)


@dataclass
class _Running:
    work: Work
    process: subprocess.Popen | None = None
    end: End | None = None


class Nodes:
    """The pool.

    Parameters
    ----------
    folder : Path
        Where each start of a job gets a folder for its output.
    start_seconds : float
        From the wish for a node to a node that can work; of the service's time, as all seconds here.
    faults : Faults
    slots : int
        Jobs at once on a node.
    runner : callable
        Starts a job's process; another one may start containers.
    """

    def __init__(
        self,
        folder: Path,
        start_seconds: float = 0.0,
        faults: Faults | None = None,
        *,
        slots: int = 1,
        clock: Clock | None = None,
        runner: Runner = run_process,
    ) -> None:
        self.faults, self.clock, self.slots = faults or Faults(), clock or Clock(), slots
        self._folder, self._start_seconds, self._runner = folder, start_seconds, runner
        self._lock = threading.RLock()
        self._quiet = threading.Condition(self._lock)
        self._queue: deque[Work] = deque()
        self._nodes: dict[str, Node] = {}
        self._target, self._made, self._starts, self._busy = 0, 0, 0, 0
        self._timers: set[threading.Timer] = set()
        self.closed = False

    def target(self, count: int) -> None:
        """Have so many nodes: more are started, idle ones leave; busy ones leave when they are done."""
        with self._lock:
            self._target = count
            self._adjust()
        self._dispatch()

    def add(self, work: Work) -> None:
        """Queue a job; the oldest is run first."""
        with self._lock:
            self._queue.append(work)
        self._dispatch()

    def cancel(self, key: Hashable) -> bool:
        """End a job, waiting or running; False: it is not here any more."""
        with self._lock:
            for work in self._queue:
                if work.key == key:
                    self._queue.remove(work)
                    break
            else:
                work = None
                found = [node.running[key] for node in self._nodes.values() if key in node.running]
                for running in found:
                    self._end(running, End.CANCELLED)
        if work is not None:
            work.on_end(Outcome(key, "", End.CANCELLED, None, None))
        return work is not None or bool(found)

    def kill(self, node_id: str) -> None:
        """Lose a node, or have it preempted: its processes die at once; another node starts in its place."""
        with self._lock:
            node = self._nodes.pop(node_id, None)
            if node is not None:
                for running in node.running.values():
                    self._end(running, End.NODE_LOST)
                self._adjust()

    def counts(self) -> Counter[str]:
        """How many nodes are in which state."""
        with self._lock:
            return Counter(node.state for node in self._nodes.values())

    def nodes(self) -> list[Node]:
        """Those there are, oldest first."""
        with self._lock:
            return list(self._nodes.values())

    def wait_quiet(self, seconds: float) -> bool:
        """Wait (our seconds) until no job waits or runs."""
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._queue and not self._busy, seconds)

    def close(self) -> None:
        """End everything, and wait until it has ended."""
        with self._lock:
            self.closed = True
            self._queue.clear()
            for timer in self._timers:
                timer.cancel()
            for node in list(self._nodes):
                self.kill(node)
        self.wait_quiet(10)

    def _adjust(self) -> None:
        if self.closed:
            return
        staying = [node for node in self._nodes.values() if node.state != "leaving"]
        for _ in range(self._target - len(staying)):
            self._start_node()
        # Those that are not ready yet leave first, then idle ones, then those that work.
        order = {"starting": 0, "idle": 1, "running": 2}
        for node in sorted(staying, key=lambda node: order[node.state])[
            : max(0, len(staying) - self._target)
        ]:
            if node.running:
                self._turn(node, "leaving")
            else:
                del self._nodes[node.id]

    def _start_node(self) -> None:
        self._made += 1
        node = Node(f"node-{self._made:04d}", "starting", self.clock.now())
        self._nodes[node.id] = node
        slow = self.faults.take(Fault.SLOW_START, node.id) or 0.0
        self._later(self._start_seconds + slow, lambda: self._ready(node))

    def _ready(self, node: Node) -> None:
        with self._lock:
            if self._nodes.get(node.id) is node and node.state == "starting":
                self._turn(node, "idle")
        self._dispatch()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def act() -> None:
            with self._lock:
                self._timers.discard(timer)
            if not self.closed:
                action()

        timer = threading.Timer(self.clock.real(seconds), act)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _dispatch(self) -> None:
        """Give waiting jobs to nodes with a free slot."""
        with self._lock:
            free = [
                node
                for node in self._nodes.values()
                for _ in range(self.slots - len(node.running))
                if node.state in ("idle", "running")
            ]
            for node in free:
                if not self._queue or self.closed:
                    return
                work = self._queue.popleft()
                node.running[work.key] = running = _Running(work)
                if node.state == "idle":
                    self._turn(node, "running")
                self._starts += 1
                self._busy += 1
                folder = self._folder / f"{self._starts:06d}"
                folder.mkdir(parents=True)
                threading.Thread(target=self._run, args=(node, running, folder), daemon=True).start()

    def _run(self, node: Node, running: _Running, folder: Path) -> None:
        work, code = running.work, None
        work.on_start(node.id, folder)
        if self.faults.take(Fault.IMAGE, work.key) is not None:
            end = End.IMAGE
        else:
            lost = self.faults.take(Fault.NODE_LOST, work.key)
            if lost is not None:
                self._later(lost, lambda: self.kill(node.id))
            code = self._run_process(running, folder)
            end = running.end or End.EXITED
        with self._lock:
            node.running.pop(work.key, None)
            if node.id in self._nodes and not node.running:
                if node.state == "leaving":
                    del self._nodes[node.id]
                else:
                    self._turn(node, "idle")
        if not self.closed:
            work.on_end(Outcome(work.key, node.id, end, code if end is End.EXITED else None, folder))
        with self._quiet:
            self._busy -= 1
            self._adjust()
            self._quiet.notify_all()
        self._dispatch()

    def _run_process(self, running: _Running, folder: Path) -> int | None:
        work, start = running.work, self._runner
        if self.faults.take(Fault.STUCK, work.key) is not None:
            sleeping = ["python", "-S", "-c", "import time; time.sleep(1e6)"]
            work, start = Work(work.key, sleeping, limit_seconds=work.limit_seconds), run_process
        with self._lock:
            if running.end is not None:
                return None
            try:
                running.process = process = start(work, folder)
            except OSError as error:
                # As a container's shell says it of a program that is not in the image.
                (folder / ERR).write_text(f"{error}\n")
                return 127
        limit = None if work.limit_seconds is None else self.clock.real(work.limit_seconds)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            with self._lock:
                self._end(running, End.TOO_LONG)
            return process.wait()
        finally:
            # Whatever the job started and left behind goes with it.
            kill(process)

    def _end(self, running: _Running, end: End) -> None:
        running.end = running.end or end
        if running.process is not None:
            kill(running.process)

    def _turn(self, node: Node, state: str) -> None:
        node.state, node.since = state, self.clock.now()
