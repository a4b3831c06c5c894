"""What the planner reckons, held against the stand-in for Azure Batch running the shipped formula."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from batch_scoring.jobs.backends.azure_batch.requests import pool_request
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.costs.configured import configured_cluster
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.costs.simulation import simulate
from batch_scoring.jobs.settings import JobsParameters
from tests.emulators.azure_batch.account import Account
from tests.emulators.clock import Clock

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("planner"),
]  # its time is real, if twenty times as fast

SPEED = 20.0
NODE_START, INTERVAL, SAMPLE = 240.0, 300.0, 30.0
COSTS = CostSettings(node_start=timedelta(seconds=NODE_START), node_stop=timedelta(0))
RUNS = 2
# What is late on a busy machine, in seconds of the service.
SLACK = 30.0
# The jobs come so long after a look of the formula; not with it, so that none of them is seen too early.
AFTER_A_LOOK = 25.0
# Seconds of each job, seconds between the runs, jobs at once on a node, fewest and most nodes, minutes for
# which they are kept warm. The formula reads a sample of up to 30 s ago: whatever changes the number of nodes
# it asks for comes SLACK sooner still, and of two places for a job one is free by SLACK before the other. So
# nothing is decided by a hair. The last case's second run finds the nodes of its first one.
CASES = [
    ([120.0] * 5, 660.0, 1, 0, 5, 0),
    ([120.0] * 5, 710.0, 1, 1, 3, 0),
    ([60.0, 120.0, 100.0, 280.0], 660.0, 2, 0, 2, 0),
    ([120.0, 180.0, 120.0], 800.0, 1, 0, 2, 5),
]


class Watched:
    """A pool on which the schedule really ran: when its nodes were there, when its jobs ended."""

    def __init__(self, folder, jobs, every, tasks, least, most, warm):
        self._every = every
        clock = Clock(SPEED)
        account = Account(folder, clock=clock, start_seconds=NODE_START, sample_seconds=SAMPLE)
        self._began, self._clock, self._done = clock.now(), clock, threading.Event()
        self.settings = AzureBatchSettings(
            endpoint="https://acme.westeurope.batch.azure.com",
            image="acme.azurecr.io/batch-scoring:1",
            tasks_per_node=tasks,
            min_nodes=least,
            max_nodes=most,
            keep_warm=timedelta(minutes=warm),
        )
        try:
            account.create_pool(pool_request(self.settings).as_dict())
            (self._pool,) = account.pools.values()
            self._nodes = [(0.0, 0)]
            threading.Thread(target=self._count, daemon=True).start()
            while len(self._pool.history) < 2:  # at the second look the fewest nodes are there
                time.sleep(0.01)
            self._wait_until(self._looks()[1] + AFTER_A_LOOK)
            self.begun = self._now()
            came = [self._submit(account, run, jobs) for run in range(RUNS)]
            self._wait_until(self.begun + RUNS * every + INTERVAL)
            self.makespans = [self._makespan(account.jobs[f"score-{run}"], at) for run, at in enumerate(came)]
        finally:
            self._done.set()
            for pool in account.pools.values():
                pool.close()

    @property
    def first_look(self):
        """When the formula was first looked at after the first jobs had been sampled."""
        return min(look - self.begun for look in self._looks() if look - self.begun > SAMPLE)

    def node_seconds(self, begin, end):
        """Of all nodes together, starting ones too, within these times after the first jobs came."""
        times, counts = (np.array(column, float) for column in zip(*self._nodes, strict=True))
        edges = np.clip(np.append(times, self._now()) - self.begun, begin, end)
        return float((np.diff(edges) * counts).sum())

    def _looks(self):
        return [(moment - self._began).total_seconds() for moment, _ in self._pool.history]

    def _submit(self, account, run, jobs):
        came = self.begun + run * self._every
        self._wait_until(came)
        account.create_job({"id": f"score-{run}", "poolInfo": {"poolId": self._pool.asked["id"]}})
        commands = [f"sleep {self._clock.real(seconds)}" for seconds in jobs]
        asked = [{"id": f"job-{n}", "commandLine": one} for n, one in enumerate(commands)]
        account.add_tasks(f"score-{run}", asked)
        return came

    def _makespan(self, job, came):
        assert {task.info.get("exitCode") for task in job.tasks.values()} == {0}
        return (max(task.since for task in job.tasks.values()) - self._began).total_seconds() - came

    def _count(self):
        while not self._done.wait(0.01):
            count = self._pool.nodes.counts().total()
            if count != self._nodes[-1][1]:
                self._nodes.append((self._now(), count))

    def _now(self):
        return (self._clock.now() - self._began).total_seconds()

    def _wait_until(self, moment):
        time.sleep(max(0.0, self._clock.real(moment - self._now())))


def test_the_planner_foretells_makespans_and_paid_nodes(tmp_path):
    """All of them at the same time, as they only wait."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        places = [tmp_path / str(number) for number in range(len(CASES))]
        watched = list(pool.map(lambda place, case: Watched(place, *case), places, CASES))
    for (jobs, every, *_), real in zip(CASES, watched, strict=True):
        engine = configured_cluster(
            JobsParameters(backend="azure_batch", azure_batch=real.settings, costs=COSTS)
        )
        timing = replace(engine.timing, autoscale_offset=real.first_look)
        foretold = simulate(jobs, every, RUNS, engine.cluster, timing)
        end = RUNS * every
        paid = float((np.clip(foretold.node_to, 0, end) - np.clip(foretold.node_from, 0, end)).sum())
        told = f"{jobs} on {engine.cluster}: {real.makespans}, foretold {foretold.makespans.tolist()}"
        print(f"{told}; {real.node_seconds(0, end):.0f} node seconds, foretold {paid:.0f}")
        assert real.makespans == pytest.approx(foretold.makespans, abs=SLACK)
        assert real.node_seconds(0, end) == pytest.approx(paid, rel=0.05)
