"""Build the pool's autoscale formula, pure: nodes for the current tasks, between a minimum and a maximum."""

from __future__ import annotations

import math

from batch_scoring.jobs.backends.azure_batch.settings import PoolSettings

# The service samples its variables every 30 seconds; samples come late, so one minute may have none.
_FRESH_MINUTES = 2


def autoscale_formula(settings: PoolSettings) -> str:
    """Build the formula of the pool, in the service's own language.

    It requests a node for every ``tasks_per_node`` waiting or running tasks of the newest sample. Nodes
    stay for ``keep_warm`` after the last task. Without a fresh sample nothing changes. A node leaves when
    its tasks have ended.

    Examples
    --------
    >>> print(autoscale_formula(PoolSettings(max_nodes=4)))
    fresh = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 2) > 0;
    pending = fresh ? val($PendingTasks.GetSample(1), 0) : 0;
    wanted = fresh ? round(pending / 1 + 0.4999) : $TargetDedicatedNodes;
    $TargetDedicatedNodes = max(0, min(4, wanted));
    $TargetLowPriorityNodes = 0;
    $NodeDeallocationOption = taskcompletion;
    """
    target, other = "$TargetDedicatedNodes", "$TargetLowPriorityNodes"
    if settings.low_priority:
        target, other = other, target
    # val(GetSample(1), 0) is the newest sample; the largest of keep_warm holds nodes that long.
    pending = "val($PendingTasks.GetSample(1), 0)"
    warm = math.ceil(settings.keep_warm.total_seconds() / 60)
    if warm:
        pending = f"max($PendingTasks.GetSample(TimeInterval_Minute * {max(warm, _FRESH_MINUTES)}))"
    lines = [
        f"fresh = $PendingTasks.GetSamplePercent(TimeInterval_Minute * {_FRESH_MINUTES}) > 0;",
        f"pending = fresh ? {pending} : 0;",
        # There is no ceil: 1/256 is the smallest part of a node that a task can ask for.
        f"wanted = fresh ? round(pending / {settings.tasks_per_node} + 0.4999) : {target};",
        f"{target} = max({settings.min_nodes}, min({settings.max_nodes}, wanted));",
        f"{other} = 0;",
        "$NodeDeallocationOption = taskcompletion;",
    ]
    return "\n".join(lines)
