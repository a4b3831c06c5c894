"""Simulate the clusters a schedule can run on, and rank them: the cheapest that meets the deadline first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from batch_scoring.jobs.costs.figures import DAY, HOUR, HOURS_PER_MONTH, Day, simulate_day
from batch_scoring.jobs.costs.settings import CostSettings, NodeSize
from batch_scoring.jobs.costs.simulation import Cluster, Timing, simulate


class Policy(StrEnum):
    """When nodes are kept."""

    FROM_ZERO = "from zero"
    KEEP_WARM = "keep warm"
    FIXED = "fixed"


@dataclass(frozen=True)
class Schedule:
    """Jobs of a run, their interval and deadline.

    Attributes
    ----------
    durations : tuple of float
        Seconds of each job of a run, including the engine's overhead.
    every, deadline : float
        Seconds between two scheduled times, and from a scheduled time until all its jobs must have ended.
    """

    durations: tuple[float, ...]
    every: float
    deadline: float


@dataclass(frozen=True)
class Choice:
    """A cluster and a day of the schedule on it; ``is_configured`` for the cluster of the settings."""

    size: NodeSize
    cluster: Cluster
    price: float
    deadline: float
    day: Day
    is_configured: bool = False

    @property
    def policy(self) -> Policy:
        """When its nodes are kept."""
        if self.cluster.is_fixed:
            return Policy.FIXED
        return Policy.KEEP_WARM if self.cluster.min_nodes else Policy.FROM_ZERO

    @cached_property
    def cost_per_day(self) -> float:
        """In the currency of the prices."""
        return self.day.cost(self.price)

    @property
    def cost_per_month(self) -> float:
        """Of 730 hours."""
        return self.cost_per_day * HOURS_PER_MONTH * HOUR / DAY

    @property
    def is_in_time(self) -> bool:
        """Whether every run ends by the deadline, on every day."""
        return self.day.keeps_up and self.day.makespan <= self.deadline

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Sort key, lower is better: in time, then cost, then makespan; late ones by makespan, then cost."""
        if self.is_in_time:
            return False, self.cost_per_day, self.day.makespan
        return True, self.day.makespan, self.cost_per_day


def timing_of(settings: CostSettings) -> Timing:
    """Read the timing of nodes and autoscaling from the settings."""
    return Timing(
        settings.node_start.total_seconds(),
        settings.node_stop.total_seconds(),
        settings.autoscale_interval.total_seconds(),
        settings.autoscale_offset.total_seconds(),
        settings.idle_before_stop.total_seconds(),
    )


def all_choices(schedule: Schedule, settings: CostSettings) -> list[Choice]:
    """Simulate the candidate clusters, best first.

    For each node size: the fewest nodes that meet the deadline, as many as the jobs can use, and 1, 2, 4, …
    in between. Zero, 1, 2, 4, …, or all of them stay between two runs.
    """
    timing = timing_of(settings)
    found = [
        Choice(
            size,
            cluster,
            size.price(settings.low_priority),
            schedule.deadline,
            simulate_day(schedule.durations, schedule.every, cluster, timing),
        )
        for size in settings.sizes
        for cluster in _clusters(schedule, size, settings.max_nodes, timing)
    ]
    return sorted(found, key=lambda choice: choice.rank)


def short_list(choices: Sequence[Choice]) -> list[Choice]:
    """Keep the best choice of each node size and policy, in the order of the choices."""
    best: dict[tuple[str, Policy], Choice] = {}
    for choice in choices:
        best.setdefault((choice.size.name, choice.policy), choice)
    return list(best.values())


def fewest_nodes(schedule: Schedule, tasks: int, at_most: int, delay: float = 0.0) -> int:
    """Find the fewest nodes that end a run by the deadline; ``at_most`` where none do.

    Parameters
    ----------
    schedule : Schedule
    tasks : int
        Jobs at once on a node.
    at_most : int
    delay : float
        Seconds from the scheduled time until the nodes are ready.
    """
    low, high = 1, at_most
    while low < high:
        middle = (low + high) // 2
        cluster = Cluster(tasks, middle, middle)
        one = simulate(schedule.durations, schedule.every, 1, cluster, Timing(0, 0, 1))
        if delay + float(one.makespans[0]) <= schedule.deadline:
            high = middle
        else:
            low = middle + 1
    return low


def _clusters(schedule: Schedule, size: NodeSize, max_nodes: int, timing: Timing) -> Iterator[Cluster]:
    useful = min(max_nodes, max(1, -(-len(schedule.durations) // size.tasks)))
    powers = [2**power for power in range(useful.bit_length())]
    delay = timing.autoscale_offset + timing.node_start
    enough, enough_later = (fewest_nodes(schedule, size.tasks, useful, wait) for wait in (0.0, delay))
    # With fewer nodes than suffice when all of them stay, no run is in time, whatever the policy.
    counts = {enough, enough_later, useful, *(count for count in powers if count > enough)}
    for most in sorted(counts):
        for least in (0, *(count for count in powers if count < most), most):
            yield Cluster(size.tasks, least, most)
