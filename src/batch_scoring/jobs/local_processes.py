"""Report and cancel jobs that run as processes of this machine, whichever engine started them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from batch_scoring.core.processes import arguments_of
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import JobStatus, State

_CANCELLED = "cancelled"


def status_of(record: JobRecord) -> JobStatus:
    """Return the status in a job's record; a job whose process is gone has failed."""
    state, reason = record.state, record.reason
    if state is State.RUNNING and record.host == socket.gethostname() and not is_alive(record):
        state, reason = State.FAILED, "its process is gone: it was killed, or the machine went down"
    if record.exit_code == 128 + signal.SIGTERM:
        state, reason = State.CANCELLED, _CANCELLED
    times = (record.started, record.started, record.ended)
    return JobStatus(
        *(record.name, state, reason, record.exit_code, *times, record.host),
        changed=record.ended or record.started,
    )


def is_alive(record: JobRecord) -> bool:
    """Return whether a job's process still runs on this machine."""
    if record.host != socket.gethostname() or record.state is not State.RUNNING:
        return False
    return record.name in arguments_of(record.pid)


def recorded_statuses(records: Records, run: str) -> list[JobStatus]:
    """Return the status of each job of a run with a record."""
    return [status_of(record) for record in records.all_records(run).values()]


def cancel_processes(records: Records, run: str, names: Sequence[str]) -> None:
    """Cancel these jobs, also where another scheduler of this machine started them or has yet to."""
    for name in names:
        record = records.record(run, name)
        if record is not None and is_alive(record):
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGTERM)
        elif record is None:
            now = datetime.now(UTC)
            cancelled = JobRecord(run, name, State.CANCELLED, 0, reason=_CANCELLED, ended=now)
            records.write_record(cancelled)


def recent(statuses: Sequence[JobStatus], since: datetime | None) -> list[JobStatus]:
    """Keep the statuses that may have changed since a time, sorted by name."""
    kept = [one for one in statuses if since is None or one.changed is None or one.changed >= since]
    return sorted(kept, key=lambda one: one.name)
