"""The engine ``local``: processes on this machine, as many at once as it has cores."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from batch_scoring.core.processes import end_group, usable_cores
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.local_processes import cancel_processes, recent, recorded_statuses
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus, State
from batch_scoring.storage.cache import cache_folder


class LocalBackend(Backend):
    """Jobs as processes of this machine.

    ``submit`` returns when all jobs have ended. Two schedulers on a machine share the jobs of a run: a job
    that another process runs is awaited, and not run again.

    Parameters
    ----------
    data, env, settings, project
        See :func:`.open_backend`; the jobs run in ``project``.
    """

    name = "local"
    blocks_until_done = True

    def __init__(self, data: str, env: str | None, settings: JobsParameters, project: Path) -> None:
        self._data, self._env, self._settings, self._project = data, env, settings, project
        self._records = Records(data)
        self._created: dict[tuple[str, str], datetime] = {}
        self._processes: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Run the jobs that have not succeeded yet until they end, retries included."""
        self._created |= {(run, spec.name): datetime.now(UTC) for spec in specs}
        workers = self._settings.local.processes or usable_cores()
        with ThreadPoolExecutor(workers) as pool:
            try:
                return sum(pool.map(self._run_to_its_end, specs))
            except BaseException:
                self._stop()
                pool.shutdown(cancel_futures=True)
                raise

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Return the recorded statuses, and the queued jobs of this process."""
        known = recorded_statuses(self._records, run)
        waiting = {name for of, name in self._created if of == run} - {one.name for one in known}
        queued = [JobStatus(name, State.QUEUED, created=self._created[run, name]) for name in waiting]
        return recent([*queued, *known], since)

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Cancel these jobs, also where another scheduler of this machine started them or has yet to."""
        cancel_processes(self._records, run, names)

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Run these jobs again."""
        self.submit(run, specs)

    def _run_to_its_end(self, spec: JobSpec) -> bool:
        """Run a job to its end; return False where another process ran it, or it was cancelled."""
        with _lock(f"{self._records.path(spec.run)} {spec.name}") as lock:
            earlier, submitted = self._records.record(spec.run, spec.name), self._created[spec.run, spec.name]
            if earlier is not None and (
                earlier.state is State.SUCCEEDED
                or (earlier.state is State.CANCELLED and earlier.ended and earlier.ended >= submitted)
            ):
                return False
            done = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
            for _ in range(1 + self._settings.retries):
                if self._stopping.is_set() or self._attempt(spec, lock) in done:
                    break
            return True

    def _attempt(self, spec: JobSpec, lock: int) -> int:
        limit = self._settings.max_wall_time.total_seconds()
        process = subprocess.Popen(
            self._command(spec),
            cwd=self._project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[lock],  # the job goes on when its scheduler is killed, and is still the only one
        )
        which = spec.run, spec.name
        self._processes[which] = process
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            end_group(process)
            self._records.write_failure(*which, f"took longer than jobs.max_wall_time, {limit:,.0f} s")
            return 1
        finally:
            del self._processes[which]
            if (record := self._records.record(*which)) is None or not record.state.is_final:
                self._records.write_failure(
                    *which, f"the job's process ended with exit code {process.returncode}"
                )

    def _command(self, spec: JobSpec) -> list[str]:
        return [sys.executable, *spec.arguments(self._data, self._env)]

    def _stop(self) -> None:
        self._stopping.set()
        for process in list(self._processes.values()):
            end_group(process)


@contextmanager
def _lock(what: str) -> Iterator[int]:
    """Keep other schedulers of this machine from running the same job."""
    folder = cache_folder() / "jobs"
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    with (folder / hashlib.sha256(what.encode()).hexdigest()[:32]).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
