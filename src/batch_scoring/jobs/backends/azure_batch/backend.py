"""The engine ``azure_batch``: idempotent calls on an Azure Batch account."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.client import add_tasks, last_of_file, open_client
from batch_scoring.jobs.backends.azure_batch.errors import clear_errors, error_code
from batch_scoring.jobs.backends.azure_batch.management import create_pool
from batch_scoring.jobs.backends.azure_batch.quotas import require_quota
from batch_scoring.jobs.backends.azure_batch.requests import (
    OUTPUTS,
    job_request,
    pool_request,
    task_request,
)
from batch_scoring.jobs.backends.azure_batch.statuses import SELECTED, node_counts, task_status, trouble_of
from batch_scoring.jobs.backends.base import Backend
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import JobSpec, JobStatus, NodeCounts, State
from batch_scoring.storage import is_blob

log = logging.getLogger(__name__)

# Error codes of a job that takes no more tasks.
_JOB_ENDED = ("JobCompleted", "JobTerminating", "JobDisabled")
# Clocks of nodes and service differ; changes of these last seconds are requested again.
_OVERLAP = timedelta(seconds=5)
_CALLS = 8  # at once, where there is one for each task
_ATTEMPTS = 5


class AzureBatchBackend(Backend):
    """One Batch job per scheduled run, one task per shard, on a pool that scales itself.

    A Batch job ends with its tasks, and takes no more then. So later retries go to a second job of the
    run, ``<run>-r2``, and so on; for a task in several jobs the newest counts.

    Parameters
    ----------
    data : str
        The workspace; in Blob Storage, as nodes have to reach it.
    env, settings
        See :func:`.open_backend`.
    credential : optional
        Of azure-identity or azure-core; by default the environment's.
    management : mapping, optional
        Options of the client that creates a pool with an identity.
    """

    name = "azure_batch"
    blocks_until_done = False

    def __init__(
        self,
        data: str,
        env: str | None,
        settings: JobsParameters,
        credential: Any = None,
        management: Mapping[str, Any] | None = None,
    ) -> None:
        settings.azure_batch.require_complete()
        if not is_blob(data) and not settings.azure_batch.is_loopback:
            raise InputError(
                f"{data}: nodes of Azure Batch cannot reach a folder of this machine, nor a bucket; put the "
                "data in Blob Storage and name it in `data`, such as "
                "abfs://container@account.dfs.core.windows.net/fleet"
            )
        self._data, self._env, self._jobs, self._settings = data, env, settings, settings.azure_batch
        self._credential, self._management = credential, management

    @cached_property
    def _client(self) -> BatchClient:
        return open_client(self._settings, self._credential)

    def ensure(self) -> None:
        """Create the pool, or update its formula; another VM size is logged, not changed.

        Raises
        ------
        CapacityError
            When the account's quotas do not allow one node.
        """
        with clear_errors(self._settings):
            require_quota(self._settings, self._management)
            try:
                pool = self._client.get_pool(self._settings.pool)
            except ResourceNotFoundError as error:
                if error_code(error) not in ("PoolNotFound", ""):
                    raise
                self._create_pool()
                return
            self._update_formula(pool)
        if pool.vm_size.lower() != self._settings.vm_size.lower():
            log.warning(
                "pool %s has nodes of %s, jobs.azure_batch.vm_size says %s: delete the pool to change them",
                *(self._settings.pool, pool.vm_size, self._settings.vm_size),
            )

    def submit(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Add all shards of a run as tasks; existing tasks stay as they are."""
        with clear_errors(self._settings):
            if self._create_job(run):
                new = add_tasks(self._client, run, self._tasks(specs))
                self._end_with_tasks(run)
                return new
            return self._submit_missing(run, specs)

    def statuses(self, run: str, since: datetime | None = None) -> list[JobStatus]:
        """Read the statuses: one call for the run's Batch jobs, and one per thousand changed tasks."""
        found: dict[str, JobStatus] = {}
        with clear_errors(self._settings):
            for job in self._batch_jobs(run):
                for task in self._changed_tasks(job, since):
                    found[task.id] = task_status(task, job, self._jobs.max_wall_time)
        return [self._with_own_reason(run, found[name]) for name in sorted(found)]

    def nodes(self) -> NodeCounts | None:
        """Count the pool's nodes."""
        with clear_errors(self._settings):
            return node_counts(
                self._client.list_pool_node_counts(filter=f"poolId eq '{self._settings.pool}'")
            )

    def trouble(self, since: datetime) -> str | None:
        """Say why the pool has no nodes: its formula, or its last resize, failed after a time."""
        with clear_errors(self._settings):
            return trouble_of(self._client.get_pool(self._settings.pool), since - _OVERLAP)

    def log(self, run: str, name: str) -> str | None:
        """Read the ends of standard output and error: from the node, else from the upload."""
        with clear_errors(self._settings):
            for job in reversed(self._batch_jobs(run)):
                ends = [last_of_file(self._client, job.id, name, file) for file in OUTPUTS]
                if any(end is not None for end in ends):
                    return "\n".join(end.rstrip("\n") for end in ends if end)
        folder = Records(self._data).folder.below(run)
        uploaded = []
        for file in OUTPUTS:
            try:
                uploaded.append(folder.read(f"{name}.{file}")[0].decode("utf-8", "replace"))
            except FileNotFoundError:
                continue
        return "\n".join(uploaded) if uploaded else None

    def cancel(self, run: str, names: Sequence[str]) -> None:
        """Terminate these tasks; ended ones stay as they are."""
        with clear_errors(self._settings), ThreadPoolExecutor(_CALLS) as pool:
            for job in self._batch_jobs(run):
                if job.state not in ("completed", "terminating", "deleting"):
                    list(pool.map(lambda name, job_id=job.id: self._terminate(job_id, name), names))

    def retry(self, run: str, specs: Sequence[JobSpec]) -> None:
        """Run these jobs again: in the run's Batch job while that is active, else in another one."""
        with clear_errors(self._settings):
            failed = {one.name for one in self.statuses(run) if one.state in (State.FAILED, State.CANCELLED)}
            again = [spec for spec in specs if spec.name in failed]
            jobs = self._batch_jobs(run)
            if jobs and jobs[-1].state == "active":
                with ThreadPoolExecutor(_CALLS) as pool:
                    done = pool.map(lambda spec: self._reactivate(jobs[-1].id, spec.name), again)
                    again = [spec for spec, went in zip(again, done, strict=True) if not went]
            if again:
                job_id = next_job_id(run, [job.id for job in self._batch_jobs(run)])
                self._create_job(job_id)
                add_tasks(self._client, job_id, self._tasks(again))
                self._end_with_tasks(job_id)

    def delete(self, run: str) -> None:
        """Delete the run's Batch jobs with their tasks."""
        with clear_errors(self._settings):
            for job in self._batch_jobs(run):
                # Gone already: deleted by another process, or the answer to the first try was lost.
                with suppress(ResourceNotFoundError):
                    self._client.begin_delete_job(job.id, polling_interval=1).wait(60)

    def forget(self, before: datetime) -> int:
        """Delete Batch jobs that ended before a time: each keeps its tasks until it is deleted."""
        moment = f"{before.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        ended = f"state eq 'completed' and executionInfo/endTime lt DateTime'{moment}'"
        deleted = 0
        with clear_errors(self._settings):
            for job in list(self._client.list_jobs(filter=ended, select=["id", "poolInfo"])):
                # The account may have jobs of others.
                if job.pool_info is not None and job.pool_info.pool_id == self._settings.pool:
                    with suppress(ResourceNotFoundError, ResourceExistsError):
                        self._client.begin_delete_job(job.id)  # nobody waits for its end
                    deleted += 1
        return deleted

    def _create_pool(self) -> None:
        if self._settings.identity is not None:
            create_pool(self._settings, self._management)
            return
        try:
            self._client.create_pool(pool_request(self._settings))
        except ResourceExistsError as error:
            if error_code(error) != "PoolExists":
                raise

    def _update_formula(self, pool: models.BatchPool) -> None:
        formula, interval = autoscale_formula(self._settings), self._settings.autoscale_interval
        if pool.auto_scale_formula == formula and pool.auto_scale_evaluation_interval == interval:
            return
        options = models.BatchPoolEnableAutoScaleOptions(
            auto_scale_formula=formula, auto_scale_evaluation_interval=interval
        )
        try:
            self._client.enable_pool_auto_scale(self._settings.pool, options)
        except HttpResponseError as error:
            # Another scheduler did it within these 30 seconds; the next one sees to the rest.
            if error_code(error) == "AutoScaleTooManyRequestsToEnable":
                return
            if error.status_code != 403:
                raise
            log.warning(
                "pool %s scales by another formula than jobs.azure_batch says, and this identity may not "
                "change it: run `kedro deploy up`, or give it the role 'Azure Batch Data Contributor'",
                self._settings.pool,
            )

    def _create_job(self, job_id: str) -> bool:
        """Create a Batch job; return whether it is new."""
        try:
            self._client.create_job(job_request(job_id, self._jobs))
        except ResourceExistsError as error:
            if error_code(error) != "JobExists":
                raise
            return False
        return True

    def _submit_missing(self, run: str, specs: Sequence[JobSpec]) -> int:
        """Add the tasks missing from the run's Batch jobs; a scheduler may have been killed half way."""
        new = 0
        for _ in range(_ATTEMPTS):
            jobs = self._batch_jobs(run)
            there = {task.id for job in jobs for task in self._client.list_tasks(job.id, select=["id"])}
            missing = [spec for spec in specs if spec.name not in there]
            open_ones = [job for job in jobs if job.state == "active"]
            if not missing:
                for job in open_ones:
                    if job.all_tasks_complete_mode != models.BatchAllTasksCompleteMode.TERMINATE_JOB:
                        self._end_with_tasks(job.id)
                return new
            job_id = open_ones[-1].id if open_ones else next_job_id(run, [job.id for job in jobs])
            if not open_ones:
                self._create_job(job_id)
            try:
                new += add_tasks(self._client, job_id, self._tasks(missing))
            except HttpResponseError as error:
                if error_code(error) not in _JOB_ENDED:
                    raise
                continue
            self._end_with_tasks(job_id)
        raise InputError(
            f"{run}: its Batch jobs ended {_ATTEMPTS} times while tasks were added; find out why, then "
            "submit again"
        )

    def _end_with_tasks(self, job_id: str) -> None:
        """Let the job end with its tasks: ended jobs count towards no quota."""
        options = models.BatchJobUpdateOptions(
            all_tasks_complete_mode=models.BatchAllTasksCompleteMode.TERMINATE_JOB
        )
        try:
            self._client.update_job(job_id, options)
        except HttpResponseError as error:
            if error_code(error) not in _JOB_ENDED:
                raise

    def _tasks(self, specs: Sequence[JobSpec]) -> list[models.BatchTaskCreateOptions]:
        passed = {name: os.environ[name] for name in self._settings.pass_environment if os.environ.get(name)}
        given = {name: str(value) for name, value in self._settings.environment.items()}
        return [task_request(spec, self._data, self._env, self._jobs, passed | given) for spec in specs]

    def _batch_jobs(self, run: str) -> list[models.BatchJob]:
        """The run's Batch jobs, oldest first."""
        selected = ["id", "state", "stateTransitionTime", "onAllTasksComplete", "executionInfo", "poolInfo"]
        # The filter may match jobs of other runs, too.
        found = self._client.list_jobs(filter=f"startswith(id,'{run}')", select=selected)
        own = (job for job in found if _number(run, job.id))
        return sorted(own, key=lambda job: _number(run, job.id))

    def _changed_tasks(self, job: models.BatchJob, since: datetime | None) -> Any:
        changed = None
        if since is not None:
            after = since - _OVERLAP
            # A job that was ended leaves tasks behind that will never change any more.
            info = job.execution_info
            was_ended = info is not None and info.termination_reason not in (None, "AllTasksCompleted")
            just_ended = was_ended and job.state_transition_time >= after
            if not just_ended:
                changed = f"stateTransitionTime ge DateTime'{after.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
        return self._client.list_tasks(job.id, select=SELECTED, filter=changed, max_results=1000)

    def _with_own_reason(self, run: str, status: JobStatus) -> JobStatus:
        """Prefer the reason in a failed job's record to its exit code."""
        if status.state is not State.FAILED or status.exit_code is None:
            return status
        record = Records(self._data).record(run, status.name)
        if record is None or record.exit_code != status.exit_code or not record.reason:
            return status
        return replace(status, reason=record.reason)

    def _terminate(self, job_id: str, name: str) -> None:
        try:
            self._client.terminate_task(job_id, name)
        except (ResourceExistsError, ResourceNotFoundError):
            return  # it has ended already, or is in another job of the run

    def _reactivate(self, job_id: str, name: str) -> bool:
        """Queue a task again; return whether the job has it."""
        try:
            self._client.reactivate_task(job_id, name)
        except ResourceNotFoundError:
            return False
        except ResourceExistsError as error:
            # Else it waits or runs already, reactivated by another process.
            return error_code(error) not in _JOB_ENDED
        return True


def next_job_id(run: str, there: Sequence[str]) -> str:
    """Return the id of the next Batch job of a run.

    Examples
    --------
    >>> next_job_id("score-1", ["score-1", "score-1-r2"]), next_job_id("score-1", [])
    ('score-1-r3', 'score-1')
    """
    number = max((_number(run, job_id) for job_id in there), default=0) + 1
    return f"{run}-r{number}" if number > 1 else run


def _number(run: str, job_id: str) -> int:
    """Return a Batch job's number in its run, from 1; 0 for a job of another run."""
    found = re.fullmatch(rf"{re.escape(run)}(?:-r(\d+))?", job_id)
    return 0 if found is None else int(found[1] or 1)
