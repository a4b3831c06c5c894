"""A job of the stand-in and its tasks, as the service tells of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.emulators.azure_batch.times import as_text, seconds_of
from tests.emulators.work import End, Outcome

# What the service says of tasks that failed, by how they ended.
FAILURES = {
    End.EXITED: (
        "usererror",
        "FailureExitCode",
        "The task exited with an exit code representing a failure",
    ),
    End.IMAGE: ("usererror", "ContainerInvalidImage", "One or more container images specified are invalid"),
    End.TOO_LONG: ("usererror", "TaskEnded", "Task was ended: it exceeded its maximum wall clock time"),
    End.CANCELLED: ("usererror", "TaskEnded", "Task Was Ended by User Request"),
}
TASK_PROPERTIES = [
    "id",
    "displayName",
    "url",
    "eTag",
    "lastModified",
    "creationTime",
    "exitConditions",
    "state",
    "stateTransitionTime",
    "previousState",
    "previousStateTransitionTime",
    "commandLine",
    "containerSettings",
    "outputFiles",
    "environmentSettings",
    "constraints",
    "requiredSlots",
    "executionInfo",
    "nodeInfo",
]
JOB_PROPERTIES = [
    "id",
    "displayName",
    "url",
    "eTag",
    "lastModified",
    "creationTime",
    "state",
    "stateTransitionTime",
    "previousState",
    "previousStateTransitionTime",
    "priority",
    "maxParallelTasks",
    "constraints",
    "poolInfo",
    "onAllTasksComplete",
    "onTaskFailure",
    "executionInfo",
]


@dataclass
class Task:
    """One of them; ``folder`` holds the output of its last start, until its node is gone."""

    asked: Mapping[str, Any]
    created: datetime
    pool: str
    state: str = "active"
    since: datetime | None = None
    before: tuple[str, datetime] | None = None
    info: dict[str, Any] = field(default_factory=lambda: {"retryCount": 0, "requeueCount": 0})
    node: str = ""
    folder: Path | None = None
    starts: int = 0

    @property
    def id(self) -> str:
        return self.asked["id"]

    @property
    def command(self) -> list[str]:
        return shlex.split(self.asked["commandLine"])

    @property
    def limit_seconds(self) -> float | None:
        limit = self.asked.get("constraints", {}).get("maxWallClockTime")
        return None if limit is None else seconds_of(limit)

    @property
    def retries(self) -> int:
        return int(self.asked.get("constraints", {}).get("maxTaskRetryCount", 0))

    @property
    def environment(self) -> dict[str, str]:
        return {one["name"]: one.get("value", "") for one in self.asked.get("environmentSettings", [])}

    def turn(self, state: str, now: datetime) -> None:
        self.before = (self.state, self.since or self.created)
        self.state, self.since = state, now

    def start(self, node: str, folder: Path, now: datetime) -> None:
        self.turn("running", now)
        kept = {name: self.info[name] for name in ("retryCount", "requeueCount")}
        times = {name: self.info[name] for name in ("lastRetryTime", "lastRequeueTime") if name in self.info}
        self.info = {"startTime": as_text(now), **kept, **times}
        self.node, self.folder = node, folder

    def wait_again(self, counter: str, now: datetime) -> None:
        """Queue it once more: ``retry`` after a failure, ``requeue`` after the loss of its node."""
        self.turn("active", now)
        self.info[f"{counter}Count"] += 1
        self.info[f"last{counter.capitalize()}Time"] = as_text(now)

    def complete(self, outcome: Outcome, now: datetime) -> None:
        self.turn("completed", now)
        self.info.setdefault("startTime", as_text(now))
        self.info |= {"endTime": as_text(now), "result": "success"}
        if outcome.exit_code is not None:
            self.info["exitCode"] = outcome.exit_code
        if outcome.end is not End.EXITED or outcome.exit_code:
            category, code, message = FAILURES[outcome.end]
            details = {}
            if outcome.end is End.EXITED:
                details = {"details": [{"name": "Message", "value": f"Exit code {outcome.exit_code}"}]}
            told = {"category": category, "code": code, "message": message, **details}
            self.info |= {"result": "failure", "failureInfo": told}

    def job_action(self, outcome: Outcome) -> str:
        """What the job's exit conditions say of this end: none, disable or terminate."""
        conditions = self.asked.get("exitConditions", {})
        failed = outcome.end is not End.EXITED or outcome.exit_code != 0
        found = conditions.get("default", {"jobAction": "terminate" if failed else "none"})
        if outcome.end is End.IMAGE:
            found = conditions.get("preProcessingError", found)
        for one in conditions.get("exitCodes", []):
            if one["code"] == outcome.exit_code:
                found = one["exitOptions"]
        return found.get("jobAction", "none") if failed else "none"

    def reset(self, now: datetime) -> None:
        """Reactivate it."""
        self.turn("active", now)
        self.info = {"retryCount": 0, "requeueCount": 0}
        self.node, self.folder = "", None

    def to_json(self, url: str) -> dict[str, Any]:
        since = self.since or self.created
        found = {
            **self.asked,
            "url": url,
            "eTag": f"0x{int(since.timestamp() * 1e6):X}",
            "lastModified": as_text(self.created),
            "creationTime": as_text(self.created),
            "state": self.state,
            "stateTransitionTime": as_text(since),
            "executionInfo": self.info,
        }
        if self.before:
            found |= {"previousState": self.before[0], "previousStateTransitionTime": as_text(self.before[1])}
        if self.node:
            found["nodeInfo"] = {
                "affinityId": f"TVM:{self.node}",
                "poolId": self.pool,
                "nodeId": self.node,
                "taskRootDirectory": f"workitems/{self.id}",
            }
        return found


@dataclass
class Job:
    """One of them; ``reason`` is why it ended."""

    asked: dict[str, Any]
    created: datetime
    state: str = "active"
    since: datetime | None = None
    reason: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)
    # How many of them have not ended.
    open: int = 0

    @property
    def id(self) -> str:
        return self.asked["id"]

    @property
    def pool(self) -> str:
        return self.asked["poolInfo"]["poolId"]

    @property
    def ends_with_tasks(self) -> bool:
        return self.asked.get("onAllTasksComplete") == "terminatejob"

    def end(self, reason: str, now: datetime) -> None:
        self.state, self.since, self.reason = "completed", now, reason

    def to_json(self, url: str) -> dict[str, Any]:
        since = self.since or self.created
        info = {"startTime": as_text(self.created), "poolId": self.pool}
        if self.state == "completed":
            info |= {"endTime": as_text(since), "terminateReason": self.reason}
        return {
            "priority": 0,
            "onAllTasksComplete": "noaction",
            "onTaskFailure": "noaction",
            **self.asked,
            "url": url,
            "eTag": f"0x{int(since.timestamp() * 1e6):X}",
            "lastModified": as_text(self.created),
            "creationTime": as_text(self.created),
            "state": self.state,
            "stateTransitionTime": as_text(since),
            "executionInfo": info,
        }
