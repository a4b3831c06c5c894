"""Resources as the Resource Manager and their providers keep them: made, changed, found, deleted."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.arm.functions import Where
from tests.emulators.arm.ids import Place
from tests.emulators.arm.known_types import KNOWN, identity_of, is_at_once, state_of, told_by_provider
from tests.emulators.arm.roles import require_new_assignment
from tests.emulators.batch_ai.answers import RefusedError

Watcher = Callable[[str, dict[str, Any] | None], None]


@dataclass
class Resource:
    """One of them, as it was sent last, and what became of it."""

    place: Place
    sent: dict[str, Any]
    told: dict[str, Any]
    ready: float
    error: dict[str, str] | None = None
    is_new: bool = True

    @property
    def state(self) -> str:
        if time.monotonic() < self.ready:
            return "Creating" if self.is_new else "Updating"
        return "Failed" if self.error else "Succeeded"


@dataclass
class _Failure:
    part: str
    error: dict[str, str]
    times: int


@dataclass
class Resources:
    """All of them, by their ids in lower case.

    Attributes
    ----------
    making_seconds : float
        How long a provider takes.
    changes : list of str
        Ids of what was made, changed or deleted, in this order.
    """

    making_seconds: float
    changes: list[str] = field(default_factory=list)
    _by_key: dict[str, Resource] = field(default_factory=dict)
    _failures: list[_Failure] = field(default_factory=list)
    _watchers: dict[str, list[Watcher]] = field(default_factory=dict)

    def fail(self, part: str, code: str, message: str, times: int = 1) -> None:
        """Let the next resources with this in their ids fail while they are made."""
        self._failures.append(_Failure(part.lower(), {"code": code, "message": message}, times))

    def watch(self, kind: str, watcher: Watcher) -> None:
        """Call this with id and body of each resource of a type that is made or changed; None: deleted."""
        self._watchers.setdefault(kind.lower(), []).append(watcher)

    def find(self, path: str) -> Resource | None:
        return self._by_key.get(path.lower())

    def get(self, path: str) -> Resource:
        found = self.find(path)
        if found is None:
            raise RefusedError(404, "ResourceNotFound", f"The Resource '{path}' was not found.")
        return found

    def within(self, scope: str) -> list[Resource]:
        """All resources below a scope."""
        return [one for key, one in self._by_key.items() if key.startswith(scope.lower() + "/")]

    def put(self, place: Place, body: dict[str, Any], where: Where) -> tuple[Resource, bool]:
        """Make or change one; whether it is new."""
        former = self.find(place.id)
        if place.parent is not None and _is_kept(place.parent):
            above = self.find(place.parent)
            if above is None:
                raise RefusedError(404, "ParentResourceNotFound", f"{place.parent} was not found.")
            if above.state in ("Creating", "Failed"):
                raise RefusedError(409, "ParentNotReady", f"{place.parent} is {above.state}.")
        if place.type.lower() == "microsoft.authorization/roleassignments":
            others = [one for one in self._by_key.values() if one is not former]
            require_new_assignment(place, body, former, others)
        if former is not None and former.sent == body and former.state == "Succeeded":
            return former, False
        failure = next((one for one in self._failures if one.times and one.part in place.id.lower()), None)
        seconds = 0.0 if is_at_once(place.type) else self.making_seconds
        told = told_by_provider(place, body, where) | (_kept(former) if former else {})
        made = Resource(place, copy.deepcopy(body), told, time.monotonic() + seconds, is_new=former is None)
        if failure is not None:
            failure.times -= 1
            made.error = failure.error
        if (identity := identity_of(place, body.get("identity"), where)) is not None:
            made.told["identity"] = identity
        if (state := body.get("properties", {}).get("state")) is not None:
            made.told["state"] = state
        self._by_key[place.id.lower()] = made
        self._tell(made, None if failure else self.describe(made))
        return made, former is None

    def delete(self, path: str) -> bool:
        """Delete one with all that is in it and on it; whether there was one."""
        if self.find(path) is None:
            return False
        for one in [*self.within(path), self.get(path)]:
            del self._by_key[one.place.id.lower()]
            self._tell(one, None)
        return True

    def note(self, place: Place, body: dict[str, Any]) -> None:
        """Keep that a resource of another stand-in is there."""
        self._by_key[place.id.lower()] = Resource(place, body, {}, 0.0)

    def forget(self, path: str) -> None:
        """Keep that a resource of another stand-in, and all in it, is gone."""
        for one in self.within(path):
            self._by_key.pop(one.place.id.lower(), None)
        self._by_key.pop(path.lower(), None)

    def describe(self, one: Resource) -> dict[str, Any]:
        """As it is answered; secrets that came with it are not."""
        told = dict(one.told)
        identity = told.pop("identity", None)
        properties = without_secrets(one.sent.get("properties", {})) | told
        if one.place.type.lower() == "microsoft.keyvault/vaults/secrets":
            properties.pop("value", None)
        if one.place.type.lower() == "microsoft.app/jobs":
            properties["configuration"] = _named_secrets(properties["configuration"])
        if not is_at_once(one.place.type):
            properties["provisioningState"] = state_of(one.place.type, one.state)
        described = {"id": one.place.id, "name": one.place.names[-1], "type": one.place.type}
        described |= {key: value for key, value in one.sent.items() if key != "properties"}
        if identity is not None:
            described["identity"] = identity
        found: dict[str, Any] = json.loads(json.dumps(described | {"properties": properties}))
        return found

    def _tell(self, one: Resource, body: dict[str, Any] | None) -> None:
        self.changes.append(one.place.id)
        for watcher in self._watchers.get(one.place.type.lower(), []):
            watcher(one.place.id, body)


def _is_kept(path: str) -> bool:
    """Whether the parent of a resource must be there; some are there with what they are a part of."""
    place = Place.read(path)
    return place is not None and place.type.lower() in KNOWN and place.names[-1].lower() != "default"


def _kept(former: Resource) -> dict[str, Any]:
    return {key: value for key, value in former.told.items() if key in ("jobState",)}


def _named_secrets(configuration: dict[str, Any]) -> dict[str, Any]:
    """The secrets of a job by their names alone."""
    found = [{"name": one["name"]} for one in configuration.get("secrets") or []]
    return configuration | {"secrets": found}


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_secrets(one)
            for key, one in value.items()
            if not any(word in key.lower() for word in ("password", "sharedaccesspolicykey", "securevalue"))
        }
    return [without_secrets(one) for one in value] if isinstance(value, list) else value
