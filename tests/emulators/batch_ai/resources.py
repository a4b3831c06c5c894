"""The resources of the service as the Resource Manager keeps them, by their ids."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PROVIDER = "Microsoft.BatchAI"
# Of each kind, by the words of its path, what it must have.
REQUIRED = {
    "workspaces": (),
    "clusters": ("vmSize", "userAccountSettings"),
    "fileservers": ("vmSize", "sshConfiguration", "dataDisks"),
    "experiments": (),
    "jobs": ("cluster", "nodeCount", "stdOutErrPathPrefix"),
}
CHILDREN = {
    "": ("workspaces",),
    "workspaces": ("clusters", "fileservers", "experiments"),
    "experiments": ("jobs",),
}
_PATH = re.compile(
    rf"/subscriptions/(?P<subscription>[^/]+)(?:/resourceGroups/(?P<group>[^/]+))?/providers/{PROVIDER}"
    r"(?P<rest>(?:/[^/]+)*)",
    re.IGNORECASE,
)
# What the service takes and never tells.
_SECRETS = ("accountKey", "adminUserPassword", "password", "instrumentationKey")


@dataclass(frozen=True)
class Path:
    """A path below the provider: kinds and names in turns, then perhaps a kind or an action."""

    id: str
    words: tuple[str, ...]

    @classmethod
    def read(cls, path: str) -> Path | None:
        found = _PATH.fullmatch(path.rstrip("/"))
        return None if found is None else cls(path.rstrip("/"), tuple(found["rest"].strip("/").split("/")))

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(word.lower() for word in self.words[::2])

    @property
    def kind(self) -> str:
        return self.kinds[-1]

    @property
    def is_known(self) -> bool:
        """Whether each kind lies in the one before it."""
        return all(
            kind in CHILDREN.get(above, ())
            for above, kind in zip(("", *self.kinds), self.kinds, strict=False)
        )

    @property
    def is_list(self) -> bool:
        return len(self.words) % 2 == 1

    @property
    def name(self) -> str:
        return self.words[-1]

    @property
    def parent(self) -> str:
        return self.id.rsplit("/", 2)[0]


@dataclass
class Resource:
    """One of them; ``asked`` is what it was made of, ``state`` its provisioning state."""

    path: Path
    asked: dict[str, Any]
    state: str
    made: str
    changed: str

    @property
    def properties(self) -> dict[str, Any]:
        return self.asked.get("properties") or {}


class Resources:
    """All of them, in the order in which they were made."""

    def __init__(self) -> None:
        self._all: dict[str, Resource] = {}

    def get(self, id: str) -> Resource | None:
        return self._all.get(id.lower())

    def put(self, resource: Resource) -> None:
        self._all[resource.path.id.lower()] = resource

    def drop(self, id: str) -> list[Resource]:
        """Remove a resource with all that lies in it."""
        gone = [key for key in self._all if key == id.lower() or key.startswith(id.lower() + "/")]
        return [self._all.pop(key) for key in gone]

    def within(self, folder: str, kind: str) -> Iterator[Resource]:
        """Those of a kind below a path."""
        for key, one in list(self._all.items()):
            if one.path.kind == kind and key.startswith(folder.lower() + "/"):
                yield one


def without_secrets(value: Any) -> Any:
    """The same without what the service never tells, also the values of secret variables."""
    if isinstance(value, list):
        return [without_secrets(one) for one in value]
    if not isinstance(value, dict):
        return copy.copy(value)
    shown = {key: without_secrets(one) for key, one in value.items() if key not in _SECRETS}
    if "secrets" in shown:
        shown["secrets"] = [{"name": one["name"]} for one in shown["secrets"]]
    return shown
