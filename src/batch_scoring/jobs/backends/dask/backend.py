"""The engine ``dask``: each job a task of a Dask cluster, of one's own machines or of this one.

Dask holds a job once, by its key, and reruns it elsewhere when it loses a worker. Dask reports the outcome of
a job while it knows the job; the job's record in the workspace always does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.processes import usable_cores
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.backends.dask.task import Job, JobError, run_job
from batch_scoring.jobs.local_processes import cancel_processes, recent, recorded_statuses, status_of
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus, NodeCounts, State
from batch_scoring.storage import is_remote

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10.0
FORGOTTEN = "Dask gave up the job, and no longer knows why"
_LOST = (
    "Dask does not know the job any more: its scheduler was restarted; "
    "submit the run again, or `kedro jobs retry`"
)


class DaskBackend(Backend):
    """Jobs as tasks of Dask.

    With an address of a scheduler ``submit`` returns at once, and other processes see the jobs. Without one,
    workers are started on this machine, and ``submit`` returns when all jobs have ended.

    Parameters
    ----------
    data : str
        The workspace, for the workers too: a URL, or a folder that they see under the same path.
    env, settings, project
        See :func:`.open_backend`; workers on this machine run in ``project``.
    """

    name = "dask"

    def __init__(self, data: str, env: str | None, settings: JobsParameters, project: Path) -> None:
        self._data = data if is_remote(data) else str((project / data).resolve())
        self._env, self._settings, self._project = env, settings, project
        self._records = Records(self._data)
        # Workers of this command end with it.
        self.blocks_until_done = settings.dask.scheduler is None
        self._known: Client | None = None
        self._final: dict[tuple[str, str], JobStatus] = {}
        self._erred: dict[str, dict[str, Any]] = {}
        # Two workspaces may share a scheduler.
        self._prefix = f"batch_scoring-{hashlib.sha256(self._data.encode()).hexdigest()[:8]}"

    def ensure(self) -> None:
        """Connect to the scheduler, or start workers on this machine."""
        self._client()

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Submit the jobs that Dask lacks and that have neither succeeded nor been cancelled."""
        client = self._client()
        with self._alone(client, run):
            states = self._states(client, run, [spec.name for spec in specs])
            missing = [spec for spec in specs if states[spec.name] is None]
            done = self._records.all_records(run, [spec.name for spec in missing])
            new = [spec for spec in missing if not stays(done.get(spec.name))]
            self._send(client, run, new)
        if self._settings.dask.scheduler is None:
            self._wait(client, run)
        return len(new)

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Return the jobs' statuses from Dask and from their records."""
        if not self._can_ask:
            # Workers of another process of this machine: what they run are its processes.
            return recent(recorded_statuses(self._records, run), since)
        found = self._ask(self._client(), run, self._planned(run))
        return recent(found, since)

    def nodes(self) -> NodeCounts | None:
        """Count the workers; None before there are any."""
        if not self._can_ask:
            return None
        busy = [len(keys) > 0 for keys in self._client().processing().values()]
        return NodeCounts(idle=busy.count(False), running=busy.count(True))

    def log(self, run: str, name: str) -> str | None:
        """Return why Dask could not run a job."""
        if not self._can_ask:
            return None
        client = self._client()
        if self._states(client, run, [name])[name] != "erred":
            return None
        return self._reason(client, run, name)

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Cancel these jobs in Dask; a worker that runs one ends it."""
        if not self._can_ask:
            cancel_processes(self._records, run, names)
            return
        client = self._client()
        states = self._states(client, run, names)
        live = [name for name in names if states[name] not in (None, "memory", "erred")]
        if not live:
            return
        client.cancel(self._futures(client, run, live), force=True)
        deadline = time.monotonic() + CONNECT_SECONDS
        while any(self._states(client, run, live).values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        records = self._records.all_records(run, live)
        for name in live:
            if name not in records or not records[name].state.is_final:
                record = records.get(name) or JobRecord(run, name, State.CANCELLED, 0)
                ended = replace(record, state=State.CANCELLED, reason="cancelled", ended=datetime.now(UTC))
                self._records.write_record(ended)

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Run these jobs again, with all of Dask's retries."""
        client = self._client()
        with self._alone(client, run):
            self._erred.pop(run, None)
            states = self._states(client, run, [spec.name for spec in specs])
            # An ended task is dropped first: Dask would return its old result.
            ended = [name for name, state in states.items() if state in ("erred", "memory")]
            if ended:
                client.cancel(self._futures(client, run, ended), force=True)
            again = [spec for spec in specs if spec.name in ended or states[spec.name] is None]
            self._send(client, run, again)
        if self._settings.dask.scheduler is None:
            self._wait(client, run)

    def delete(self, run: str) -> None:
        """Remove the run from Dask."""
        if self._settings.dask.scheduler is not None:
            self._client().unpublish_dataset(self._dataset(run))

    def close(self) -> None:
        """Disconnect from the scheduler; workers of this process end."""
        if self._known is not None:
            cluster = self._known.cluster
            self._known.close()
            if cluster is not None:
                cluster.close()
            self._known = None

    @property
    def _can_ask(self) -> bool:
        """Whether there is a scheduler to ask."""
        return self._settings.dask.scheduler is not None or self._known is not None

    def _client(self) -> Client:
        if self._known is None:
            self._known = connect(self._settings)
        return self._known

    def _planned(self, run: str) -> list[str]:
        """Read the names of all jobs of a run."""
        return [spec.name for spec in self._records.plan(run) or []]

    def _dataset(self, run: str) -> str:
        return f"{self._prefix}/{run}"

    def _key(self, run: str, name: str) -> str:
        return f"{self._prefix}/{run}/{name}"

    @contextmanager
    def _alone(self, client: Client, run: str) -> Iterator[None]:
        """Keep other schedulers of ours from submitting the run at the same time."""
        from distributed import Lock

        with client.as_current(), Lock(f"{self._dataset(run)} submission"):
            yield

    def _states(self, client: Client, run: str, names: Sequence[str]) -> dict[str, str | None]:
        """Return the states of these jobs' tasks by name; None where Dask has none."""
        keys = {self._key(run, name): name for name in names}
        found = client.sync(client.scheduler.get_task_status, keys=list(keys))
        return {name: found[key] for key, name in keys.items()}

    def _futures(self, client: Client, run: str, names: Iterable[str]) -> list[Any]:
        """Make handles to cancel or keep tasks; they do not follow the tasks' states."""
        from distributed import Future

        return [Future(self._key(run, name), client) for name in names]

    def _send(self, client: Client, run: str, specs: Sequence[JobSpec]) -> None:
        """Submit jobs, and publish them with the existing ones to outlive this process."""
        if not specs:
            return
        new = {spec.name for spec in specs}
        self._final = {
            job: status for job, status in self._final.items() if job[0] != run or job[1] not in new
        }
        states = self._states(client, run, [name for name in self._planned(run) if name not in new])
        there = [name for name, state in states.items() if state is not None]
        futures = client.map(
            run_job,
            [self._job(spec) for spec in specs],
            key=[self._key(run, spec.name) for spec in specs],
            retries=self._settings.retries,
            pure=False,
        )
        everything = [*futures, *self._futures(client, run, there)]
        client.publish_dataset(everything, name=self._dataset(run), override=True)

    def _job(self, spec: JobSpec) -> Job:
        is_here = self._settings.dask.scheduler is None
        return Job(
            self._data,
            spec.run,
            spec.name,
            self._arguments(spec),
            self._settings.max_wall_time.total_seconds(),
            str(self._project) if is_here else self._settings.dask.project,
            is_here,
        )

    def _arguments(self, spec: JobSpec) -> tuple[str, ...]:
        return tuple(spec.arguments(self._data, self._env))

    def _published(self, client: Client, run: str) -> dict[str, Any]:
        """Return the published futures of a run by name; these follow the tasks' states."""
        names = {self._key(run, name): name for name in self._planned(run)}
        kept = client.get_dataset(self._dataset(run), default=[])
        return {names[future.key]: future for future in kept if future.key in names}

    def _wait(self, client: Client, run: str) -> None:
        """Wait for the jobs, and remove them from Dask, whose workers end with this process."""
        from distributed import wait

        futures = self._published(client, run)
        with client.as_current():
            wait(list(futures.values()))
        self._ask(client, run, list(futures))
        client.cancel(list(futures.values()), force=True)
        client.unpublish_dataset(self._dataset(run))

    def _ask(self, client: Client, run: str, names: Sequence[str]) -> list[JobStatus]:
        """Return the statuses of these jobs; only records that may have changed are read."""
        open_ = [name for name in names if (run, name) not in self._final]
        states = self._states(client, run, open_)
        waiting = ("waiting", "queued", "no-worker", "released")
        records = self._records.all_records(run, [name for name in open_ if states[name] not in waiting])
        found = {}
        for name in open_:
            reason = self._reason(client, run, name) if states[name] == "erred" else ""
            status = status_from(name, states[name], records.get(name), reason)
            if status is not None:
                found[name] = status
        self._final |= {(run, name): one for name, one in found.items() if one.state.is_final}
        return [
            found.get(name) or self._final[run, name] for name in names if name in found or name not in open_
        ]

    def _reason(self, client: Client, run: str, name: str) -> str:
        if name not in self._erred.get(run, {}):
            self._erred[run] = self._published(client, run)
        future = self._erred[run].get(name)
        return FORGOTTEN if future is None else why_it_failed(future.exception(timeout=CONNECT_SECONDS))


