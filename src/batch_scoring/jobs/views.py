"""Summarise a run's jobs, pure: statuses in; counts, changes and lines of text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from batch_scoring.core.text import duration, number
from batch_scoring.jobs.specs import JobStatus, NodeCounts, State

# A planned job that no engine has reported yet.
PLANNED = "planned"
_ORDER = (
    *(State.RUNNING, State.PREPARING, State.QUEUED, PLANNED),
    *(State.SUCCEEDED, State.FAILED, State.CANCELLED),
)


@dataclass(frozen=True)
class View:
    """A run at one poll.

    Attributes
    ----------
    backend : str
        The engine's name.
    planned : tuple of str
        The names of all its jobs.
    statuses : mapping of str to JobStatus
        Of the jobs that the engine knows.
    """

    run: str
    backend: str
    planned: tuple[str, ...]
    statuses: Mapping[str, JobStatus] = field(default_factory=dict)
    nodes: NodeCounts | None = None

    @property
    def unknown(self) -> list[str]:
        """Jobs that are only planned."""
        return [name for name in self.planned if name not in self.statuses]

    @property
    def is_over(self) -> bool:
        """Whether all jobs have ended."""
        return not self.unknown and not self.is_busy

    @property
    def is_busy(self) -> bool:
        """Whether a job that the engine knows has not ended."""
        return any(not one.state.is_final for one in self.statuses.values())

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by state, unfinished before finished; states without a job are left out."""
        found: Counter[str] = Counter(str(one.state) for one in self.statuses.values())
        found[PLANNED] = len(self.unknown)
        return {str(state): found[state] for state in _ORDER if found[state]}

    @property
    def failed(self) -> list[JobStatus]:
        """Failed and cancelled jobs, latest first."""
        bad = [one for one in self.statuses.values() if one.state in (State.FAILED, State.CANCELLED)]
        return sorted(bad, key=lambda one: (_seconds_since_epoch(one.ended), one.name), reverse=True)

    def slowest(self, now: datetime, at_most: int) -> list[JobStatus]:
        """Return the running jobs, longest first, at most ``at_most``."""
        running = [one for one in self.statuses.values() if one.state is State.RUNNING]
        return sorted(running, key=lambda one: (-(seconds_of(one, now) or 0), one.name))[:at_most]


def changed(before: View | None, now: View) -> list[JobStatus]:
    """List the jobs whose state has changed since the view before, in the order of the changes.

    Examples
    --------
    >>> was = View("r", "local", ("a", "b"), {"a": JobStatus("a", State.RUNNING)})
    >>> later = View("r", "local", ("a", "b"), {name: JobStatus(name, State.RUNNING) for name in "ab"})
    >>> [one.name for one in changed(was, later)]
    ['b']
    """
    former = before.statuses if before else {}
    other = [
        one
        for name, one in now.statuses.items()
        if name not in former or (former[name].state, former[name].node) != (one.state, one.node)
    ]
    return sorted(other, key=lambda one: (_seconds_since_epoch(one.changed), one.name))


def seconds_of(job: JobStatus, now: datetime) -> float | None:
    """Return a job's running time in seconds; None where it has not begun or is unknown."""
    if job.started is None or (job.ended is None and job.state.is_final):
        return None
    return max(((job.ended or now) - job.started).total_seconds(), 0.0)


def summary(view: View) -> str:
    """Summarise a run in one line.

    Examples
    --------
    >>> summary(View("score-20261122t100000z", "local", ("a", "b"), {"a": JobStatus("a", State.RUNNING)}))
    'score-20261122t100000z on local, 2 jobs: 1 running, 1 planned'
    """
    return f"{view.run} on {view.backend}, {number(len(view.planned), 'job')}: {counts_text(view.counts)}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Format job counts by state."""
    return ", ".join(f"{n:,} {state}" for state, n in counts.items()) or "none"


def nodes_text(nodes: NodeCounts | None) -> str:
    """Format the node counts of a cluster; empty without a cluster.

    Examples
    --------
    >>> nodes_text(NodeCounts(idle=1, preparing=2)), nodes_text(NodeCounts())
    ('3 nodes: 1 idle, 2 preparing', 'no nodes')
    """
    if nodes is None:
        return ""
    if not nodes.total:
        return "no nodes"
    parts = ", ".join(f"{n:,} {what}" for what, n in asdict(nodes).items() if n)
    return f"{number(nodes.total, 'node')}: {parts}"


def job_line(job: JobStatus, now: datetime) -> str:
    """Describe a job in one line, for a log."""
    seconds = seconds_of(job, now)
    took = f" after {duration(seconds)}" if job.state.is_final and seconds is not None else ""
    node = f" on {job.node}" if job.node and job.state is State.RUNNING else ""
    reason = f": {job.reason}" if job.reason else ""
    return f"{job.name} {job.state}{took}{node}{reason}"


def view_json(view: View) -> dict[str, Any]:
    """Return a run as plain values, without its jobs."""
    return {
        "run": view.run,
        "backend": view.backend,
        "jobs": len(view.planned),
        "states": view.counts,
        "nodes": asdict(view.nodes) if view.nodes else None,
        "ended": view.is_over,
    }


def _seconds_since_epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
