"""Summarise the durations of a run's jobs, pure: statuses and records in, rows and percentiles out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import JobStatus

# In the order of their starts; from ``read`` on they overlap.
PHASES = ("queue", "pull", "start", "read", "score", "fit", "write", "total")
COUNTS = ("windows", "devices", "failed")
PERCENTILES = (50, 90, 100)


def job_times(record: JobRecord, status: JobStatus | None) -> JobRecord:
    """Combine a job's own record with its waiting time by the engine's clock.

    Parameters
    ----------
    status : JobStatus or None
        Of the engine, where it still knows the job.

    Returns
    -------
    JobRecord
        With seconds by phase: ``queue`` until the engine began with the job, ``pull`` until the job itself
        ran (nodes, and images), ``start`` until its first node, then ``read``, ``score`` or ``fit``, and
        ``write``; ``total`` from the job's first step to its end. Unknown phases are left out.
    """
    seconds = dict(record.seconds)
    if status is not None and status.created and status.started and status.created < status.started:
        seconds["queue"] = (status.started - status.created).total_seconds()
    if status is not None and status.started and record.started and status.started < record.started:
        seconds["pull"] = (record.started - status.started).total_seconds()
    if record.started and record.ended:
        seconds["total"] = (record.ended - record.started).total_seconds()
    return replace(record, seconds={name: round(seconds[name], 3) for name in PHASES if name in seconds})


def times_json(job: JobRecord) -> dict[str, Any]:
    """Return the times of a job as plain values for JSON."""
    values = {name: getattr(job, name) for name in ("state", "attempt", "seconds", "counts")}
    return {"run": job.run, "job": job.name, **values}


def percentiles(jobs: Sequence[JobRecord]) -> dict[str, dict[str, float]]:
    """Compute the percentiles of each known phase over the jobs, and its sum.

    Examples
    --------
    >>> from batch_scoring.jobs.specs import State
    >>> job = JobRecord("r", "j", State.SUCCEEDED, 1)
    >>> jobs = [replace(job, seconds={"total": float(n)}) for n in range(1, 11)]
    >>> percentiles(jobs)
    {'total': {'p50': 5.0, 'p90': 9.0, 'p100': 10.0, 'sum': 55.0}}
    """
    found = {}
    for phase in PHASES:
        values = sorted(job.seconds[phase] for job in jobs if phase in job.seconds)
        if values:
            # The smallest value that this share of the jobs does not exceed.
            ranks = {f"p{p}": values[max(-(-p * len(values) // 100) - 1, 0)] for p in PERCENTILES}
            found[phase] = ranks | {"sum": round(sum(values), 3)}
    return found


def as_csv(jobs: Sequence[JobRecord]) -> str:
    """Format one row per job, with all phases and counts; unknown ones are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("run", "job", "state", "attempt", *PHASES, *COUNTS))
    for job in jobs:
        known = {**job.seconds, **job.counts}
        numbers = (known.get(name, "") for name in (*PHASES, *COUNTS))
        writer.writerow((job.run, job.name, job.state, job.attempt, *numbers))
    return out.getvalue()


def table_rows(
    jobs: Sequence[JobRecord], found: Mapping[str, Mapping[str, float]]
) -> tuple[list[str], list[list[str]]]:
    """Build the head and rows of a table: jobs, slowest first, then percentiles; known phases only."""
    phases = list(found)
    counts = [name for name in COUNTS if any(name in job.counts for job in jobs)]
    slowest = sorted(jobs, key=lambda job: (-job.seconds.get("total", 0.0), job.name))
    rows = [
        [
            job.name,
            *(seconds_text(job.seconds.get(phase)) for phase in phases),
            *("" if name not in job.counts else f"{job.counts[name]:,}" for name in counts),
        ]
        for job in slowest
    ]
    for name, label in (("p50", "median"), ("p90", "90 % within"), ("p100", "longest"), ("sum", "sum")):
        rows.append([label, *(seconds_text(found[phase][name]) for phase in phases), *[""] * len(counts)])
    if counts:
        totals = [f"{sum(job.counts.get(name, 0) for job in jobs):,}" for name in counts]
        rows[-1][-len(counts) :] = totals
    return ["job", *phases, *counts], rows


def seconds_text(seconds: float | None) -> str:
    """Format seconds with the digits that matter; empty where unknown.

    Examples
    --------
    >>> seconds_text(0.0312), seconds_text(12.34), seconds_text(None)
    ('0.03', '12.3', '')
    """
    if seconds is None:
        return ""
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:,.1f}"
