"""Format the choices as a text table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batch_scoring.core.text import text_table
from batch_scoring.jobs.backends.container_apps.settings import memory_of
from batch_scoring.jobs.costs.choices import Choice, Schedule
from batch_scoring.jobs.costs.configured import Configured
from batch_scoring.jobs.costs.replicas import Replicas

_HEADINGS = ("cluster", "nodes", "a day", "a month", "slowest run", "idle", "")
_NUMBERS = _HEADINGS[1:-1]
# Two costs that differ by less are shown as the same.
_NO_DIFFERENCE = 0.005


def duration_text(seconds: float) -> str:
    """Format a duration for a person.

    Examples
    --------
    >>> duration_text(2.5), duration_text(150), duration_text(3600), duration_text(5400)
    ('2.5 s', '2.5 min', '1 h', '1.5 h')
    """
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s"


def nodes_of(choice: Choice) -> str:
    """Format the number of nodes: ``3``, or ``0–3`` where it scales."""
    least, most = choice.cluster.min_nodes, choice.cluster.max_nodes
    return str(most) if least == most else f"{least}–{most}"


def name_of(choice: Choice) -> str:
    """Name a choice by its policy and node size."""
    return f"{'as configured' if choice.is_configured else choice.policy}, {choice.size.name}"


def verdict(choices: Sequence[Choice], currency: str) -> str:
    """Recommend a cluster; the choices are best first."""
    best = choices[0]
    if not best.is_in_time:
        return (
            f"No cluster ends by {duration_text(best.deadline)}; the fastest is {name_of(best)}, "
            f"{nodes_of(best)} nodes. Allow more nodes (jobs.costs.max_nodes), or split the work into more "
            "jobs (jobs.sharding)."
        )
    return (
        f"Cheapest that ends by {duration_text(best.deadline)}: {name_of(best)}, {nodes_of(best)} nodes, "
        f"{best.cost_per_day:,.2f} {currency} a day, {best.cost_per_month:,.2f} a month."
    )


def beside(engine: Configured, configured: Choice, best: Choice, currency: str) -> str:
    """Compare the configured cluster with the best one."""
    kind = "Spot" if engine.low_priority else "dedicated"
    lead = (
        f"As configured ({engine.where}): {nodes_of(configured)} {kind} nodes, "
        f"{configured.cost_per_day:,.2f} {currency} a day, {configured.cost_per_month:,.2f} a month"
    )
    if not configured.day.keeps_up:
        return f"{lead}, and it falls behind."
    if not configured.is_in_time:
        return f"{lead}, and it is too late: the slowest run takes {duration_text(configured.day.makespan)}."
    if not best.is_in_time:
        return f"{lead}, and it is in time."
    more = configured.cost_per_month - best.cost_per_month
    if abs(more) < _NO_DIFFERENCE:
        return f"{lead}, as cheap as that."
    return f"{lead}, {abs(more):,.2f} {'more' if more > 0 else 'less'} than that."


def of_replicas(found: Replicas, best: Choice, currency: str) -> str:
    """Compare Container Apps with the best cluster."""
    cores = f"{found.cpu:g} {'core' if found.cpu == 1 else 'cores'}"
    lead = (
        f"Container Apps ({cores}, {memory_of(found.cpu):g} GiB a job): {found.cost_per_month:,.2f} "
        f"{currency} a month after the free grant, the slowest run {duration_text(found.makespan)}"
    )
    if not found.is_in_time:
        return f"{lead}: too late."
    less = best.cost_per_month - found.cost_per_month
    if not best.is_in_time:
        return f"{lead}: in time."
    if abs(less) < _NO_DIFFERENCE:
        return f"{lead}: as cheap as that."
    return f"{lead}: {abs(less):,.2f} {'less' if less > 0 else 'more'} than that."


def unpriced(engine: Configured) -> str:
    """Explain why the configured cluster is not simulated, and what to do."""
    return (
        f"The nodes of {engine.where} are not simulated, as their price is unknown: give a node size in "
        f"jobs.costs.nodes the vm_size {engine.vm_size}."
    )


def summary(schedule: Schedule, source: str) -> str:
    """Describe the simulated schedule in one line."""
    work = sum(schedule.durations)
    return (
        f"{len(schedule.durations):,} jobs every {duration_text(schedule.every)}, "
        f"{duration_text(work)} of work, the longest {duration_text(max(schedule.durations))} ({source})"
    )


def as_table(choices: Sequence[Choice]) -> str:
    """Format these choices as a text table."""
    return text_table([_HEADINGS, *map(_row, choices)], _NUMBERS)


def as_json(
    choices: Sequence[Choice],
    schedule: Schedule,
    currency: str,
    replicas: Replicas,
    configured: Choice | None = None,
) -> dict[str, Any]:
    """Return all choices as plain values, best first; ``cheapest`` is null where none is in time.

    ``configured`` is null where the engine rents no nodes, or their price is unknown.
    """
    listed = [_values(choice) for choice in choices]
    return {
        "jobs": len(schedule.durations),
        "work_seconds": sum(schedule.durations),
        "every_seconds": schedule.every,
        "deadline_seconds": schedule.deadline,
        "currency": currency,
        "cheapest": listed[0] if choices[0].is_in_time else None,
        "configured": _values(configured) if configured else None,
        "container_apps": {
            "cpu": replicas.cpu,
            "vcpu_seconds": replicas.vcpu_seconds,
            "gib_seconds": replicas.gib_seconds,
            "cost_per_month": replicas.cost_per_month,
            "makespan_seconds": replicas.makespan,
            "in_time": replicas.is_in_time,
        },
        "choices": listed,
    }


def _values(choice: Choice) -> dict[str, Any]:
    return {
        "policy": str(choice.policy),
        "node": choice.size.name,
        "tasks_per_node": choice.cluster.tasks_per_node,
        "min_nodes": choice.cluster.min_nodes,
        "max_nodes": choice.cluster.max_nodes,
        "price_per_node_hour": choice.price,
        "node_hours_per_day": choice.day.node_hours,
        "cost_per_day": choice.cost_per_day,
        "cost_per_month": choice.cost_per_month,
        "makespan_seconds": choice.day.makespan,
        "makespan_seconds_of_runs": choice.day.makespans.tolist(),
        "idle_share": choice.day.idle_share,
        "in_time": choice.is_in_time,
    }


def _row(choice: Choice) -> tuple[str, ...]:
    return (
        name_of(choice),
        nodes_of(choice),
        f"{choice.cost_per_day:,.2f}",
        f"{choice.cost_per_month:,.2f}",
        duration_text(choice.day.makespan),
        f"{choice.day.idle_share:.0%}",
        "" if choice.is_in_time else "too late" if choice.day.keeps_up else "falls behind",
    )
