"""Convert executions of Container Apps to our own plain values; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from batch_scoring.core.processes import KILLED, TERMINATED
from batch_scoring.core.text import duration, short_line
from batch_scoring.jobs.backends.container_apps.started import Started
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import JobStatus, State

if TYPE_CHECKING:
    from azure.mgmt.appcontainers.models import ContainerExecutionStatus, JobExecution

# Clocks of the service and of this machine differ.
OVERLAP = timedelta(seconds=5)
# An execution that is not listed this long after its start has been forgotten, or never came to be.
LISTED_WITHIN = timedelta(minutes=5)
_FINAL = {"succeeded": State.SUCCEEDED, "failed": State.FAILED, "stopped": State.CANCELLED}
# A replica that was ended at its time limit has run at least this share of it.
_ALMOST = 0.98
# Exit codes of a container that was ended from outside.
_KILLED = (None, 128 + KILLED, 128 + TERMINATED)
CORES = "ManagedEnvironmentConsumptionCores"


def newest(executions: Iterable[JobExecution]) -> list[JobExecution]:
    """Sort executions, the one that started last first."""
    return sorted(executions, key=lambda one: (_seconds(one.start_time), one.name or ""), reverse=True)


def state_of(execution: JobExecution) -> State | None:
    """Return how an execution ended; None while it goes on.

    The service says Running from the start on, also while the replica has no machine yet.
    """
    return _FINAL.get(str(getattr(execution.status, "value", execution.status) or "").lower())


def current(started: Started | None, executions: Iterable[JobExecution]) -> JobExecution | None:
    """Return the execution that is a job's last start; None where it is not listed.

    Parameters
    ----------
    started : Started or None
        What the workspace knows.
    executions : iterable of JobExecution
        All listed ones of the job.
    """
    for one in newest(executions):
        if started is None or one.name == started.execution:
            return one
        if not started.execution and one.start_time and one.start_time >= started.at - OVERLAP:
            return one
    return None


def status_of(name: str, execution: JobExecution, record: JobRecord | None, limit: timedelta) -> JobStatus:
    """Return the status of a listed execution.

    Parameters
    ----------
    name : str
        Of the job.
    execution : JobExecution
    record : JobRecord or None
        What the job wrote of its last attempt: that it has begun, and why it failed.
    limit : timedelta
        The time limit of a replica.
    """
    created, ended = execution.start_time, execution.end_time
    if record is not None and created is not None and _is_before(record, created):
        record = None
    began = record.started if record is not None else None
    node = record.host if record is not None else ""
    state, reason, code = state_of(execution), "", record.exit_code if record is not None else None
    if state is None:
        state = State.RUNNING if record is not None else State.QUEUED
        return JobStatus(name, state, created=created, started=began, node=node, changed=began or created)
    if state is State.SUCCEEDED:
        code = 0
    elif state is State.CANCELLED:
        reason = "cancelled"
    else:
        code = exit_code(execution) if code is None else code
        took = ended - created if ended and created else timedelta(0)
        reason = _why(execution, record, code, took, limit)
    return JobStatus(name, state, reason, code, created, began or created, ended, node, ended)


def unlisted(
    name: str, started: Started, record: JobRecord | None, now: datetime, limit: timedelta
) -> JobStatus:
    """Return the status of a start that the service does not list, from what the job wrote itself.

    The service keeps the history of some executions only.

    Parameters
    ----------
    limit : timedelta
        A start that has written nothing for this long is over.
    """
    if record is not None and _is_before(record, started.at):
        record = None
    if record is not None and record.state.is_final:
        times = (started.at, record.started, record.ended)
        return JobStatus(
            name, record.state, record.reason, record.exit_code, *times, record.host, record.ended
        )
    patience = LISTED_WITHIN if record is None else max(limit, LISTED_WITHIN)
    if now - started.at < patience:
        state = State.QUEUED if record is None else State.RUNNING
        began = record.started if record is not None else None
        return JobStatus(name, state, created=started.at, started=began, changed=began or started.at)
    reason = f"its execution {started.execution} is not in the history of the service; retry the job"
    return JobStatus(name, State.FAILED, reason, created=started.at, ended=now, changed=now)


def exit_code(execution: JobExecution) -> int | None:
    """Return the exit code of an execution's container, as far as the service tells it."""
    codes = [one.code for one in _containers(execution) if one.code is not None]
    return codes[-1] if codes else None


def details(execution: JobExecution) -> str:
    """Describe an execution in lines: what the service says of it and of its containers."""
    lines = [f"execution {execution.name}: {execution.status}"]
    lines += [text for text in (execution.reason, execution.message) if text]
    for one in _containers(execution):
        more = f": {one.additional_information}" if one.additional_information else ""
        code = f", exit code {one.code}" if one.code is not None else ""
        lines.append(f"container {one.name}: {one.status}{code}{more}")
    return "\n".join(lines)


def trouble_of(waiting: Iterable[JobExecution], now: datetime, slow: timedelta) -> str | None:
    """Say why executions that go on have no replica yet: in the service's words, or since it takes too long.

    Parameters
    ----------
    slow : timedelta
        A replica that has not begun after this long is reported.
    """
    listed = newest(waiting)
    for one in listed:
        if one.message or one.reason:
            return ": ".join(short_line(text) for text in (one.reason, one.message) if text)
    late = [one.start_time for one in listed if one.start_time and now - one.start_time >= slow]
    if not late:
        return None
    return (
        f"no replica has begun {duration((now - min(late)).total_seconds())} after its start; the "
        "environment may have no machines, or the image cannot be pulled (see the table "
        "ContainerAppSystemLogs of its log workspace)"
    )


def _why(
    execution: JobExecution,
    record: JobRecord | None,
    code: int | None,
    took: timedelta,
    limit: timedelta,
) -> str:
    if record is not None and record.state is State.FAILED and record.reason:
        return record.reason
    if code in _KILLED and took >= limit * _ALMOST:
        return f"took longer than jobs.max_wall_time, {limit.total_seconds():,.0f} s"
    if code:
        return f"its container ended with exit code {code}"
    said = [text for text in (execution.reason, execution.message) if text]
    said += [one.additional_information for one in _containers(execution) if one.additional_information]
    return (
        ": ".join(map(short_line, said))
        or "its container failed, and the service gives no reason; see its log"
    )


def _containers(execution: JobExecution) -> list[ContainerExecutionStatus]:
    replicas = (execution.detailed_status.replicas if execution.detailed_status else None) or []
    return [one for replica in replicas for one in replica.containers or []]


def _is_before(record: JobRecord, moment: datetime) -> bool:
    """Whether a record is of an earlier start."""
    return record.started is None or record.started < moment - OVERLAP


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else 0.0
