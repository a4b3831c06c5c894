"""List raw readings in a container or bucket; each file is fetched when `ingest` first opens it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.file_formats import FORMATS, format_suffix
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.storage import Entry, Folder, open_file, open_folder
from batch_scoring.storage.cache import run_folder

_MAGIC = re.compile(r"[*\[]")


@dataclass(frozen=True, kw_only=True)
class SourceBlob(SourceFile):
    """A blob or object of raw readings.

    Attributes
    ----------
    folder : Folder
    entry : Entry
        As it was listed.
    """

    folder: Folder
    entry: Entry

    @property
    def version(self) -> str:
        """Its ETag."""
        return self.entry.version

    @contextmanager
    def opened(self) -> Iterator[str]:
        """The path of a copy, which stays until the end of the run; errors name the blob instead."""
        try:
            copy = str(self.folder.local_copy(self.entry.name, run_folder(), self.entry))
        except FileNotFoundError:
            raise InputError(f"{self.path}: is gone since it was listed; run again") from None
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(copy, self.path)) from error

    def has_changed(self) -> bool:
        """Whether the blob was replaced or deleted since it was listed."""
        return self.folder.entry(self.entry.name) != self.entry


def list_source_blobs(url: str, credentials: Mapping[str, Any] | None = None) -> list[SourceFile]:
    """List the blobs of readings at a URL, sorted by name (as UTF-8 bytes); may be empty.

    Parameters
    ----------
    url : str
        Of a blob, a folder, or a glob of blobs.
    credentials : dict, optional

    Raises
    ------
    InputError
        When the storage cannot be read.
    """
    folder, found = _find(url.rstrip("/"), credentials)
    named = [_source(folder, entry) for entry in found if format_suffix(entry.name) in FORMATS]
    return sorted(named, key=lambda one: one.name.encode())


def _find(url: str, credentials: Mapping[str, Any] | None) -> tuple[Folder, list[Entry]]:
    if _MAGIC.search(url):
        fixed = _MAGIC.split(url, maxsplit=1)[0].rpartition("/")[0]
        folder, pattern = open_folder(fixed, credentials), _glob(url[len(fixed) + 1 :])
        return folder, [one for one in _visible(folder) if pattern.fullmatch(one.name)]
    if format_suffix(url) in FORMATS:
        folder, name = open_file(url, credentials)
        entry = folder.entry(name)
        if entry is not None:
            return folder, [entry]
    folder = open_folder(url, credentials)
    return folder, _visible(folder)


def _visible(folder: Folder) -> list[Entry]:
    return [one for one in folder.entries() if not any(part.startswith(".") for part in one.name.split("/"))]


def _glob(pattern: str) -> re.Pattern[str]:
    """Translate a glob to a regular expression, with the meaning of Python's ``glob``.

    Examples
    --------
    >>> bool(_glob("**/*.csv").fullmatch("2026/01/a.csv")), bool(_glob("*.csv").fullmatch("2026/a.csv"))
    (True, False)
    """
    known = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}

    def translated(part: str) -> str:
        if part.startswith("["):
            return part.replace("[!", "[^", 1)
        return known.get(part) or re.escape(part)

    parts = re.split(r"(\*\*/|\*|\[[^\]]+\])", pattern)
    return re.compile("".join(map(translated, parts)))


def _source(folder: Folder, entry: Entry) -> SourceBlob:
    return SourceBlob(
        name=entry.name,
        path=folder.path(entry.name),
        size=entry.size,
        changed_ns=entry.changed_ns,
        clock=folder.clock,
        folder=folder,
        entry=entry,
    )
