"""What each step has committed and when, and the jobs of scheduled runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from batch_scoring.core.moments import EPOCH
from batch_scoring.jobs.local_processes import status_of
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.run_view import STATUSES, planned_times
from batch_scoring.jobs.specs import JobStatus
from batch_scoring.jobs.timings import job_times, percentiles
from batch_scoring.jobs.views import View, counts_text
from batch_scoring.server.workspace import Workspace
from batch_scoring.storage.json_files import read_json
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.table_log import LOG

RUNS, JOBS_SHOWN, MAX_COMMITS = 10, 20, 200
# The table that a step writes: its moment is the last time the step worked.
STEPS = {
    "ingest": "readings",
    "aggregate": "windows",
    "train": "train_status",
    "score": "predictions",
    "incidents": "device_incidents",
    "monitor": "drift",
    "people on shift": "incident_actions",
}


@dataclass(frozen=True)
class StepCommits:
    """What a step has committed to its table.

    Attributes
    ----------
    step, table : str
    version : int
        Number of the last commit, from 0.
    last : datetime or None
        When it was committed, UTC; None before the first one.
    in_a_day : int
        Commits of the 24 hours up to it, at most ``MAX_COMMITS``.
    rows : int
        Of the table.
    """

    step: str
    table: str
    version: int
    last: datetime | None
    in_a_day: int
    rows: int


def step_commits(workspace: Workspace) -> list[StepCommits]:
    """Describe the commits of each step."""
    found = []
    for step, name in STEPS.items():
        table = workspace.table(name)
        times = list(islice(_commit_times(table), MAX_COMMITS))
        last = times[0] if times else None
        recent = sum(time > times[0] - timedelta(days=1) for time in times)
        found.append(StepCommits(step, name, table.version, last, recent, table.num_rows))
    return found


def _commit_times(table: RowTable) -> Iterator[datetime]:
    """Yield when the table's commits were written, the last first, as far back as its log is kept."""
    for version in range(table.version, -1, -1):
        entry = table.folder.entry(f"{LOG}/{version:020d}.json")
        if entry is None:
            return
        yield EPOCH + timedelta(microseconds=entry.changed_ns // 1000)


def job_runs(records: Records) -> list[dict[str, Any]]:
    """Describe the newest runs of jobs, from what they recorded; no engine is asked."""
    times = planned_times(records)
    return [_describe(records, run, planned) for run, planned in islice(times.items(), RUNS)]


def _describe(records: Records, run: str, planned: datetime) -> dict[str, Any]:
    names = tuple(spec.name for spec in records.plan(run) or ())
    done = records.all_records(run)
    kept = read_json(records.folder.below(run), STATUSES, "delete it") or []
    statuses = [JobStatus.from_json(one) for one in kept] or [status_of(one) for one in done.values()]
    view = View(run, records.submitted_to(run) or "not submitted", names, {one.name: one for one in statuses})
    timed = [job_times(record, view.statuses.get(name)) for name, record in done.items()]
    slowest = sorted(timed, key=lambda job: -job.seconds.get("total", 0.0))
    return {
        "run": run,
        "planned": planned.astimezone(UTC),
        "backend": view.backend,
        "n_jobs": len(names),
        "states": counts_text(view.counts),
        "failed": [{"name": one.name, "reason": one.reason} for one in view.failed[:JOBS_SHOWN]],
        "n_failed": len(view.failed),
        "seconds": percentiles(timed),
        "slowest": [{"name": one.name, "seconds": one.seconds} for one in slowest[:JOBS_SHOWN]],
    }
