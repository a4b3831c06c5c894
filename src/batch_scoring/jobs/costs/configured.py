"""Simulate the cluster of an engine's settings like the candidates of `kedro jobs plan`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from batch_scoring.jobs.costs.choices import Choice, Schedule, timing_of
from batch_scoring.jobs.costs.figures import simulate_day
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.costs.simulation import Cluster, Timing
from batch_scoring.jobs.settings import JobsParameters


@dataclass(frozen=True)
class Configured:
    """Nodes as an engine's settings describe them.

    Attributes
    ----------
    where : str
        The settings, such as ``jobs.azure_batch``.
    vm_size : str
    low_priority : bool
    cluster : Cluster
    timing : Timing
        What the engine's settings leave open comes from ``jobs.costs``.
    """

    where: str
    vm_size: str
    low_priority: bool
    cluster: Cluster
    timing: Timing

    def choice(self, schedule: Schedule, costs: CostSettings) -> Choice | None:
        """Simulate a day of the schedule; None where ``jobs.costs.nodes`` has no price of this VM size."""
        wanted = self.vm_size.casefold()
        size = next((one for one in costs.sizes if (one.vm_size or "").casefold() == wanted), None)
        if size is None:
            return None
        price = size.price(self.low_priority)
        day = simulate_day(schedule.durations, schedule.every, self.cluster, self.timing)
        return Choice(size, self.cluster, price, schedule.deadline, day, is_configured=True)


def configured_cluster(settings: JobsParameters) -> Configured | None:
    """Read the nodes of the engine ``jobs.backend``; None where it rents none.

    Azure Batch evaluates its formula every ``autoscale_interval``, and stops nodes ``keep_warm`` after their
    last task. Batch AI runs one job at once on a node; its autoscaling has no settings, so its timing comes
    from ``jobs.costs``.
    """
    timing = timing_of(settings.costs)
    if settings.backend == "azure_batch":
        pool = settings.azure_batch
        timing = replace(
            timing,
            autoscale_interval=pool.autoscale_interval.total_seconds(),
            idle_before_stop=pool.keep_warm.total_seconds(),
        )
        cluster = Cluster(pool.tasks_per_node, pool.min_nodes, pool.max_nodes)
        return Configured("jobs.azure_batch", pool.vm_size, pool.low_priority, cluster, timing)
    if settings.backend == "batch_ai":
        nodes = settings.batch_ai.cluster
        least = nodes.max_nodes if nodes.scale == "manual" else nodes.min_nodes
        is_cheap = nodes.priority == "lowpriority"
        cluster = Cluster(1, least, nodes.max_nodes)
        return Configured("jobs.batch_ai.cluster", nodes.vm_size, is_cheap, cluster, timing)
    return None
