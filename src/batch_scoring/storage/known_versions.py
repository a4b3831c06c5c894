"""Remember the versions of files that this process has read, as the condition for replacing them.

A run reads a partition and rewrites it minutes later. If its condition were the version at the time of
writing, what another run wrote in between would be silently lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from weakref import WeakSet


class KnownVersions:
    """Versions of files by name, as last listed, read or written; threads may share them."""

    def __init__(self) -> None:
        _all.add(self)
        self._lock = threading.Lock()
        self._versions: dict[str, str | None] = {}
        self._listed: dict[str, set[str]] = {}

    def see(self, name: str, version: str | None) -> None:
        """Remember a file's version; None: it does not exist."""
        with self._lock:
            self._versions[name] = version

    def see_all(self, prefix: str, versions: Mapping[str, str], suffix: str = "") -> None:
        """Remember all files below a prefix ending in ``/``, with a suffix; others do not exist."""
        with self._lock:
            gone = [name for name in self._versions if name.startswith(prefix) and name.endswith(suffix)]
            for name in gone:
                del self._versions[name]
            self._versions.update(versions)
            self._listed.setdefault(prefix, set()).add(suffix)

    def forget(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._versions.clear()
            self._listed.clear()

    def knows(self, name: str) -> bool:
        """Whether it is known if the file exists."""
        with self._lock:
            return name in self._versions or any(
                name.endswith(suffix) for prefix in _folders(name) for suffix in self._listed.get(prefix, ())
            )

    def version(self, name: str) -> str | None:
        """Return the known version of a file; None: it does not exist."""
        with self._lock:
            return self._versions.get(name)


_all: WeakSet[KnownVersions] = WeakSet()


def forget_versions() -> None:
    """Forget what this process has seen of files, since a new run begins.

    A notebook lives for many runs. What it saw in a former one is no condition for this one: where another
    process has written since, no run would ever succeed again.
    """
    for known in list(_all):
        known.forget()


def _folders(name: str) -> Iterable[str]:
    """Yield every prefix of a name that ends in ``/``, and the empty one.

    Examples
    --------
    >>> list(_folders("a/b/c"))
    ['', 'a/', 'a/b/']
    """
    yield ""
    for place, letter in enumerate(name):
        if letter == "/":
            yield name[: place + 1]
