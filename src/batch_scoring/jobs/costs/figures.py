"""Compute the figures of a cluster's day: cost, duration of its runs, idle share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batch_scoring.jobs.costs.simulation import Cluster, Seconds, Simulation, Timing, simulate

HOUR, DAY = 3600.0, 86400.0
# As the price lists of the clouds count a month.
HOURS_PER_MONTH = 730.0
# Runs simulated before the day, so that it begins as it ends: with nodes or jobs left from the last run.
_RUNS_BEFORE = 6


@dataclass(frozen=True)
class Day:
    """A simulated day of a schedule on a cluster; the time between two runs where these are rarer than daily.

    Attributes
    ----------
    simulation : Simulation
        Of the day, and of the runs before it.
    begin, end : float
        Of the day, in seconds of the simulation.
    node_hours : float
        Paid within 24 hours.
    idle_share : float
        Share of the paid slot time in which no job ran; starting and stopping count as idle. 0 where no
        node was paid.
    makespans : array, float64
        Seconds from the scheduled time of each of the day's runs to the end of its last job.
    keeps_up : bool
        Whether all nodes together can do a run's work before the next one's is due.
    """

    simulation: Simulation
    begin: float
    end: float
    node_hours: float
    idle_share: float
    makespans: Seconds
    keeps_up: bool

    @property
    def makespan(self) -> float:
        """Seconds of the slowest run."""
        return float(self.makespans.max())

    def cost(self, price: float) -> float:
        """Return the cost of 24 hours at a price per node-hour."""
        return self.node_hours * price


def simulate_day(durations: Sequence[float], every: float, cluster: Cluster, timing: Timing) -> Day:
    """Simulate a day of a schedule, in its steady state.

    Parameters
    ----------
    durations : sequence of float
        Seconds of each job of a run.
    every : float
        Seconds between two scheduled times.
    cluster : Cluster
    timing : Timing
    """
    runs = max(1, int(DAY // every))
    before = min(runs, _RUNS_BEFORE)
    simulation = simulate(durations, every, before + runs, cluster, timing)
    begin, end = before * every, (before + runs) * every
    paid = _within(simulation.node_from, simulation.node_to, begin, end)
    busy = _within(simulation.job_start, simulation.job_end, begin, end)
    return Day(
        simulation,
        begin,
        end,
        node_hours=paid / HOUR * DAY / (end - begin),
        idle_share=max(0.0, 1.0 - busy / (paid * cluster.tasks_per_node)) if paid else 0.0,
        makespans=simulation.makespans[before:],
        keeps_up=sum(durations) <= every * cluster.max_nodes * cluster.tasks_per_node,
    )


def _within(begin: Seconds, end: Seconds, first: float, last: float) -> float:
    """Sum the seconds of these spans between two times."""
    return float(np.maximum(0.0, np.minimum(end, last) - np.maximum(begin, first)).sum())
