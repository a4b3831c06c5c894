"""Check that a workflow's definition is consistent, pure: what its actions wait for and refer to exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

_SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
_STATES = ("Succeeded", "Failed", "Skipped", "TimedOut")
_TYPES: dict[str, Any] = {
    "string": str,
    "securestring": str,
    "int": int,
    "bool": bool,
    "object": Mapping,
    "secureobject": Mapping,
    "array": list,
    "float": (int, float),
}


def workflow_faults(definition: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """List what is wrong with a definition and its given parameters, one sentence each.

    Parameters
    ----------
    definition : mapping
        Of a ``Microsoft.Logic/workflows`` resource.
    given : mapping
        Its ``properties.parameters``: ``{name: {"value": …}}``.
    """
    faults = []
    if definition.get("$schema") != _SCHEMA:
        faults.append(f"the definition's $schema is {definition.get('$schema')!r}, not {_SCHEMA}")
    faults += [
        f"the definition has no {name}" for name in ("triggers", "actions") if not definition.get(name)
    ]
    faults += _of_parameters(definition.get("parameters", {}), given)
    faults += _of_order(definition.get("actions", {}))
    faults += _of_expressions(definition)
    faults += _of_identities(definition)
    return faults


def actions_of(definition: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return all actions by name, at any depth."""
    return {
        name: action for group in _groups(definition.get("actions", {})) for name, action in group.items()
    }


def _of_parameters(known: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    faults = [f"parameter {name!r} is given and not in the definition" for name in given if name not in known]
    for name, one in known.items():
        if name not in given:
            if "defaultValue" not in one:
                faults.append(f"parameter {name!r} of the definition is not given")
            continue
        expected = _TYPES.get(str(one.get("type")).lower())
        if expected is None:
            faults.append(f"parameter {name!r} of the definition has the unknown type {one.get('type')!r}")
        elif not isinstance(given[name].get("value"), expected):
            faults.append(f"parameter {name!r} is not of type {one['type']}")
    return faults


def _groups(actions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield groups of actions that run beside each other: the outermost, then the inner ones."""
    yield actions
    for action in actions.values():
        for inner in _inner(action):
            yield from _groups(inner)


def _inner(action: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    cases = [*action.get("cases", {}).values(), action.get("else", {}), action.get("default", {}), action]
    for one in cases:
        if "actions" in one:
            yield one["actions"]


def _of_order(actions: Mapping[str, Any]) -> list[str]:
    faults, seen = [], set()
    for group in _groups(actions):
        for name, action in group.items():
            if name in seen:
                faults.append(f"there are two actions {name!r}")
            seen.add(name)
            for before, states in action.get("runAfter", {}).items():
                if before not in group:
                    faults.append(f"action {name!r} runs after {before!r}, which is not beside it")
                faults += [
                    f"action {name!r} runs after the unknown state {state!r}"
                    for state in states
                    if state.lower() not in {one.lower() for one in _STATES}
                ]
        faults += _circles(group)
    return faults


def _circles(group: Mapping[str, Any]) -> list[str]:
    order = {name: group.keys() & action.get("runAfter", {}).keys() for name, action in group.items()}
    try:
        TopologicalSorter(order).prepare()
    except CycleError as error:
        return [f"actions wait for each other in a circle: {', '.join(sorted({*error.args[1]}))}"]
    return []


def _of_identities(definition: Mapping[str, Any]) -> list[str]:
    """Check that an identity is a literal: the service reads it on saving, before there are parameters."""
    signed_in = {
        name: action["inputs"].get("authentication", {}).get("identity", "")
        for name, action in actions_of(definition).items()
        if action.get("type") == "Http"
    }
    return [
        f"the identity of action {name!r} is {identity!r}; expected its resource id, not an expression"
        for name, identity in signed_in.items()
        if identity.startswith("@")
    ]


def _of_expressions(definition: Mapping[str, Any]) -> list[str]:
    text = json.dumps(definition, ensure_ascii=False)
    known = {
        "parameters": set(definition.get("parameters", {})),
        "variables": {
            variable["name"]
            for action in actions_of(definition).values()
            if action.get("type") == "InitializeVariable"
            for variable in action["inputs"]["variables"]
        },
        "actions": set(actions_of(definition)),
    }
    faults = []
    for function, name in sorted(set(re.findall(r"\b(\w+)\('([^']*)'\)", text))):
        kind = "actions" if function in ("body", "outputs", "result") else function
        if kind in known and name not in known[kind]:
            faults.append(f"an expression refers to {function}({name!r}), which does not exist")
    for expression in re.findall(r"\"(@[^\"\\]*(?:\\.[^\"\\]*)*)\"", text):
        bare = re.sub(r"'(?:[^']|'')*'", "''", expression)
        if bare.count("(") != bare.count(")") or bare.count("[") != bare.count("]"):
            faults.append(f"the brackets of {expression[:60]!r} do not match")
    return faults
