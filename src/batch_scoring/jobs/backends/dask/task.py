"""Run a job on a Dask worker: a child process, ended at its time limit or when cancelled."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from batch_scoring.core.processes import end_group
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.run_job import why
from batch_scoring.jobs.specs import State

_SECONDS_BETWEEN_LOOKS = 0.5
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)


class JobError(Exception):
    """A job has failed; one sentence says why."""


@dataclass(frozen=True)
class Job:
    """Job as sent to a worker, which takes credentials from its own environment.

    Attributes
    ----------
    data : str
        The workspace: a URL, or a folder that the worker sees under the same path.
    arguments : tuple of str
        Of ``python``.
    max_seconds : float
    project : str or None
        Where it runs: the folder with ``conf/``; None: where the worker was started.
    is_here : bool
        Whether the worker is one of the submitting command; its jobs are cancelled by a signal.
    """

    data: str
    run: str
    name: str
    arguments: tuple[str, ...]
    max_seconds: float
    project: str | None = None
    is_here: bool = False


def run_job(job: Job) -> str:
    """Run a job to its end; return the worker's address, also where the job was cancelled.

    Raises
    ------
    JobError
        When it failed; Dask then retries as configured.
    """
    from distributed import get_worker

    worker = get_worker()
    records = Records(job.data)
    if records.plan(job.run) is None:
        raise JobError(
            f"worker {worker.address} finds no plan of {job.run} in {records.path(job.run)}; workers need "
            "the same data: let `data` be a URL, or a folder shared under the same path"
        )
    if job.project is not None and not Path(job.project).is_dir():
        raise JobError(
            f"worker {worker.address} has no folder {job.project}; set jobs.dask.project to the folder that "
            "holds conf/ there, or to null for the one it was started in"
        )
    earlier = records.record(job.run, job.name)
    if earlier is not None and earlier.state is State.SUCCEEDED:
        # Dask reruns a job whose result was on a worker that it has lost since.
        return str(worker.address)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "batch_scoring.jobs.tether", *job.arguments],
            cwd=job.project,
            stdin=subprocess.PIPE,  # the tether, see there
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            _wait(process, time.monotonic() + job.max_seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            reason = f"took longer than jobs.max_wall_time, {job.max_seconds:,.0f} s"
            records.write_failure(job.run, job.name, reason)
            raise JobError(reason) from None
        finally:
            _end(process)
        was_cancelled = job.is_here and process.returncode in _TERMINATED
        if process.returncode != 0 and not was_cancelled:
            raise JobError(_why(records, job, process.returncode, errors))
    return str(worker.address)


def _wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait for a process; end it where its job was cancelled meanwhile."""
    from distributed import get_worker
    from distributed.worker import thread_state

    tasks, key = get_worker().state.tasks, thread_state.key
    while True:
        try:
            process.wait(_SECONDS_BETWEEN_LOOKS)
            return
        except subprocess.TimeoutExpired:
            task = tasks.get(key)
            if task is None or task.state == "cancelled":
                _end(process)
                return
            if time.monotonic() > deadline:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a job's process group, and close its tether."""
    assert process.stdin is not None
    end_group(process)
    process.stdin.close()


def _why(records: Records, job: Job, code: int, errors: IO[bytes]) -> str:
    """Explain why a job failed: its recorded reason, else the last line of its output."""
    record = records.record(job.run, job.name)
    if record is not None and record.exit_code == code and record.reason:
        return record.reason
    errors.seek(0)
    return why(128 - code if code < 0 else code, errors.read().decode("utf-8", "replace"))
