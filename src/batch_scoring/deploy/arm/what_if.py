"""Predict what a deployment would change, by what-if of the Resource Manager, and format it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.client import Client, word
from batch_scoring.deploy.arm.errors import clear_errors, explained, innermost

_SIGNS = {"Create": "+", "Modify": "~", "Delete": "-", "NoChange": "=", "Deploy": "!", "Unsupported": "?"}
_VERBS = {
    "Create": "create",
    "Modify": "change",
    "Delete": "delete",
    "NoChange": "leave as it is",
    "Ignore": "leave alone",
    "Deploy": "deploy again",
}
_LONGEST_VALUE = 100


@dataclass(frozen=True)
class Change:
    """Predicted change of a resource.

    Attributes
    ----------
    kind : str
        Create, Modify, Delete, NoChange, Ignore, Deploy or Unsupported.
    name : str
        Its type and name.
    properties : tuple of (sign, path, before, after)
    """

    kind: str
    name: str
    properties: tuple[tuple[str, str, Any, Any], ...] = ()

    @property
    def verb(self) -> str:
        """Verb of the change."""
        return _VERBS.get(self.kind, "make unknown changes to")

    @property
    def changes(self) -> bool:
        """Whether the resource changes."""
        return self.kind not in ("NoChange", "Ignore", "Unsupported")

    def as_data(self) -> dict[str, Any]:
        """Return plain values for ``--json``."""
        properties = [
            {"path": path, "change": sign, "before": before, "after": after}
            for sign, path, before, after in self.properties
        ]
        return {"change": self.kind, "resource": self.name, "properties": properties}


def predict(
    client: Client, properties: Mapping[str, Any], unwanted: Sequence[tuple[str, str]] = ()
) -> list[Change]:
    """Predict what the deployment would change.

    Parameters
    ----------
    client : Client
    properties : mapping
        Of the deployment.
    unwanted : sequence of (str, str)
        Ids and API versions of what `up` deletes before, which the Resource Manager itself would leave alone.

    Raises
    ------
    InputError
        When the deployment would fail.
    """
    place = client.place
    body = {"properties": {**properties, "whatIfSettings": {"resultFormat": "FullResourcePayloads"}}}
    with clear_errors(f"deployment {place.deployment!r}", place):
        found = client.deployments.deployments.begin_what_if(
            place.resource_group, place.deployment, body
        ).result()
    if found.error is not None:
        raise InputError(
            f"deployment {place.deployment!r}: {explained(innermost(found.error.as_dict()), place)}"
        )
    changes = found.properties.changes if found.properties is not None else found.changes
    goes = {path.lower() for path, _ in unwanted}
    return [
        replace(_change(one), kind="Delete") if str(one.resource_id).lower() in goes else _change(one)
        for one in changes or []
    ]


def lines(changes: Iterable[Change]) -> Iterable[str]:
    """Format the changes, and their number of each kind."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
        yield f"{_SIGNS.get(change.kind, ' ')} {change.name}"
        for sign, path, before, after in change.properties:
            old, new = _text(before), _text(after)
            shown = {"+": new, "-": old}.get(sign, f"{old} → {new}")
            yield f"    {sign} {path}: {shown}"
    text = ", ".join(f"{count} to {_VERBS.get(kind, kind.lower())}" for kind, count in counts.items())
    yield text or "nothing in it"


def _change(one: Any) -> Change:
    name = str(one.resource_id).rpartition("/providers/")[2]
    properties = _properties(one.delta or [])
    if "/secrets/" in name.lower():
        properties = ((sign, path, "…", "…") for sign, path, _, _ in properties)
    return Change(word(one.change_type), name, tuple(properties))


def _properties(delta: Iterable[Any], above: str = "") -> Iterable[tuple[str, str, Any, Any]]:
    for one in delta:
        path = f"{above}.{one.path}" if above else str(one.path)
        if one.children:
            yield from _properties(one.children, path)
        else:
            sign = {"Create": "+", "Delete": "-", "NoEffect": "="}.get(word(one.property_change_type), "~")
            yield sign, path, one.before, one.after


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def all_new(template: Mapping[str, Any]) -> list[Change]:
    """List all resources as new, where there is no resource group yet to ask about."""
    return [Change("Create", f"{one['type']} {one['name']}") for one in template.get("resources", [])]
