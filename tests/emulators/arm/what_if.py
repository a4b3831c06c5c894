"""What a deployment would change, as the Resource Manager foretells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.emulators.arm.expressions import TemplateError, is_expression, resolve
from tests.emulators.arm.functions import Function
from tests.emulators.arm.resources import Resources
from tests.emulators.arm.templates import Plan


def predict(plan: Plan, resources: Resources, functions: dict[str, Function]) -> list[dict[str, Any]]:
    """A change of each resource of the plan, and of those of the group that it leaves alone."""
    found = []
    for one in plan.resources:
        after = {"id": one.id, "type": one.type, "name": one.name.rsplit("/", 1)[-1]}
        after |= {"apiVersion": one.api_version} | _resolved(one.raw, functions)
        there = resources.find(one.id)
        change: dict[str, Any] = {"resourceId": one.id, "after": after}
        if there is None:
            change |= {"changeType": "Create"}
        else:
            before = {key: after[key] for key in ("id", "type", "name", "apiVersion")} | there.sent
            delta = list(_delta(before, after))
            change |= {"before": before, "changeType": "Modify" if delta else "NoChange", "delta": delta}
        found.append(_without_values(change) if one.type.lower().endswith("vaults/secrets") else change)
    planned = plan.by_key()
    others = [one for one in resources.within(plan.where.group_id) if len(one.place.names) == 1]
    for other in others:
        if other.place.id.lower() not in planned and not other.place.is_extension:
            before = resources.describe(other)
            found.append(
                {"resourceId": other.place.id, "changeType": "Ignore", "before": before, "after": before}
            )
    return found


def _without_values(change: dict[str, Any]) -> dict[str, Any]:
    """A change of a secret, which shows no secret."""
    for side in ("before", "after"):
        if side in change:
            properties = {key: one for key, one in change[side]["properties"].items() if key != "value"}
            change[side] = change[side] | {"properties": properties}
    if "delta" in change:
        change["delta"] = [one for one in change["delta"] if one["path"] != "properties.value"]
    return change


def _resolved(value: Any, functions: dict[str, Function]) -> Any:
    """With the expressions that cannot be evaluated yet left as they are."""
    if isinstance(value, dict):
        return {_resolved(key, functions): _resolved(one, functions) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, functions) for one in value]
    try:
        return resolve(value, functions)
    except TemplateError:
        if not is_expression(value):
            raise
        return value


def _delta(before: Any, after: Any, path: str = "") -> Iterable[dict[str, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _of_key(before, after, key, f"{path}.{key}" if path else key)
    elif before != after:
        yield {"path": path, "propertyChangeType": "Modify", "before": before, "after": after, "children": []}


def _of_key(before: dict[str, Any], after: dict[str, Any], key: str, path: str) -> Iterable[dict[str, Any]]:
    if key not in before:
        yield {"path": path, "propertyChangeType": "Create", "after": after[key], "children": []}
    elif key not in after:
        yield {"path": path, "propertyChangeType": "Delete", "before": before[key], "children": []}
    else:
        yield from _delta(before[key], after[key], path)
