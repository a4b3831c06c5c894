"""The engine ``container_apps``: idempotent starts of one job, and what became of them."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.appcontainers import ContainerAppsAPIClient, models

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.cloud.retry import BoundedRetry
from batch_scoring.core.errors import CapacityError, InputError
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.backends.container_apps.errors import clear_errors, may_have_worked
from batch_scoring.jobs.backends.container_apps.requests import shard_of, start_request
from batch_scoring.jobs.backends.container_apps.started import Started, StartedJobs
from batch_scoring.jobs.backends.container_apps.statuses import (
    CORES,
    current,
    details,
    newest,
    state_of,
    status_of,
    trouble_of,
    unlisted,
)
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus, State
from batch_scoring.storage import Folder, is_blob

log = logging.getLogger(__name__)

API_VERSION = "2026-07-01"
# Between two tries of what may have started, doubled each time.
FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_TRIES = 6


class ContainerAppsBackend(Backend):
    """Executions of one job with a manual trigger, each of a shard.

    An execution has no name before it starts, so a start cannot be repeated blindly. Of a run one scheduler
    at a time starts jobs; it keeps what it started in the workspace, and looks at the list of executions
    before it repeats a start whose answer was lost. If a shard starts twice all the same, the second finds
    the first one's record, or loses the race to commit.

    The service restarts a replica that fails or loses its machine, as often as the job says.

    Parameters
    ----------
    data : str
        The workspace; in Blob Storage, as replicas have to reach it.
    env, settings
        See :func:`.open_backend`.
    credential : optional
        Of azure-identity; by default the environment's.
    **options
        Of the SDK's pipeline.
    """

    name = "container_apps"
    blocks_until_done = False

    def __init__(
        self, data: str, env: str | None, settings: JobsParameters, credential: Any = None, **options: Any
    ) -> None:
        self._place = settings.container_apps.place
        if not is_blob(data) and not settings.container_apps.is_loopback:
            raise InputError(
                f"{data}: replicas of Container Apps cannot reach a folder of this machine, nor a bucket; "
                "put the data in Blob Storage and name it in `data`, such as "
                "abfs://container@account.dfs.core.windows.net/fleet"
            )
        self._data, self._env, self._jobs, self._settings = data, env, settings, settings.container_apps
        self._credential, self._options = credential, options
        self._records = Records(data)

    @cached_property
    def _client(self) -> ContainerAppsAPIClient:
        return ContainerAppsAPIClient(
            token_credential(self._credential),
            self._place.subscription,
            base_url=self._settings.endpoint,
            api_version=API_VERSION,
            **({"retry_policy": BoundedRetry()} | self._options),
        )

    @property
    def _limit(self) -> timedelta:
        return self._jobs.max_wall_time

    def ensure(self) -> None:
        """Check that the job is there and may start a replica; to make it takes rights of a deployment.

        Raises
        ------
        CapacityError
            When the environment's quota does not allow one replica.
        """
        with clear_errors(self._settings):
            job = self._job()
        trigger = job.configuration.trigger_type if job.configuration else None
        if trigger != models.TriggerType.MANUAL:
            raise InputError(
                f"{self._settings.job_id}: its trigger is {trigger}; expected Manual: a start is a shard"
            )
        asked = (self._limit.total_seconds(), self._jobs.retries)
        there = (job.configuration.replica_timeout, job.configuration.replica_retry_limit)
        if there != asked:
            log.warning(
                "job %s ends replicas after %s s and retries them %s times; jobs.max_wall_time and "
                "jobs.retries say %.0f and %s: what the job says counts",
                *(self._place.job, *there, *asked),
            )
        cores = self._cores(job)
        if cores is not None and cores[1] < self._settings.cpu:
            raise CapacityError(
                f"Container Apps: the environment's quota of cores is {cores[1]:g}, and one job takes "
                f"{self._settings.cpu:g}; ask for more in the portal (Quotas)"
            )

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Start the jobs of a run that were not started before."""
        with clear_errors(self._settings), StartedJobs.alone(self._folder(run)) as started:
            self._find_starts(run, started)
            return self._start(run, [spec for spec in specs if spec.name not in started.jobs], started)

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Return the status of each job's last start; all of them, also with ``since``, as lists may lag."""
        with clear_errors(self._settings):
            listed = self._executions(run)
        started = StartedJobs.read(self._folder(run)).jobs
        found = {name: current(started.get(name), listed.get(name, ())) for name in {*started, *listed}}
        records = self._read_records(run, found)
        now = datetime.now(UTC)
        limit = self._limit * (self._jobs.retries + 1)
        return [
            status_of(name, execution, records.get(name), self._limit)
            if execution is not None
            else unlisted(name, started[name], records.get(name), now, limit)
            for name, execution in sorted(found.items())
        ]

    def trouble(self, since: datetime) -> str | None:
        """Say why executions have no replica yet: the service's words, a quota, or that it takes too long."""
        now = datetime.now(UTC)
        with clear_errors(self._settings):
            waiting = self._waiting(since)
            if not waiting:
                return None
            found = trouble_of(waiting, now, self._settings.slow_start)
            cores = self._cores(self._job())
        if cores is not None and cores[0] + self._settings.cpu > cores[1]:
            return (
                f"the quota of cores of its environment is used up ({cores[0]:g} of {cores[1]:g}); ask for "
                "more in the portal (Quotas)"
            )
        return None if found is None else f"job {self._place.job}: {found}"

    def log(self, run: str, name: str) -> str | None:
        """Return what the service says of a job's last execution; its output is in the log workspace."""
        with clear_errors(self._settings):
            found = newest(self._executions(run).get(name, ()))
        if not found:
            return None
        query = f"ContainerAppConsoleLogs | where ContainerGroupName startswith '{found[0].name}'"
        return f"{details(found[0])}\nwhat it printed: {query}"

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Stop the executions of these jobs that go on."""
        with clear_errors(self._settings):
            listed = self._executions(run)
            going = [one for name in names for one in listed.get(name, ()) if state_of(one) is None]
            with ThreadPoolExecutor(self._settings.at_once) as pool:
                list(pool.map(self._stop, going))

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Start these jobs again where they have failed or were cancelled."""
        with clear_errors(self._settings), StartedJobs.alone(self._folder(run)) as started:
            self._find_starts(run, started)
            failed = {one.name for one in self.statuses(run) if one.state in (State.FAILED, State.CANCELLED)}
            self._start(run, [spec for spec in specs if spec.name in failed], started)

    def close(self) -> None:
        """Close the connection."""
        if "_client" in self.__dict__:
            self._client.close()

    def _folder(self, run: str) -> Folder:
        return self._records.folder.below(run)

    def _find_starts(self, run: str, started: StartedJobs) -> None:
        """Keep the executions that a scheduler started and did not live to keep."""
        there = {
            name: _started(newest(found)[0])
            for name, found in self._executions(run).items()
            if name not in started.jobs
        }
        if there:
            started.add(there)

    def _start(self, run: str, specs: Sequence[JobSpec], started: StartedJobs) -> int:
        """Start these jobs; return their number. What may have worked is looked for before it is repeated."""
        if not specs:
            return 0
        job = self._job()
        missing, former = list(specs), {name: started.jobs.get(name) for name in (one.name for one in specs)}
        pause = FIRST_PAUSE_SECONDS
        for last_try in (*[False] * (_TRIES - 1), True):
            began, answers = datetime.now(UTC), self._start_each(job, missing)
            started.add(
                {name: Started(found, began) for name, found in answers.items() if isinstance(found, str)}
            )
            failed = {name: error for name, error in answers.items() if isinstance(error, AzureError)}
            missing = [spec for spec in missing if spec.name in failed]
            if not missing:
                break
            error = next(iter(failed.values()))
            if last_try or not all(map(may_have_worked, failed.values())):
                raise next((one for one in failed.values() if not may_have_worked(one)), error)
            time.sleep(_asked_pause(error) or pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            missing = self._still_missing(run, missing, former, started)
        return len(specs)

    def _start_each(self, job: models.Job, specs: Sequence[JobSpec]) -> Mapping[str, str | AzureError]:
        """Start jobs, some at once; return the name of each one's execution, or what went wrong."""

        def start(spec: JobSpec) -> str | AzureError:
            request = start_request(job, spec, self._data, self._env, self._settings)
            answers: list[Any] = []
            try:
                self._client.jobs.begin_start(
                    *(self._place.resource_group, self._place.job, request),
                    polling=False,
                    retry_total=0,  # whether it has started is to be seen before a repeat
                    raw_response_hook=answers.append,
                )
            except AzureError as error:
                return error
            # 202 has no body, or no name in it.
            response = answers[-1].http_response
            return str((response.json() if response.text() else {}).get("name") or "")

        with ThreadPoolExecutor(self._settings.at_once) as pool:
            return dict(zip((spec.name for spec in specs), pool.map(start, specs), strict=True))

    def _still_missing(
        self, run: str, specs: Sequence[JobSpec], former: Mapping[str, Any], started: StartedJobs
    ) -> list[JobSpec]:
        """Keep the starts that were made though nobody heard of it; return the others."""
        listed, made = self._executions(run), {}
        for spec in specs:
            before = former[spec.name]
            for one in newest(listed.get(spec.name, ()))[:1]:
                if before is None or (one.name != before.execution and state_of(one) is None):
                    made[spec.name] = _started(one)
        started.add(made)
        return [spec for spec in specs if spec.name not in made]

    def _waiting(self, since: datetime) -> list[models.JobExecution]:
        """Return the executions, of any run, whose jobs have not begun."""
        going: dict[str, dict[str, models.JobExecution]] = defaultdict(dict)
        for one in self._list():
            shard = shard_of(one)
            recent = one.start_time is not None and one.start_time > since - self._limit
            if shard is not None and recent and state_of(one) is None:
                going[shard[0]][shard[1]] = one
        waiting = []
        for run, found in going.items():
            records = self._records.all_records(run, found)
            statuses = (status_of(name, one, records.get(name), self._limit) for name, one in found.items())
            waiting += [found[one.name] for one in statuses if one.state is State.QUEUED]
        return waiting

    def _job(self) -> models.Job:
        return self._client.jobs.get(self._place.resource_group, self._place.job)

    def _stop(self, execution: models.JobExecution) -> None:
        try:
            self._client.jobs.begin_stop_execution(
                *(self._place.resource_group, self._place.job, execution.name or ""), polling=False
            )
        except ResourceNotFoundError:
            return  # it has ended, and is forgotten
        except HttpResponseError as error:
            if error.status_code not in (400, 409):
                raise
            # It has ended meanwhile.

    def _list(self) -> Iterable[models.JobExecution]:
        # The service refuses every filter.
        return self._client.jobs_executions.list(self._place.resource_group, self._place.job)

    def _executions(self, run: str) -> dict[str, list[models.JobExecution]]:
        """Return the listed executions of a run, by the names of its jobs."""
        found: dict[str, list[models.JobExecution]] = defaultdict(list)
        for one in self._list():
            shard = shard_of(one)
            if shard is not None and shard[0] == run:
                found[shard[1]].append(one)
        return found

    def _read_records(
        self, run: str, found: Mapping[str, models.JobExecution | None]
    ) -> dict[str, JobRecord]:
        """Read what jobs wrote, of those for which it matters: that go on, are not listed, or have failed."""
        wanted = [
            name
            for name, execution in found.items()
            if execution is None or state_of(execution) in (None, State.FAILED)
        ]
        return self._records.all_records(run, wanted)

    def _cores(self, job: models.Job) -> tuple[float, float] | None:
        """Return the cores of the environment in use, and its quota; None where they cannot be read."""
        try:
            environment = (job.environment_id or "").split("/")
            # …/resourceGroups/GROUP/providers/Microsoft.App/managedEnvironments/NAME
            usages = self._client.managed_environment_usages.list(environment[-5], environment[-1])
            for one in usages:
                if (one.name.value or "").lower() == CORES.lower():
                    return one.current_value, one.limit
        except (AzureError, IndexError) as error:
            # Starting does not depend on reading the quota: the service itself refuses what it lacks.
            log.info("the quota of cores is not checked: %s", type(error).__name__)
        return None


def _started(execution: models.JobExecution) -> Started:
    return Started(execution.name or "", execution.start_time or datetime.now(UTC))


def _asked_pause(error: AzureError) -> float | None:
    """Return how long the service asks to wait, in seconds, within bounds; None where it does not."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(float(headers["Retry-After"]), _LONGEST_PAUSE_SECONDS)
    except (KeyError, ValueError):
        return None
