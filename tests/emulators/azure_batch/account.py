"""What the stand-in remembers and does: an account's pools, jobs and tasks."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.emulators.azure_batch.errors import BatchError, conflict, missing
from tests.emulators.azure_batch.job import Job, Task
from tests.emulators.azure_batch.pool import Pool
from tests.emulators.clock import Clock
from tests.emulators.node_faults import Faults
from tests.emulators.work import End, Outcome, Runner, Work, run_process

MOST_TASKS_AT_ONCE = 100
Upload = Callable[[str, str, bytes], None]


class Account:
    """The state of a Batch account.

    Parameters
    ----------
    folder : Path
        For the output of tasks.
    upload : callable, optional
        Takes a container's URL, a blob's name and its bytes: where output files go.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        faults: Faults | None = None,
        start_seconds: float = 0.0,
        sample_seconds: float = 30.0,
        evaluate_seconds: float | None = None,
        active_jobs: int = 300,
        upload: Upload | None = None,
        runner: Runner = run_process,
    ) -> None:
        self.clock, self.faults = clock or Clock(), faults or Faults()
        self.lock = threading.RLock()
        self.pools: dict[str, Pool] = {}
        self.jobs: dict[str, Job] = {}
        self.active_jobs, self._upload = active_jobs, upload
        # As the account tells them; a name of a family of machines, and cores.
        self.quotas: dict[str, Any] = {"dedicatedCoreQuota": 300, "lowPriorityCoreQuota": 100}
        self._folder = folder
        self._pool_options = {
            "start_seconds": start_seconds,
            "sample_seconds": sample_seconds,
            "evaluate_seconds": evaluate_seconds,
            "runner": runner,
        }

    def create_pool(self, asked: Mapping[str, Any]) -> None:
        with self.lock:
            if asked["id"] in self.pools:
                raise conflict("PoolExists", "The specified pool already exists.")
            if asked.get("enableAutoScale") and "targetDedicatedNodes" in asked:
                raise BatchError(400, "InvalidPropertyValue", PropertyName="targetDedicatedNodes")
            folder = self._folder / asked["id"]
            pool = Pool(asked, folder, self.clock, self.faults, **self._pool_options)
            self.pools[asked["id"]] = pool
            for job in self.jobs.values():
                if job.pool == asked["id"] and job.state == "active":
                    for task in job.tasks.values():
                        self._queue(job, task)
            self._tell_pending(asked["id"])

    def create_job(self, asked: Mapping[str, Any]) -> None:
        with self.lock:
            if asked["id"] in self.jobs:
                raise conflict("JobExists", "The specified job already exists.")
            if sum(job.state == "active" for job in self.jobs.values()) >= self.active_jobs:
                raise conflict("ActiveJobAndScheduleQuotaReached", "The active job quota has been reached.")
            job = self.jobs[asked["id"]] = Job(dict(asked), self.clock.now())
            self._end_where_done(job)

    def update_job(self, job_id: str, asked: Mapping[str, Any]) -> None:
        with self.lock:
            job = self._active(job_id)
            job.asked |= {name: value for name, value in asked.items() if value is not None}
            self._end_where_done(job)

    def end_job(self, job_id: str, reason: str) -> None:
        """Terminate a job: running tasks end, waiting ones stay as they are."""
        with self.lock:
            job = self._job(job_id)
            if job.state != "completed":
                self._end(job, reason)

    def delete_job(self, job_id: str) -> None:
        with self.lock:
            self.end_job(job_id, "UserTerminate")
            del self.jobs[job_id]

    def add_task(self, job_id: str, asked: Mapping[str, Any]) -> None:
        with self.lock:
            job = self._active(job_id)
            self._add(job, asked)
            self._tell_pending(job.pool)

    def _add(self, job: Job, asked: Mapping[str, Any]) -> None:
        if asked["id"] in job.tasks:
            raise conflict("TaskExists", "The specified task already exists.")
        if "exitConditions" in asked and job.asked.get("onTaskFailure") != "performexitoptionsjobaction":
            raise BatchError(400, "InvalidPropertyValue", PropertyName="exitConditions")
        task = job.tasks[asked["id"]] = Task(asked, self.clock.now(), job.pool)
        job.open += 1
        self._queue(job, task)

    def add_tasks(self, job_id: str, asked: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add a collection; each task has a result of its own."""
        with self.lock:
            job = self._active(job_id)
            if len(asked) > MOST_TASKS_AT_ONCE:
                raise BatchError(400, "InvalidPropertyValue", "More than 100 tasks", PropertyName="value")
            results = []
            for one in asked:
                try:
                    self._add(job, one)
                    results.append({"taskId": one["id"], "status": "success"})
                except BatchError as error:
                    results.append({"taskId": one["id"], "status": "clienterror", "error": error.body()})
            self._tell_pending(job.pool)
            return results

    def end_task(self, job_id: str, task_id: str) -> None:
        """Terminate a task, waiting or running."""
        with self.lock:
            job, task = self._job(job_id), self.task(job_id, task_id)
            if task.state == "completed":
                raise conflict("TaskCompleted", "The specified task is already in a completed state.")
            key = self._key(job, task)
            pool = self.pools.get(job.pool)
            if pool is None or not pool.nodes.cancel(key):
                self._ended(job, task, Outcome(key, "", End.CANCELLED, None, None))

    def reactivate(self, job_id: str, task_id: str) -> None:
        with self.lock:
            job, task = self._active(job_id), self.task(job_id, task_id)
            if task.state != "completed" or task.info["result"] == "success":
                raise conflict("TaskNotCompleted", "The specified task did not complete with a failure.")
            task.reset(self.clock.now())
            job.open += 1
            self._queue(job, task)
            self._tell_pending(job.pool)

    def task(self, job_id: str, task_id: str) -> Task:
        task = self._job(job_id).tasks.get(task_id)
        if task is None:
            raise missing("Task")
        return task

    def pool(self, pool_id: str) -> Pool:
        if pool_id not in self.pools:
            raise missing("Pool")
        return self.pools[pool_id]

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()

    def _job(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise missing("Job")
        return self.jobs[job_id]

    def _active(self, job_id: str) -> Job:
        job = self._job(job_id)
        if job.state != "active":
            raise conflict("JobCompleted", "The specified job is already in a completed state.")
        return job

    def _key(self, job: Job, task: Task) -> tuple[str, str, int]:
        return job.id, task.id, task.starts

    def _queue(self, job: Job, task: Task) -> None:
        pool = self.pools.get(job.pool)
        if pool is None:
            return
        task.starts += 1
        given = {"AZ_BATCH_JOB_ID": job.id, "AZ_BATCH_TASK_ID": task.id, "AZ_BATCH_POOL_ID": job.pool}
        container = task.asked.get("containerSettings", {})
        pool.nodes.add(
            Work(
                self._key(job, task),
                task.command,
                task.environment | given,
                on_start=lambda node, folder: self._started(job, task, node, folder),
                on_end=lambda outcome: self._ended(job, task, outcome),
                limit_seconds=task.limit_seconds,
                image=container.get("imageName", ""),
                options=shlex.split(container.get("containerRunOptions", "")),
            )
        )

    def _started(self, job: Job, task: Task, node: str, folder: Path) -> None:
        with self.lock:
            if task.state == "active":
                task.start(node, folder, self.clock.now())

    def _ended(self, job: Job, task: Task, outcome: Outcome) -> None:
        with self.lock:
            now, over = self.clock.now(), job.state == "completed"
            if outcome.key != self._key(job, task) or (over and outcome.folder is None):
                return  # a waiting task of a job that has ended stays as it is
            if over:
                self._complete(job, task, outcome)
            elif outcome.end is End.NODE_LOST:
                task.wait_again("requeue", now)
                self._queue(job, task)
            elif outcome.exit_code and task.info["retryCount"] < task.retries:
                task.wait_again("retry", now)
                self._queue(job, task)
            else:
                self._complete(job, task, outcome)
                self._put_output(task)
                if task.job_action(outcome) == "terminate" and not over:
                    self._end(job, "TaskFailed")
                self._end_where_done(job)
            self._tell_pending(job.pool)

    def _complete(self, job: Job, task: Task, outcome: Outcome) -> None:
        task.complete(outcome, self.clock.now())
        job.open -= 1

    def _put_output(self, task: Task) -> None:
        if self._upload is None or task.folder is None:
            return
        for one in task.asked.get("outputFiles", []):
            container = one["destination"]["container"]
            file = task.folder / Path(one["filePattern"]).name
            self._upload(container["containerUrl"], container["path"], file.read_bytes())

    def _end(self, job: Job, reason: str) -> None:
        job.end(reason, self.clock.now())
        pool = self.pools.get(job.pool)
        for task in job.tasks.values():
            if task.state != "completed" and pool is not None:
                pool.nodes.cancel(self._key(job, task))
        self._tell_pending(job.pool)

    def _end_where_done(self, job: Job) -> None:
        if job.state == "active" and job.ends_with_tasks and not job.open:
            job.end("AllTasksCompleted", self.clock.now())

    def _tell_pending(self, pool_id: str) -> None:
        if pool_id in self.pools:
            active = [job for job in self.jobs.values() if job.pool == pool_id and job.state == "active"]
            self.pools[pool_id].pending(sum(job.open for job in active))
