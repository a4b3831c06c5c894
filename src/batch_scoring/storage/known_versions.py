"""The versions of files that this process has seen: what it replaces is what it has read, not what is there.

A run reads a partition and writes it anew minutes later. Were its condition the version at the time of
writing, what another run has written in between would be lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class KnownVersions:
    """Versions of a place's files by name, as they were last listed, read or written."""

    def __init__(self) -> None:
        self._versions: dict[str, str | None] = {}
        self._listed: dict[str, set[str]] = {}

    def see(self, name: str, version: str | None) -> None:
        """Remember a file's version; None: it is not there."""
        self._versions[name] = version

    def see_all(self, prefix: str, versions: Mapping[str, str], suffix: str = "") -> None:
        """Remember all files below a prefix that ends in ``/``, with a suffix; others are not there."""
        self._versions = {
            name: one
            for name, one in self._versions.items()
            if not (name.startswith(prefix) and name.endswith(suffix))
        }
        self._versions.update(versions)
        self._listed.setdefault(prefix, set()).add(suffix)

    def knows(self, name: str) -> bool:
        """Whether it is known if the file is there."""
        return name in self._versions or any(
            name.endswith(suffix) for prefix in _folders(name) for suffix in self._listed.get(prefix, ())
        )

    def version(self, name: str) -> str | None:
        """The version that is known of a file; None: it is not there."""
        return self._versions.get(name)


def _folders(name: str) -> Iterable[str]:
    """Every prefix of a name that ends in ``/``, and the container's.

    Examples
    --------
    >>> list(_folders("a/b/c"))
    ['', 'a/', 'a/b/']
    """
    yield ""
    for place, letter in enumerate(name):
        if letter == "/":
            yield name[: place + 1]
