"""Reads a workflow definition as strictly as the service: what is not known, or names nothing, is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.emulators.logic_app.expressions import PURE, Expression

SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
STATUSES = ("Succeeded", "Failed", "Skipped", "TimedOut")
# Functions of a run; in which argument they name an action, a variable or a parameter.
OF_A_RUN = {
    "actions": "action",
    "body": "action",
    "outputs": "action",
    "parameters": "parameter",
    "trigger": "",
    "variables": "variable",
    "workflow": "",
}
# Of each type of action the properties that it may have beside type and runAfter, and those of its inputs.
_ACTIONS: dict[str, tuple[set[str], set[str] | None]] = {
    "Compose": ({"inputs"}, None),
    "Http": ({"inputs"}, {"method", "uri", "queries", "headers", "body", "authentication", "retryPolicy"}),
    "If": ({"expression", "actions", "else"}, None),
    "InitializeVariable": ({"inputs"}, {"variables"}),
    "SetVariable": ({"inputs"}, {"name", "value"}),
    "Terminate": ({"inputs"}, {"runStatus", "runError"}),
    "Until": ({"expression", "limit", "actions"}, None),
    "Wait": ({"inputs"}, {"interval"}),
}
_PARTS = {"$schema", "contentVersion", "parameters", "triggers", "actions", "outputs"}
_RETRY = {"type", "count", "interval", "minimumInterval", "maximumInterval"}
_UNITS = ("Second", "Minute", "Hour", "Day", "Week", "Month")
MOST_ITERATIONS, MOST_RETRIES, LONGEST_NAME = 5000, 90, 80


class DefinitionError(Exception):
    """A definition that the service would refuse."""


def check(definition: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Refuse a definition, with the parameters that it is deployed with, when something is wrong with it.

    Raises
    ------
    DefinitionError
    """
    _only(definition, _PARTS, "definition")
    _require(definition["$schema"] == SCHEMA, f"unknown schema {definition['$schema']}")
    known = set(definition["parameters"])
    _require(known == set(parameters), f"parameters {sorted(known ^ set(parameters))} are not on both sides")
    _trigger(definition["triggers"])
    everything = dict(_all(definition["actions"]))
    for name, action in everything.items():
        _require(len(name) <= LONGEST_NAME, f"{name}: the name is too long")
        _action(name, action)
    _run_after(definition["actions"])
    variables = {
        one["name"]
        for action in everything.values()
        if action["type"] == "InitializeVariable"
        for one in action["inputs"]["variables"]
    }
    for name, action in everything.items():
        _expressions(name, action, {"parameter": known, "action": set(everything), "variable": variables})
        if action["type"] == "SetVariable":
            _require(action["inputs"]["name"] in variables, f"{name}: there is no such variable")


def _trigger(triggers: Mapping[str, Any]) -> None:
    _require(len(triggers) == 1, "there must be one trigger")
    (trigger,) = triggers.values()
    _only(trigger, {"type", "recurrence", "runtimeConfiguration"}, "trigger")
    _require(trigger["type"] == "Recurrence", f"trigger type {trigger['type']!r} is not known here")
    _only(trigger["recurrence"], {"frequency", "interval", "startTime", "timeZone", "schedule"}, "recurrence")
    _require(trigger["recurrence"]["frequency"] in _UNITS, "recurrence: unknown frequency")
    interval = trigger["recurrence"]["interval"]
    _require(isinstance(interval, int) and interval > 0, "recurrence: no interval")
    concurrency = trigger.get("runtimeConfiguration", {}).get("concurrency", {})
    _only(concurrency, {"runs", "maximumWaitingRuns"}, "concurrency")
    _require(1 <= concurrency.get("runs", 1) <= 100, "concurrency: runs")
    _require(1 <= concurrency.get("maximumWaitingRuns", 1) <= 100, "concurrency: maximumWaitingRuns")


def _all(actions: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names = set()
    for name, action in actions.items():
        inner = [*_all(action.get("actions", {})), *_all(action.get("else", {}).get("actions", {}))]
        for found, one in [(name, action), *inner]:
            _require(found not in names, f"{found}: there are two actions of this name")
            names.add(found)
            yield found, one


def _action(name: str, action: Mapping[str, Any]) -> None:
    kind = action.get("type")
    _require(kind in _ACTIONS, f"{name}: type {kind!r} is not known here")
    may, inputs = _ACTIONS[str(kind)]
    _only(action, {"type", "runAfter"} | may, name)
    if inputs is not None:
        _only(action["inputs"], inputs, f"{name}.inputs")
    if kind == "Http":
        _http(name, action["inputs"])
    if kind == "Until":
        _only(action["limit"], {"count", "timeout"}, f"{name}.limit")
        _require(1 <= action["limit"]["count"] <= MOST_ITERATIONS, f"{name}: limit.count")


def _http(name: str, inputs: Mapping[str, Any]) -> None:
    _require(inputs["method"] in ("GET", "PUT", "POST", "PATCH", "DELETE"), f"{name}: unknown method")
    _only(inputs["authentication"], {"type", "identity", "audience"}, f"{name}.authentication")
    _require(inputs["authentication"]["type"] == "ManagedServiceIdentity", f"{name}: signs in with a secret")
    # It is read when the definition is saved, before there are parameters.
    identity = inputs["authentication"]["identity"]
    _require(not identity.startswith("@"), f"{name}: the identity is an expression")
    retry = inputs.get("retryPolicy", {"type": "none"})
    _only(retry, _RETRY, f"{name}.retryPolicy")
    _require(retry["type"] in ("none", "fixed", "exponential"), f"{name}: unknown retryPolicy")
    _require(0 <= retry.get("count", 0) <= MOST_RETRIES, f"{name}: retryPolicy.count")


def _run_after(actions: Mapping[str, Any]) -> None:
    """Each comes after others of its own level, in no circle."""
    done: set[str] = set()
    waiting = dict(actions)
    for name, action in actions.items():
        for other, statuses in action["runAfter"].items():
            _require(other in actions, f"{name}.runAfter: there is no action {other!r} beside it")
            _require(bool(statuses) and set(statuses) <= set(STATUSES), f"{name}.runAfter: unknown status")
        _run_after(action.get("actions", {}))
        _run_after(action.get("else", {}).get("actions", {}))
    while waiting:
        ready = [name for name, action in waiting.items() if set(action["runAfter"]) <= done]
        _require(bool(ready), f"{', '.join(waiting)}: they wait for each other")
        done.update(ready)
        for name in ready:
            del waiting[name]


def _expressions(name: str, value: Any, known: Mapping[str, set[str]]) -> None:
    """Every expression can be read, and what it names is there."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ("actions", "else", "runAfter"):
                _expressions(name, one, known)
    elif isinstance(value, list):
        for one in value:
            _expressions(name, one, known)
    elif isinstance(value, str) and value.startswith("@") and not value.startswith("@@"):
        for function, arguments in Expression(value[1:]).calls:
            _require(function in PURE or function in OF_A_RUN, f"{name}: unknown function {function!r}")
            if kind := OF_A_RUN.get(function):
                _require(arguments[0] in known[kind], f"{name}: there is no {kind} {arguments[0]!r}")


def _only(value: Mapping[str, Any], may: set[str], where: str) -> None:
    _require(set(value) <= may, f"{where}: unknown {', '.join(sorted(set(value) - may))}")


def _require(is_so: bool, what: str) -> None:
    if not is_so:
        raise DefinitionError(what)
