"""The engine ``batch_ai``: a run is an experiment, a shard is a job of it, in one container on one node."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.mgmt.batchai import models

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.backends.batch_ai import requests
from batch_scoring.jobs.backends.batch_ai.client import Resources, connect
from batch_scoring.jobs.backends.batch_ai.errors import clear_errors, errors_of, final_state
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus, NodeCounts, State
from batch_scoring.storage import is_blob

T = TypeVar("T")

_SECONDS_TO_CREATE = 600.0
# The service's name of the directory with a job's output.
_STDOUTERR = "stdouterr"
# Shown from the end of each file.
_MOST_BYTES = 64 * 1024
_STATES = {"queued": State.QUEUED, "running": State.RUNNING, "terminating": State.RUNNING}
# Between a job's name and 2, 3, …; no job of a plan has it in its name.
_MARK = "__"


@dataclass(frozen=True)
class Attempt:
    """A job of the service: one attempt at a job of a run."""

    name: str
    number: int
    job: models.Job

    @classmethod
    def of(cls, job: models.Job) -> Attempt:
        """Read job and attempt from the name of a job of the service."""
        name, mark, number = job.name.rpartition(_MARK)
        return cls(name, int(number), job) if mark and number.isdecimal() else cls(job.name, 1, job)

    @property
    def next_name(self) -> str:
        """The name of the attempt after this one."""
        return f"{self.name}{_MARK}{self.number + 1}"

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self.job.execution_state in ("succeeded", "failed")

    @property
    def changed(self) -> datetime | None:
        """When its state last changed, by the service's clock."""
        moment: datetime | None = self.job.execution_state_transition_time or self.job.creation_time
        return moment


