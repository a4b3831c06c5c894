"""Deployments: a plan is carried out resource by resource; every step is told as an operation."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.emulators.arm.expressions import TemplateError
from tests.emulators.arm.functions import Function
from tests.emulators.arm.templates import Plan, Planned, outputs
from tests.emulators.batch_ai.answers import Answer

# Asks a provider: method, path, version of the API, body.
Ask = Callable[[str, str, str, Any], Answer]
ENDED = ("Succeeded", "Failed", "Canceled")
_TIMEOUT = 60.0


def _new_id() -> str:
    return uuid.uuid4().hex.upper()


@dataclass
class Operation:
    """What was done for a resource, and how it went."""

    planned: Planned
    state: str = "Running"
    status: int = 201
    error: dict[str, Any] | None = None
    id: str = field(default_factory=_new_id)
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def describe(self, deployment: str) -> dict[str, Any]:
        codes = {
            200: "OK",
            201: "Created",
            202: "Accepted",
            400: "BadRequest",
            404: "NotFound",
            409: "Conflict",
        }
        properties: dict[str, Any] = {
            "provisioningOperation": "Create",
            "provisioningState": self.state,
            "timestamp": self.time,
            "duration": "PT1S",
            "statusCode": codes.get(self.status, str(self.status)),
            "targetResource": {
                "id": self.planned.id,
                "resourceType": self.planned.type,
                "resourceName": self.planned.name,
            },
        }
        if self.error is not None:
            properties["statusMessage"] = {"status": "Failed", "error": self.error}
        return {"id": f"{deployment}/operations/{self.id}", "operationId": self.id, "properties": properties}


class Deployment:
    """One of them; it begins with :meth:`start`."""

    def __init__(
        self, path: str, plan: Plan, ask: Ask, request: dict[str, Any], existing: Callable[[str], Any]
    ) -> None:
        self.path, self.plan, self.tags = path, plan, request.get("tags")
        self.state, self.error = "Accepted", None
        self.operations: list[Operation] = []
        self.outputs: dict[str, Any] = {}
        self.correlation, self.begun = str(uuid.uuid4()), datetime.now(UTC)
        self._ask, self._existing, self._canceled = ask, existing, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        self._canceled.set()

    def close(self) -> None:
        self._canceled.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def describe(self) -> dict[str, Any]:
        done = [one for one in self.operations if one.state == "Succeeded"]
        properties: dict[str, Any] = {
            "provisioningState": self.state,
            "correlationId": self.correlation,
            "timestamp": self.begun.isoformat(),
            "duration": "PT1S",
            "mode": "Incremental",
            "providers": [],
            "dependencies": [],
            "parameters": {
                name: {"type": type(value).__name__, "value": value}
                for name, value in self.plan.parameters.items()
            },
            "outputs": self.outputs,
        }
        if self.state in ENDED:
            properties["outputResources"] = [{"id": one.planned.id} for one in done]
        if self.error is not None:
            properties["error"] = self.error
        described = {
            "id": self.path,
            "name": self.path.rsplit("/", 1)[-1],
            "type": "Microsoft.Resources/deployments",
            "properties": properties,
        }
        return described | ({"tags": self.tags} if self.tags else {})

    def _run(self) -> None:
        self.state = "Running"
        waiting, done, failed = list(self.plan.resources), set[str](), set[str]()
        while not self._canceled.is_set():
            ready = [one for one in waiting if one.wants <= done]
            if not ready:
                break
            for one in ready:
                if self._canceled.is_set():
                    break
                waiting.remove(one)
                (done if self._make(one) else failed).add(one.id.lower())
        self._end(failed)

    def _end(self, failed: set[str]) -> None:
        try:
            if self._canceled.is_set():
                self.state = "Canceled"
            elif failed:
                details = [one.error for one in self.operations if one.error]
                self.error = _error("DeploymentFailed", "At least one resource deployment operation failed.")
                self.error["details"] = details
                self.state = "Failed"
            else:
                self.outputs = outputs(self.plan, self._functions(None))
                self.state = "Succeeded"
        except TemplateError as error:
            self.error = _error("DeploymentOutputEvaluationFailed", str(error))
            self.state = "Failed"

    def _make(self, planned: Planned) -> bool:
        operation = Operation(planned)
        self.operations.append(operation)
        try:
            body = planned.body(self._functions(planned))
            answer = self._until_made(planned, body)
        except TemplateError as error:
            answer = Answer(400, {"error": _error("InvalidTemplate", str(error))})
        operation.status = answer.status
        if answer.status >= 300:
            operation.error = dict(answer.body["error"], target=planned.id)
        operation.state = "Failed" if operation.error else "Succeeded"
        return operation.error is None

    def _until_made(self, planned: Planned, body: dict[str, Any]) -> Answer:
        """Send it, and ask until it has been made or not."""
        answer = first = self._ask("PUT", planned.id, planned.api_version, body)
        give_up = time.monotonic() + _TIMEOUT
        while answer.status < 300 and not self._canceled.is_set() and time.monotonic() < give_up:
            properties = (answer.body or {}).get("properties") or {}
            state = str(properties.get("provisioningState", "Succeeded")).lower()
            if state in ("failed", "canceled"):
                error = properties.get("error") or _error(
                    "ResourceDeploymentFailure", f"The resource is {state}."
                )
                return Answer(409, {"error": error})
            if state == "succeeded":
                return first
            time.sleep(0.005)
            answer = self._ask("GET", planned.id, planned.api_version, None)
        return answer

    def _functions(self, planned: Planned | None) -> dict[str, Function]:
        return self.plan.functions | {"reference": referring(self.plan, self._existing)}


def referring(plan: Plan, existing: Callable[[str], Any]) -> Function:
    """The function ``reference``: of a resource by its id, or by its name where it is one of the template."""

    def reference(target: str, api_version: str | None = None, full: str = "") -> Any:
        key = target
        if not target.startswith("/"):
            fitting = [one for one in plan.resources if target.lower() in (one.name.lower(), one.id.lower())]
            if len(fitting) != 1:
                raise TemplateError(f"The template function 'reference' finds no resource {target!r}.")
            key = fitting[0].id
        found = existing(key)
        if found is None:
            raise TemplateError(f"ResourceNotFound: the resource {target!r} was not found.")
        known = key.lower() in plan.by_key()
        if api_version is None and not known:
            raise TemplateError(f"The template function 'reference' needs an apiVersion for {target!r}.")
        return found if full.lower() == "full" else found.get("properties", {})

    return reference


def _error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
