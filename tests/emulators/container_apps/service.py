"""Jobs of Container Apps as their users see them: started, listed page by page, stopped, fired by cron.

Jobs and environments themselves are kept by the Resource Manager's stand-in, which this one is mounted in.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from azure.mgmt.appcontainers import models

from tests.deploy.template import sdk_models
from tests.emulators.arm import Arm
from tests.emulators.batch_ai.answers import Answer, Answers, RefusedError
from tests.emulators.container_apps.execution import Cores, Execution
from tests.emulators.node_faults import Faults
from tests.emulators.work import Runner, run_process

VERSION = "2026-07-01"
JOBS = "Microsoft.App/jobs"
_PATH = re.compile(
    r"(?P<job>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.App/jobs/[^/]+)"
    r"/(?P<what>start|executions)(?:/(?P<name>[^/]+)(?P<stop>/stop)?)?",
    re.IGNORECASE,
)
_USAGES = re.compile(r".*/providers/Microsoft\.App/managedEnvironments/[^/]+/usages", re.IGNORECASE)
# The service keeps no more executions of a job that have ended.
HISTORY = 100


class ContainerApps:
    """The service.

    Parameters
    ----------
    folder : Path
    runner : Runner
        Starts a replica's container; by default a process of this machine.

    Attributes
    ----------
    answers : Answers
        Wrong answers on demand.
    faults : Faults
        Of replicas.
    cores : Cores
        Of the environment, of which there is one.
    shortage : str
        What the service says of executions without a replica; empty: nothing.
    lag_seconds : float
        How long an execution is in no list.
    history, page : int
        How many ended executions of a job are kept, and how many come at once.
    """

    def __init__(self, folder: Path, runner: Runner = run_process) -> None:
        self.answers, self.faults, self.cores = Answers(), Faults(), Cores()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, list[Execution]] = {}
        self.shortage, self.lag_seconds, self.history, self.page = "", 0.0, HISTORY, 50
        self.is_accepting_only = False
        self._folder, self._runner, self._lock = folder, runner, threading.RLock()

    def know(self, id: str, body: dict[str, Any] | None) -> None:
        """A job was made or changed as this says, with its secrets, or was deleted."""
        with self._lock:
            if body is not None:
                self.jobs[id.lower()] = body
                self.executions.setdefault(id.lower(), [])
                return
            self.jobs.pop(id.lower(), None)
            gone = self.executions.pop(id.lower(), [])
        for one in gone:
            one.stop()

    def fire(self, name: str, at: datetime, times: int = 1) -> list[Execution]:
        """Let the cron of a job fire for a time; more than once: replicas of one execution at once."""
        with self._lock:
            (id,) = (one for one in self.jobs if one.rpartition("/")[2] == name.lower())
            trigger = self.jobs[id]["properties"]["configuration"]
            if trigger["triggerType"] != "Schedule":
                raise ValueError(f"{name} has no cron")
            if not fits(trigger["scheduleTriggerConfig"]["cronExpression"], at):
                raise ValueError(f"{at} is no time of the cron of {name}")
        # The service counts the minutes since the epoch, as its Kubernetes does.
        minutes = int(at.timestamp()) // 60
        return [self._begin(id, f"{name}-{minutes}", None) for _ in range(times)]

    def answer(self, method: str, path: str, query: str, body: Any, host: str) -> Answer | None:
        """Answer a request; None: it is the Resource Manager's."""
        place = _PATH.fullmatch(path)
        if place is None and not _USAGES.fullmatch(path):
            return None
        wrong = self.answers.take(method, path, after=False)
        if wrong is not None:
            return wrong
        try:
            answer = self._answer(method, path, place, parse_qs(query), body, host)
        except RefusedError as refused:
            return refused.answer
        return self.answers.take(method, path, after=True) or answer

    def join(self, arm: Arm) -> None:
        """Answer for the Resource Manager what is below jobs, and know of its jobs."""
        arm.mount("Microsoft.App", self.answer)
        arm.resources.watch(
            JOBS, lambda id, body: self.know(id, arm.resources.get(id).sent if body is not None else None)
        )

    def close(self) -> None:
        for one in [one for found in self.executions.values() for one in found]:
            one.stop()

    def _answer(
        self, method: str, path: str, place: Any, query: dict[str, list[str]], body: Any, host: str
    ) -> Answer:
        if query.get("api-version") != [VERSION]:
            raise RefusedError(400, "InvalidApiVersionParameter", f"The api-version must be {VERSION}.")
        if place is None:
            return Answer(200, {"value": [self._usage()]})
        id = place["job"]
        if id.lower() not in self.jobs:
            raise RefusedError(404, "ResourceNotFound", f"The Resource '{id}' was not found.")
        if place["what"].lower() == "start" and method == "POST":
            return self._start(id, body)
        if place["name"] is None and method == "GET":
            return self._list(id, path, query, host)
        if place["stop"] and method == "POST":
            return self._stop(id, place["name"])
        if method == "GET":
            return Answer(200, self._there(id, place["name"]).describe(id))
        raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed at {path}.")

    def _usage(self) -> dict[str, Any]:
        name = {
            "value": "ManagedEnvironmentConsumptionCores",
            "localizedValue": "Managed Environment Consumption Cores",
        }
        return {
            "name": name,
            "currentValue": self.cores.used,
            "limit": self.cores.limit,
            "unit": "Count",
        }

    def _start(self, id: str, body: Any) -> Answer:
        if body is not None:
            found = sdk_models.faults(body, models.JobExecutionTemplate)
            if found:
                raise RefusedError(400, "InvalidRequestContent", "; ".join(found))
            for one in body["containers"]:
                _require_size(one.get("resources") or {})
                if not one.get("image"):
                    raise RefusedError(400, "ContainerAppImageRequired", "Container image is required.")
        name = f"{id.rpartition('/')[2]}-{secrets.token_hex(4)[:7]}"
        self._begin(id.lower(), name, body)
        if self.is_accepting_only:
            return Answer(
                202, None, {"Location": f"https://localhost{id}/operations/1?api-version={VERSION}"}
            )
        return Answer(200, {"name": name, "id": f"{id}/executions/{name}"})

    def _begin(self, id: str, name: str, template: Any) -> Execution:
        with self._lock:
            job = self.jobs[id]["properties"]
            (container,) = (template or job["template"])["containers"]
            folder = self._folder / f"{sum(map(len, self.executions.values())):05d}-{name}"
            one = Execution(
                *(name, job, container, folder, self._runner, self.faults, self.cores),
                lambda: self.shortage,
            )
            self.executions[id].append(one)
            return one

    def _list(self, id: str, path: str, query: dict[str, list[str]], host: str) -> Answer:
        if "$filter" in query:
            raise RefusedError(400, "InvalidParameterValue", "The parameter filter has an invalid value.")
        with self._lock:
            self._forget(id.lower())
            now = datetime.now(UTC)
            listed = [
                one
                for one in reversed(self.executions[id.lower()])
                if (now - one.started).total_seconds() >= self.lag_seconds
            ]
        first = int(query.get("skip", ["0"])[0])
        page = [one.describe(id) for one in listed[first : first + self.page]]
        more = urlencode({"api-version": VERSION, "skip": first + self.page})
        is_last = first + self.page >= len(listed)
        return Answer(
            200, {"value": page} | ({} if is_last else {"nextLink": f"https://{host}{path}?{more}"})
        )

    def _forget(self, key: str) -> None:
        ended = [one for one in self.executions[key] if one.ended is not None]
        for one in ended[: max(0, len(ended) - self.history)]:
            self.executions[key].remove(one)

    def _there(self, id: str, name: str) -> Execution:
        for one in self.executions[id.lower()]:
            if one.name == name:
                return one
        raise RefusedError(404, "JobExecutionNotFound", f"The execution '{name}' was not found.")

    def _stop(self, id: str, name: str) -> Answer:
        if not self._there(id, name).stop():
            raise RefusedError(400, "JobExecutionNotRunning", f"The execution '{name}' has ended.")
        return Answer(200)

    def wait(self, seconds: float = 60.0) -> None:
        """Until all executions have ended."""
        until = time.monotonic() + seconds
        while any(one.ended is None for found in self.executions.values() for one in found):
            if time.monotonic() > until:
                raise TimeoutError("executions have not ended")
            time.sleep(0.02)


def _require_size(resources: dict[str, Any]) -> None:
    cpu, memory = resources.get("cpu"), resources.get("memory")
    if not cpu or memory != f"{2 * cpu:g}Gi" or cpu % 0.25 or cpu > 4:
        message = f"The size of {cpu} cores and {memory} is none of the consumption profile."
        raise RefusedError(400, "ContainerAppInvalidResourceTotal", message)


def fits(expression: str, at: datetime) -> bool:
    """Whether a cron expression fits a minute, as cron says: either day fits, where both are given."""
    minute, hour, day, month, weekday = expression.split()
    days = [(day, at.day, 31), (weekday, at.isoweekday() % 7, 7)]
    given = [_has(*one) for one in days if one[0] != "*"]
    return (
        _has(minute, at.minute, 59)
        and _has(hour, at.hour, 23)
        and _has(month, at.month, 12)
        and (any(given) if given else True)
    )


def _has(field: str, value: int, most: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low = 0 if span == "*" else int(first)
        high = most if span == "*" or (step and not last) else int(last or first)
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False
