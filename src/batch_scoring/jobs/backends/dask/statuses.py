"""Derive a job's status from its Dask task and its own record; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from batch_scoring.jobs.local_processes import status_of
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import JobStatus, State

FORGOTTEN = "Dask gave up the job, and no longer knows why"
_LOST = (
    "Dask does not know the job any more: its scheduler was restarted; "
    "submit the run again, or `kedro jobs retry`"
)


def status_from(name: str, task: str | None, record: JobRecord | None, reason: str = "") -> JobStatus | None:
    """Return the status of a job; None where nothing is known.

    Parameters
    ----------
    name : str
    task : str or None
        The state of its task, as Dask's scheduler calls it; None without a task.
    record : JobRecord or None
    reason : str
        Why the task failed.
    """
    if record is not None and record.state is State.SUCCEEDED:
        return status_of(record)
    if task is None:
        status = None if record is None else status_of(record)
        is_lost = record is not None and record.state is State.RUNNING
        return replace(status, state=State.FAILED, reason=_LOST) if status and is_lost else status
    if task == "memory":
        if record is not None and record.state.is_final:
            return status_of(record)
        return JobStatus(name, State.SUCCEEDED, exit_code=0, changed=datetime.now(UTC))
    if task == "erred":
        now = datetime.now(UTC)
        base = JobStatus(name, State.FAILED) if record is None else status_of(record)
        return replace(base, state=State.FAILED, reason=reason, ended=base.ended or now, changed=now)
    if task != "processing":
        return JobStatus(name, State.QUEUED)
    if record is not None and record.state is State.RUNNING:
        started = record.started
        return JobStatus(name, State.RUNNING, started=started, node=record.host, changed=started)
    # The record may be of a failed attempt; the next one is about to start.
    return JobStatus(name, State.PREPARING)


def stays(record: JobRecord | None) -> bool:
    """Return whether a job without a task stays as it is, and is not run again."""
    return record is not None and status_of(record).state in (State.SUCCEEDED, State.CANCELLED)
