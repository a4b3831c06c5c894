"""Plays a workflow: the trigger fires, actions run one after the other, a history is kept."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.emulators.clock import Clock
from tests.emulators.identity import issue
from tests.emulators.logic_app.definition import check
from tests.emulators.logic_app.expressions import PURE, ExpressionError, evaluate
from tests.emulators.logic_app.http_action import Sender, seconds_of

_UNITS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400}


@dataclass
class ActionRecord:
    """What became of an action; in a loop, of its last time."""

    name: str
    status: str = "Running"
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    inputs: Any = None
    outputs: Any = None
    times: int = 1
    why: str = ""


class TerminatedError(Exception):
    """The run was ended by an action."""

    def __init__(self, status: str, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.status, self.error = status, dict(error)


class Run:
    """One run: its records, its variables, its end."""

    def __init__(self, app: LogicApp, scheduled: datetime) -> None:
        self.name = f"0858{uuid.uuid4().int % 10**18:018d}{uuid.uuid4().hex[:10].upper()}CU12"
        self.scheduled, self.began = scheduled, datetime.now(UTC)
        self.ended: datetime | None = None
        self.status, self.error = "Waiting", {}
        self.actions: dict[str, ActionRecord] = {}
        self._app, self._variables = app, dict[str, Any]()
        self._done = threading.Event()
        self._functions = {**PURE, **self._own_functions()}

    @property
    def trace(self) -> str:
        """All that is known of its actions, in one text."""
        return repr([vars(one) for one in self.actions.values()])

    def wait(self, seconds: float = 600) -> Run:
        """Wait for its end."""
        if not self._done.wait(seconds):
            raise TimeoutError(f"run {self.name} is {self.status}; {self.actions}")
        return self

    def describe(self, workflow: str) -> dict[str, Any]:
        """As the service lists it, below the id of the workflow."""
        properties = {
            "startTime": _as_text(self.began),
            "endTime": self.ended and _as_text(self.ended),
            "status": self.status,
            "error": self.error or None,
            "trigger": {
                "name": "Scheduled",
                "scheduledTime": _as_text(self.scheduled),
                "status": "Succeeded",
            },
        }
        return {
            "id": f"{workflow}/runs/{self.name}",
            "name": self.name,
            "type": "Microsoft.Logic/workflows/runs",
            "properties": {name: value for name, value in properties.items() if value is not None},
        }

    def play(self) -> None:
        self.status, self.began = "Running", datetime.now(UTC)
        try:
            self.status = self._play(self._app.definition["actions"])
        except TerminatedError as end:
            self.status, self.error = end.status, end.error
        finally:
            if self.status == "Running":
                self.status = "Failed"  # of an error of ours
            self.ended = datetime.now(UTC)
            self._done.set()

    def _own_functions(self) -> dict[str, Any]:
        def record(name: str) -> dict[str, Any] | None:
            found = self.actions.get(name)
            return None if found is None else {"name": name, "status": found.status, "outputs": found.outputs}

        def outputs(name: str) -> Any:
            return (record(name) or {}).get("outputs")

        return {
            "actions": record,
            "body": lambda name: (outputs(name) or {}).get("body"),
            "outputs": outputs,
            "parameters": self._app.parameters.__getitem__,
            "trigger": lambda: {
                "name": "Scheduled",
                "scheduledTime": _as_text(self.scheduled),
                "startTime": _as_text(self.began),
                "status": "Succeeded",
            },
            "variables": self._variables.__getitem__,
            "workflow": lambda: {"run": {"name": self.name}},
        }

    def _play(self, actions: Mapping[str, Any]) -> str:
        """Run the actions of one level; the status of the whole."""
        waiting, statuses = dict(actions), dict[str, str]()
        while waiting:
            name = next(one for one, action in waiting.items() if set(action["runAfter"]) <= set(statuses))
            action = waiting.pop(name)
            may = all(statuses[other] in wanted for other, wanted in action["runAfter"].items())
            statuses[name] = self._act(name, action) if may else self._skip(name)
        return _whole(actions, statuses)

    def _skip(self, name: str) -> str:
        self.actions[name] = ActionRecord(name, "Skipped", ended=datetime.now(UTC))
        return "Skipped"

    def _act(self, name: str, action: Mapping[str, Any]) -> str:
        times = self.actions[name].times + 1 if name in self.actions else 1
        record = self.actions[name] = ActionRecord(name, times=times)
        try:
            record.status = getattr(self, f"_{action['type'].lower()}")(record, action)
        except ExpressionError as error:
            record.status, record.why = "Failed", str(error)
        finally:
            record.ended = datetime.now(UTC)
        return record.status

    def _value(self, value: Any) -> Any:
        return evaluate(value, self._functions)

    def _compose(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        record.outputs = record.inputs = self._value(action["inputs"])
        return "Succeeded"

    def _initializevariable(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        for one in action["inputs"]["variables"]:
            self._variables[one["name"]] = self._value(one["value"])
        return "Succeeded"

    def _setvariable(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        self._variables[action["inputs"]["name"]] = record.outputs = self._value(action["inputs"]["value"])
        return "Succeeded"

    def _wait(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        interval = action["inputs"]["interval"]
        self._app.sleep(interval["count"] * _UNITS[interval["unit"]])
        return "Succeeded"

    def _http(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        record.inputs = self._value(action["inputs"])
        record.outputs, sent = self._app.sender.send(record.inputs)
        record.why = f"sent {sent} times" if sent > 1 else ""
        return "Succeeded" if record.outputs is not None and record.outputs["statusCode"] < 300 else "Failed"

    def _until(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        clock, limit = self._app.clock, action["limit"]
        over = clock.now().timestamp() + seconds_of(limit["timeout"])
        for record.times in range(1, limit["count"] + 1):
            status = self._play(action["actions"])
            if self._value(action["expression"]):
                return status
            if clock.now().timestamp() >= over:
                return "TimedOut"
        return "TimedOut"

    def _if(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        is_so = self._holds(action["expression"])
        return self._play(action["actions"] if is_so else action.get("else", {}).get("actions", {}))

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return bool(self._value(condition))
        ((operator, operands),) = condition.items()
        if operator == "and":
            return all(map(self._holds, operands))
        if operator == "or":
            return any(map(self._holds, operands))
        if operator == "not":
            return not self._holds(operands)
        return bool(PURE[operator](*self._value(operands)))

    def _terminate(self, record: ActionRecord, action: Mapping[str, Any]) -> str:
        record.status = "Succeeded"
        inputs = self._value(action["inputs"])
        raise TerminatedError(inputs["runStatus"], inputs.get("runError", {}))


class LogicApp:
    """A deployed workflow.

    Parameters
    ----------
    definition, parameters : mapping
        As they were deployed: ``{name: {"value": …}}``.
    authority : Path, optional
        A certificate to trust.
    clock : Clock, optional
        The service's; pauses pass as fast as it does.
    token : callable
        The token of an identity, by its resource id and the audience.

    Raises
    ------
    DefinitionError
    """

    called = "the workflow"

    def __init__(
        self,
        definition: Mapping[str, Any],
        parameters: Mapping[str, Any],
        authority: Path | None = None,
        clock: Clock | None = None,
        token: Callable[[str, str], str] = lambda identity, audience: issue(audience),
    ) -> None:
        check(definition, parameters)
        self.definition = definition
        self.parameters = {name: one["value"] for name, one in parameters.items()}
        self.clock, self.runs = clock or Clock(), list[Run]()
        self.sender = Sender(authority, token, self.sleep)
        (trigger,) = definition["triggers"].values()
        concurrency = trigger.get("runtimeConfiguration", {}).get("concurrency", {})
        self._turns = threading.Semaphore(concurrency.get("runs", 25))

    def fire(self, scheduled: datetime) -> Run:
        """Have the trigger fire for a scheduled time; the run waits where as many as may be are running."""
        run = Run(self, scheduled)
        self.runs.append(run)
        threading.Thread(target=self._play, args=(run,), daemon=True).start()
        return run

    def sleep(self, seconds: float) -> None:
        threading.Event().wait(self.clock.real(seconds))

    def _play(self, run: Run) -> None:
        with self._turns:
            run.play()


def _whole(actions: Mapping[str, Any], statuses: Mapping[str, str]) -> str:
    """The status of a level: that of its last actions; of a skipped one, of those before it."""

    def counts(name: str) -> str:
        if statuses[name] != "Skipped":
            return statuses[name]
        before = [counts(other) for other in actions[name]["runAfter"]]
        return next((one for one in before if one != "Succeeded"), "Succeeded")

    followed = {other for action in actions.values() for other in action["runAfter"]}
    ends = [counts(name) for name in actions if name not in followed]
    return next((one for one in ends if one != "Succeeded"), "Succeeded")


def _as_text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