def connect(settings: JobsParameters) -> Client:
    """Connect a client to the scheduler, or to workers of this process.

    Raises
    ------
    InputError
        When Dask is not installed, or the scheduler does not answer.
    """
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            f"jobs.backend: dask needs {error.name or 'distributed'}; pip install 'batch_scoring[dask]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.WARNING)
    address = settings.dask.scheduler
    if address is None:
        # All jobs have ended when our workers are closed. A worker that is slow to end is killed after three
        # seconds; the nanny's warning ("still alive") is of no use to a reader of the command's output.
        logging.getLogger("distributed.nanny").setLevel(logging.ERROR)
        # Our workers log nothing, also when they end: we report each job's outcome.
        quiet = {"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"}
        with dask.config.set(quiet), kept_environment():
            cluster = LocalCluster(
                n_workers=settings.dask.workers or usable_cores(),
                threads_per_worker=settings.dask.threads,
                processes=True,
                dashboard_address=":0",
            )
        return Client(cluster, set_as_default=False)
    with suppress(ValueError):
        try:
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise InputError(
                f"jobs.dask.scheduler: no answer from {address} within {CONNECT_SECONDS:.0f} s; "
                "start one with `dask scheduler`, or write null for workers on this machine"
            ) from error
    raise InputError(f"jobs.dask.scheduler: {address!r} is not a valid address of a Dask scheduler")


@contextmanager
def kept_environment() -> Iterator[None]:
    """Restore the environment variables that Dask sets for the workers it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def why_it_failed(error: BaseException | None) -> str:
    """Explain in one sentence why Dask gave up a job."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "the workers that ran it died, one after the other; check that they have enough memory"
    return str(error) if isinstance(error, JobError) else f"{type(error).__name__}: {error}"


def status_from(name: str, task: str | None, record: JobRecord | None, reason: str = "") -> JobStatus | None:
    """Return the status of a job; None where nothing is known.

    Parameters
    ----------
    task : str or None
        The state of its task, as Dask's scheduler calls it; None without a task.
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
