"""Resource groups: made, found, listed with what is in them, and deleted with all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.emulators.arm.ids import group_of
from tests.emulators.arm.later import Later
from tests.emulators.arm.resources import Resources
from tests.emulators.batch_ai.answers import Answer, RefusedError


@dataclass
class Group:
    """A resource group."""

    name: str
    location: str
    tags: dict[str, str]


class Groups:
    """All groups of a subscription, by their names in lower case.

    Parameters
    ----------
    subscription : str
    resources : Resources
    later : Later
    empty : callable
        Deletes all that is in a group.
    """

    def __init__(
        self, subscription: str, resources: Resources, later: Later, empty: Callable[[str], None]
    ) -> None:
        self._subscription, self._resources = subscription, resources
        self._later, self._empty = later, empty
        self.by_name: dict[str, Group] = {}

    def answer(
        self, method: str, path: str, words: list[str], body: dict[str, Any], asked: dict[str, str], host: str
    ) -> Answer:
        """Answer a request for a group, for all, or for what is in one."""
        if len(words) == 3:
            return Answer(200, {"value": [self._describe(one) for one in self.by_name.values()]})
        if len(words) == 5 and words[4].lower() == "resources":
            return self._list_group(path, asked, host)
        name = words[3]
        there = self.by_name.get(name.lower())
        if method == "HEAD":
            return Answer(204 if there else 404)
        if method == "PUT":
            if there and there.location != body["location"]:
                message = f"The group '{name}' is in '{there.location}' already."
                raise RefusedError(409, "InvalidResourceGroupLocation", message)
            made = Group(there.name if there else name, body["location"], dict(body.get("tags") or {}))
            self.by_name[name.lower()] = made
            if there is None:
                self._resources.changes.append(f"/subscriptions/{self._subscription}/resourceGroups/{name}")
            return Answer(200 if there else 201, self._describe(made))
        group = self.find(path)
        if method == "GET":
            return Answer(200, self._describe(group))
        if method == "DELETE":
            return self._later.begin(path, lambda: self._delete_group(group), host)
        raise RefusedError(405, "MethodNotAllowed", f"{method} is not allowed at {path}.")

    def find(self, path: str) -> Group:
        """The group that a path is in."""
        name = group_of(path)[1]
        if name not in self.by_name:
            raise RefusedError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
        return self.by_name[name]

    def _describe(self, group: Group) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self._subscription}/resourceGroups/{group.name}",
            "name": group.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            "tags": group.tags,
            "properties": {"provisioningState": "Succeeded"},
        }

    def _delete_group(self, group: Group) -> Answer:
        scope = f"/subscriptions/{self._subscription}/resourceGroups/{group.name}"
        self._empty(scope)
        self.by_name.pop(group.name.lower(), None)
        self._resources.changes.append(scope)
        return Answer(200)

    def _list_group(self, path: str, asked: dict[str, str], host: str) -> Answer:
        """Resources that are no parts of others, or have a place of their own; a page at a time."""
        self.find(path)
        scope = path.rsplit("/", 1)[0]
        wanted = asked.get("$filter", "").partition("resourceType eq ")[2].strip("'").lower()
        tops = [
            one
            for one in self._resources.within(scope)
            if len(one.place.names) == 1 or one.sent.get("location")
        ]
        tops = [
            one
            for one in tops
            if not one.place.is_extension and one.place.namespace.lower() != "microsoft.authorization"
        ]
        found = [one for one in tops if not wanted or one.place.type.lower() == wanted]
        first, most = int(asked.get("$skiptoken", "0")), min(int(asked.get("$top", "5")), 5)
        shown = [
            _in_listing(one.place.name, self._resources.describe(one)) for one in found[first : first + most]
        ]
        listing: dict[str, Any] = {"value": shown}
        if len(found) > first + most:
            again = {"api-version": asked["api-version"], "$skiptoken": first + most}
            again |= {"$filter": asked["$filter"]} if wanted else {}
            listing["nextLink"] = f"https://{host}{path}?{urlencode(again)}"
        return Answer(200, listing)


def _in_listing(name: str, described: dict[str, Any]) -> dict[str, Any]:
    """A resource as listings of groups show it."""
    keys = ("id", "name", "type", "location", "tags", "kind", "sku", "identity")
    shown = {key: value for key, value in described.items() if key in keys}
    state = described["properties"].get("provisioningState", "Succeeded")
    return shown | {"name": name, "provisioningState": state}
