"""Ids of resources taken apart: scope, provider, types and names."""

from __future__ import annotations

import re
from dataclasses import dataclass

_GROUP = re.compile(r"^/subscriptions/([^/]+)(?:/resourcegroups/([^/]+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A path below a provider.

    Attributes
    ----------
    scope : str
        What is before the last ``/providers/``: a subscription, a group, or another resource.
    namespace : str
        Such as ``Microsoft.Storage``.
    types, names : tuple of str
        As many names as types, or one fewer where the path is that of a list.
    """

    scope: str
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, path: str) -> Place | None:
        """None: there is no provider in it."""
        found = re.match(r"^(.*)/providers/([^/]+)((?:/[^/]+)+)/?$", path, re.IGNORECASE)
        if found is None:
            return None
        words = found[3].strip("/").split("/")
        return cls(found[1], found[2], tuple(words[::2]), tuple(words[1::2]))

    @property
    def is_list(self) -> bool:
        return len(self.types) > len(self.names)

    @property
    def type(self) -> str:
        return "/".join((self.namespace, *self.types))

    @property
    def name(self) -> str:
        return "/".join(self.names)

    @property
    def id(self) -> str:
        pairs = (f"/{one}/{name}" for one, name in zip(self.types, self.names, strict=False))
        return f"{self.scope}/providers/{self.namespace}{''.join(pairs)}"

    @property
    def parent(self) -> str | None:
        """The id of the resource that this one is a part of; None: of none."""
        return self.id.rsplit("/", 2)[0] if len(self.names) > 1 else None

    @property
    def is_extension(self) -> bool:
        """Whether it lies on another resource."""
        return "/providers/" in self.scope.lower()


def group_of(path: str) -> tuple[str, str]:
    """Subscription and resource group of an id, in lower case; empty where it has none."""
    found = _GROUP.match(path)
    return (found[1].lower(), (found[2] or "").lower()) if found else ("", "")


def resource_id(scope: str, full_type: str, name: str) -> str:
    """The id of a resource with a type such as ``A/b/c`` and a name such as ``x/y``."""
    namespace, *types = full_type.split("/")
    names = name.split("/")
    pairs = "".join(f"/{one}/{word}" for one, word in zip(types, names, strict=True))
    return f"{scope}/providers/{namespace}{pairs}"