class BatchAIBackend(Backend):
    """Jobs as jobs of Batch AI.

    The service has no filter for jobs: every poll lists all jobs of a run, a thousand per request. It
    reruns a job that lost its node; a job that fails is retried by its own command line.

    Parameters
    ----------
    data, env, settings
        See :func:`.open_backend`.
    credential, **options
        See :func:`.connect`.
    """

    name = "batch_ai"
    blocks_until_done = False

    def __init__(
        self, data: str, env: str | None, settings: JobsParameters, credential: Any = None, **options: Any
    ) -> None:
        self._env, self._jobs, self._settings = env, settings, settings.batch_ai
        self._settings.check_complete()
        self._data = _data_on_nodes(data, self._settings.data)
        self._records = Records(data)
        self._client = connect(self._settings, credential, **options)
        self._place = (self._settings.resource_group, self._settings.workspace)
        self.resources = Resources(self._client, self._settings)

    def ensure(self) -> None:
        """Create the workspace, the file server and the cluster unless they exist."""
        self.resources.ensure_workspace()
        self.resources.ensure_file_server()
        self.resources.ensure_cluster()

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Create the missing jobs, one request each, and wait until the service has them."""
        self.resources.ensure_experiment(run)
        there = self._attempts(run)
        return self._create(run, {spec.name: spec for spec in specs if spec.name not in there})

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Return the status of each job's last attempt; all are requested, also with ``since``.

        Raises
        ------
        InputError
            When no node can be started, so that the jobs would never run.
        """
        attempts = self._attempts(run)
        states = {one.job.execution_state for one in attempts.values()}
        if "queued" in states and "running" not in states:
            self._check_nodes_come()
        changed = [
            one
            for one in attempts.values()
            if since is None or (moment := one.changed) is None or moment >= since
        ]
        return [self._status(run, one) for one in sorted(changed, key=lambda one: one.name)]

    def nodes(self) -> NodeCounts | None:
        """Count the cluster's nodes; none without a cluster."""
        with clear_errors(self._cluster, self._settings):
            try:
                cluster = self._client.clusters.get(*self._place, self._settings.cluster.name)
            except ResourceNotFoundError:
                return NodeCounts()
        counts = cluster.node_state_counts or models.NodeStateCounts()
        return NodeCounts(
            idle=counts.idle_node_count or 0,
            running=counts.running_node_count or 0,
            preparing=counts.preparing_node_count or 0,
            unusable=counts.unusable_node_count or 0,
            leaving=counts.leaving_node_count or 0,
        )

    def log(self, run: str, name: str) -> str | None:
        """Return the service's log and the output of the last attempt."""
        attempt = self._attempts(run).get(name)
        if attempt is None:
            return None
        options = models.JobsListOutputFilesOptions(outputdirectoryid=_STDOUTERR)
        with clear_errors(f"output of job {name!r}", self._settings):
            try:
                files = self._client.jobs.list_output_files(*self._place, run, attempt.job.name, options)
                return _read_output(list(files))
            except ResourceNotFoundError:
                return None

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Terminate the last attempts at these jobs."""
        attempts = self._attempts(run)
        going = [attempts[name] for name in names if name in attempts and not attempts[name].ended]
        self._each((one.job.name for one in going), lambda name: self._terminate(run, name))

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Create the next attempt at each of these jobs; unfinished ones go on.

        The attempt's number is part of its name, so two retries at once create one, and earlier attempts keep
        their output.
        """
        attempts = self._attempts(run)
        again = {}
        for spec in specs:
            before = attempts.get(spec.name)
            if before is None:
                again[spec.name] = spec
            elif before.ended:
                again[before.next_name] = spec
        self._create(run, again)

    def delete(self, run: str) -> None:
        """Delete the experiment with all its jobs."""
        with clear_errors(f"experiment {run!r}", self._settings):
            try:
                self._client.experiments.begin_delete(*self._place, run).wait()
            except ResourceNotFoundError:
                return

    @property
    def _cluster(self) -> str:
        return f"cluster {self._settings.cluster.name!r}"

    def _create(self, run: str, specs: dict[str, JobSpec]) -> int:
        """Create jobs under these names until the service has them; return how many are new.

        Raises
        ------
        InputError
            When one cannot be created, or not in time.
        """
        new: set[str] = set()
        missing, give_up = dict(specs), time.monotonic() + _SECONDS_TO_CREATE
        while missing:
            accepted = self._each(missing, lambda name: self._create_one(run, name, specs[name]))
            new |= {name for name, is_new in zip(missing, accepted, strict=True) if is_new}
            missing = self._await_created(run, specs, give_up)
            if missing:
                self._pause(run, give_up)
        return len(new)

    def _create_one(self, run: str, name: str, spec: JobSpec) -> bool:
        """Create a job; return whether it is new."""
        body = requests.job(
            *(spec, self._settings, self._data, self._env),
            *(self._jobs.max_wall_time, self._jobs.retries),
        )
        answers: list[int] = []
        with clear_errors(f"job {name!r}", self._settings):
            try:
                self._client.jobs.begin_create(
                    *(*self._place, run, name, body),
                    polling=False,  # one listing later covers all of them
                    raw_response_hook=lambda answer: answers.append(answer.http_response.status_code),
                )
            except ResourceExistsError as conflict:
                if "quota" in str(conflict.message).lower():
                    raise
                return False
        # 200: there already, and the same.
        return answers[-1] == 202

    def _await_created(self, run: str, specs: dict[str, JobSpec], give_up: float) -> dict[str, JobSpec]:
        """Wait until the service has created these jobs; return the missing ones."""
        while True:
            there = {job.name: job for job in self._list(run)}
            states = {name: there[name].provisioning_state for name in specs.keys() & there.keys()}
            for name, state in states.items():
                if state == "failed":
                    raise InputError(
                        f"Batch AI, job {name!r}: could not be created; check the cluster, delete "
                        "the run and submit again"
                    )
            if set(states.values()) <= {"succeeded"}:
                return {name: spec for name, spec in specs.items() if name not in there}
            self._pause(run, give_up)

    def _pause(self, run: str, give_up: float) -> None:
        if time.monotonic() > give_up:
            raise InputError(
                f"Batch AI: not all jobs of {run} exist after {_SECONDS_TO_CREATE:,.0f} s; submit again"
            )
        time.sleep(max(self._settings.poll_seconds, 0.05))

    def _attempts(self, run: str) -> dict[str, Attempt]:
        """Return the last attempt at each job of a run, by the job's name."""
        found: dict[str, Attempt] = {}
        for attempt in map(Attempt.of, self._list(run)):
            if attempt.name not in found or found[attempt.name].number < attempt.number:
                found[attempt.name] = attempt
        return found

    def _list(self, run: str) -> list[models.Job]:
        """List all jobs of a run; empty without its experiment."""
        with clear_errors(f"jobs of {run!r}", self._settings):
            try:
                return list(self._client.jobs.list_by_experiment(*self._place, run))
            except ResourceNotFoundError:
                return []

    def _check_nodes_come(self) -> None:
        with clear_errors(self._cluster, self._settings):
            cluster = self._client.clusters.get(*self._place, self._settings.cluster.name)
        reported = errors_of(cluster.errors)
        if reported and not cluster.current_node_count:
            raise InputError(
                f"Batch AI, {self._cluster}: no node can be started ({reported}), and jobs wait; ask for "
                "more quota, or lower jobs.batch_ai.cluster.max_nodes"
            )

    def _status(self, run: str, attempt: Attempt) -> JobStatus:
        job, info = attempt.job, attempt.job.execution_info
        state, reason = (
            final_state(job) if attempt.ended else (_STATES.get(job.execution_state, State.QUEUED), "")
        )
        code = info.exit_code if info is not None else None
        # The service knows only the exit code; the job's record has the reason.
        if state is State.FAILED and code is not None:
            record = self._records.record(run, attempt.name)
            if record is not None and record.state is State.FAILED and record.exit_code == code:
                reason = record.reason or reason
        return JobStatus(
            *(attempt.name, state, reason, code, job.creation_time),
            started=info.start_time if info is not None else None,
            ended=info.end_time if info is not None else None,
            changed=attempt.changed,
        )

    def _terminate(self, run: str, name: str) -> None:
        with clear_errors(f"job {name!r}", self._settings):
            try:
                self._client.jobs.begin_terminate(*self._place, run, name, polling=False)
            except (ResourceNotFoundError, ResourceExistsError):
                return  # it is gone, or has ended meanwhile

    def _each(self, names: Iterable[str], act: Callable[[str], T]) -> list[T]:
        """Act on all names, some at once; the first error stops it."""
        with ThreadPoolExecutor(self._settings.at_once) as pool:
            try:
                return list(pool.map(act, names))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _data_on_nodes(data: str, given: str | None) -> str:
    """Return the workspace as the nodes see it."""
    if given is None and not is_blob(data):
        raise InputError(
            f"{data}: this folder is not on the nodes; set jobs.batch_ai.data to its path there, such as "
            "$AZ_BATCHAI_MOUNT_ROOT/fleet, or keep the data in Blob Storage"
        )
    return given or data


def _read_output(files: Sequence[models.File]) -> str | None:
    """Read the ends of a job's files, each under its name; None without files."""
    there = sorted((file for file in files if file.file_type == "file"), key=lambda file: file.name)
    return "\n".join(f"== {file.name}\n{_tail(file)}" for file in there) or None


def _tail(file: models.File) -> str:
    """Read the end of an output file; its URL holds a signature and stays out of messages."""
    size = file.content_length or 0
    if not size or not file.download_url.startswith(("https://", "http://")):
        return ""
    asked = urllib.request.Request(
        file.download_url, headers={"Range": f"bytes={max(0, size - _MOST_BYTES)}-{size - 1}"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:  # nosec B310
            return str(answer.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, TimeoutError) as error:
        why = error.code if isinstance(error, urllib.error.HTTPError) else "no answer"
        return f"(cannot be read: {why}; check that this machine may read the account of jobs.batch_ai.logs)"
