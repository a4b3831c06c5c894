"""Convert tasks, jobs and nodes of Azure Batch to our own plain values; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from batch_scoring.jobs.specs import JobStatus, NodeCounts, State

if TYPE_CHECKING:
    from azure.batch.models import BatchJob, BatchNodeCounts, BatchPool, BatchPoolNodeCounts, BatchTask

# The requested fields of a task; others are not sent over the network.
SELECTED = ["id", "state", "stateTransitionTime", "creationTime", "executionInfo", "nodeInfo"]
_STATES = {"active": State.QUEUED, "preparing": State.PREPARING, "running": State.RUNNING}
# A task that was ended from outside: by a person, or by the service at its time limit.
ENDED_FROM_OUTSIDE = "TaskEnded"
# A task that was ended at its time limit has run at least this share of max_wall_time.
_ALMOST = 0.98
_MENDS_OF_CAPACITY = "wait, or set another deploy.nodes.vm_size or region"
_WHY_A_JOB_ENDED = {
    "MaxWallClockTimeExpiry": "the run found no nodes in time",
    "UserTerminate": "the run was terminated by a user",
    "TaskFailed": "another job of the run showed that the image is broken",
}


def task_status(task: BatchTask, job: BatchJob, max_wall_time: timedelta) -> JobStatus:
    """Return the status of a shard.

    Parameters
    ----------
    task : BatchTask
    job : BatchJob
        A task that waits in a job that has ended will never run.
    max_wall_time : timedelta
        The task's time limit.
    """
    info = task.execution_info
    created, changed = task.creation_time, task.state_transition_time
    started = info.start_time if info else None
    ended = info.end_time if info else None
    node = (task.node_info.node_id if task.node_info else None) or ""
    code = info.exit_code if info else None
    state, reason = _STATES.get(task.state or "", State.QUEUED), ""
    if task.state == "completed":
        state, reason = _ended(task, max_wall_time)
    elif job.state == "completed":
        cause = (job.execution_info.termination_reason if job.execution_info else None) or "no reason given"
        state = State.FAILED
        reason = f"it did not finish: {_WHY_A_JOB_ENDED.get(cause, 'the Batch job ended')} ({cause})"
        changed = ended = job.state_transition_time
    return JobStatus(task.id, state, reason, code, created, started, ended, node, changed)


def _ended(task: BatchTask, max_wall_time: timedelta) -> tuple[State, str]:
    info = task.execution_info
    if info is None or info.result == "success" or (info.failure_info is None and info.exit_code == 0):
        return State.SUCCEEDED, ""
    failure = info.failure_info
    ran = info.end_time - info.start_time if info.start_time and info.end_time else timedelta(0)
    name = failure.code if failure else ""
    if ran >= max_wall_time * _ALMOST and name != "FailureExitCode":
        return State.FAILED, f"took longer than jobs.max_wall_time, {max_wall_time.total_seconds():,.0f} s"
    if name == ENDED_FROM_OUTSIDE:
        return State.CANCELLED, "cancelled"
    if name == "FailureExitCode" or failure is None:
        return State.FAILED, f"its container ended with exit code {info.exit_code}"
    details = [f"{one.name}: {one.value}" for one in failure.details or []]
    text = "; ".join([*(failure.message or "").strip().splitlines()[:1], *details])
    return State.FAILED, f"{name}: {text}" if text else str(name)


def trouble_of(pool: BatchPool, since: datetime) -> str | None:
    """Say why a pool has no nodes for waiting tasks.

    Parameters
    ----------
    pool : BatchPool
    since : datetime
        What was found before is stale: it is about tasks that have ended.

    Returns
    -------
    str or None
        None also while the pool still grows: what it lacked before may be there now.
    """
    run = pool.auto_scale_run
    if run is not None and run.error is not None and run.timestamp >= since:
        return (
            f"the autoscale formula of pool {pool.id} fails ({run.error.code}): {_first(run.error.message)}"
        )
    changed = pool.allocation_state_transition_time
    if not pool.resize_errors or pool.allocation_state != "steady" or changed is None or changed < since:
        return None
    error = pool.resize_errors[0]
    mend = "ask for more in the portal (Quotas)" if "Quota" in (error.code or "") else _MENDS_OF_CAPACITY
    return f"pool {pool.id} gets no nodes of {pool.vm_size} ({error.code}): {_first(error.message)}; {mend}"


def _first(message: str | None) -> str:
    return ((message or "").strip().splitlines() or ["no details"])[0].rstrip(".")


def node_counts(counts: Iterable[BatchPoolNodeCounts]) -> NodeCounts:
    """Count the nodes of a pool, dedicated and low-priority together."""
    kinds = [kind for one in counts for kind in (one.dedicated, one.low_priority) if kind is not None]
    preparing = ("creating", "starting", "waiting_for_start_task", "rebooting", "reimaging", "upgrading_os")
    unusable = ("unusable", "offline", "unknown", "start_task_failed", "preempted", "deallocated")
    return NodeCounts(
        idle=_sum(kinds, "idle"),
        running=_sum(kinds, "running"),
        preparing=_sum(kinds, *preparing),
        unusable=_sum(kinds, *unusable),
        leaving=_sum(kinds, "leaving_pool", "deallocating"),
    )


def _sum(kinds: Iterable[BatchNodeCounts], *names: str) -> int:
    return sum(getattr(kind, name, None) or 0 for kind in kinds for name in names)
