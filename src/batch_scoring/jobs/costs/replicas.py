"""Reckon what a schedule costs on Azure Container Apps: nothing is paid but the seconds of jobs."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.jobs.backends.container_apps.settings import memory_of
from batch_scoring.jobs.costs.choices import Schedule, timing_of
from batch_scoring.jobs.costs.figures import HOUR, HOURS_PER_MONTH, simulate_day
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.costs.simulation import Cluster


@dataclass(frozen=True)
class Replicas:
    """A schedule on Container Apps.

    Attributes
    ----------
    cpu : float
        Cores of a job.
    vcpu_seconds, gib_seconds : float
        Of a month of 730 hours, before the free grant.
    cost_per_month : float
        After the free grant, in the currency of the prices.
    makespan : float
        Seconds of the slowest run.
    is_in_time : bool
        Whether every run ends by the deadline.
    """

    cpu: float
    vcpu_seconds: float
    gib_seconds: float
    cost_per_month: float
    makespan: float
    is_in_time: bool


def on_container_apps(schedule: Schedule, costs: CostSettings, cpu: float) -> Replicas:
    """Reckon a schedule: jobs start at once, as many as the environment's quota of cores allows.

    A job is paid for its duration; not for ``start``, in which its replica waits for a machine and its image.
    """
    prices = costs.container_apps
    at_once = max(1, int(prices.cores // cpu))
    start = prices.start.total_seconds()
    # As nodes that are always there: whether a place is idle plays no part.
    day = simulate_day(
        [start + seconds for seconds in schedule.durations],
        *(schedule.every, Cluster(1, at_once, at_once), timing_of(costs)),
    )
    seconds = sum(schedule.durations) / schedule.every * HOURS_PER_MONTH * HOUR
    vcpu, gib = seconds * cpu, seconds * memory_of(cpu)
    paid = (
        max(0.0, vcpu - prices.free_vcpu_seconds) * prices.vcpu_second
        + max(0.0, gib - prices.free_gib_seconds) * prices.gib_second
    )
    is_in_time = day.keeps_up and day.makespan <= schedule.deadline
    return Replicas(cpu, vcpu, gib, paid, day.makespan, is_in_time)
