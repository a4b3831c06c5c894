"""List the files of raw readings; their formats are in ``file_formats``."""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batch_scoring.ingestion.file_formats import FORMATS, format_suffix, text_format

# Events of a hub, landed by the `receive` pipeline: a Parquet file all the same.
EVENTS_SUFFIX = ".events.parquet"
_CLOCK_SLACK_NS = 2_000_000_000
# Ends a sentence about a file that is not read.
SEE = "`kedro readings inspect` shows what it is"


@dataclass(frozen=True)
class SourceFile:
    """A file of raw readings.

    Attributes
    ----------
    name : str
        Its path relative to the configured folder, with ``/``: the same wherever that
        folder lies.
    path : str
        Where to open it.
    size : int
        Bytes.
    changed_ns : int
        When its bytes or its place last changed, nanoseconds since the epoch (the inode's change
        time, which a copy that keeps the old modification time still moves on).
    clock : str
        Whose time that is; ``"local"`` or a storage account.
    """

    name: str
    path: str
    size: int
    changed_ns: int
    clock: str = "local"

    @property
    def format(self) -> str:
        """``"events"``, what ``FORMATS`` says of its suffix, or else what its text looks like."""
        if self.path.endswith(EVENTS_SUFFIX):
            return "events"
        return FORMATS.get(format_suffix(self.path)) or text_format(self.path) or "csv"

    @property
    def version(self) -> str:
        """What changes with its bytes and is known without reading them; empty where nothing is.

        A file system that keeps whole seconds may change a file twice within one.
        """
        is_fine = self.changed_ns % 1_000_000_000 != 0 or time.time_ns() - self.changed_ns > _CLOCK_SLACK_NS
        return f"{self.changed_ns}" if is_fine else ""

    @contextmanager
    def opened(self) -> Iterator[str]:
        """The path of a local file with its bytes, for the time of the block."""
        yield self.path

    def has_changed(self) -> bool:
        """Whether the file was replaced or deleted since it was listed."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return True
        return (status.st_size, changed_ns(status)) != (self.size, self.changed_ns)


def list_source_files(path: str) -> list[SourceFile]:
    """List the files of readings at a path, sorted by name (as UTF-8 bytes); may be empty.

    Parameters
    ----------
    path : str
        A file, a folder or a glob. A file named explicitly is read even when it is hidden, and when it holds
        text under a suffix that says nothing, such as ``.log``.
    """
    place = Path(path)
    if place.is_file():
        is_known = format_suffix(path) in FORMATS or text_format(path) is not None
        one = _source_file(str(place), place.name) if is_known else None
        return [] if one is None else [one]
    if place.is_dir():
        found = _files_below(str(place))
    else:
        root = _fixed_part(place)
        matches = glob.iglob(path, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
        named = ((match, Path(match).relative_to(root).as_posix()) for match in matches)
        found = [(match, name) for match, name in named if not _is_hidden(name)]
    files = [_source_file(*one) for one in found if format_suffix(one[0]) in FORMATS]
    there = [file for file in files if file is not None]
    return sorted(there, key=lambda file: file.name.encode("utf-8", "surrogateescape"))


def _files_below(root: str) -> list[tuple[str, str]]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [f"{folder}/{name}" for name in files if not name.startswith(".")]
    return [(path, path[len(root) + 1 :]) for path in found]


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _fixed_part(pattern: Path) -> Path:
    """Return the folder that contains every match of a glob."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _source_file(path: str, name: str) -> SourceFile | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (a hundred thousand files)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return SourceFile(name, path, status.st_size, changed_ns(status))


def changed_ns(status: os.stat_result) -> int:
    """Return when a file's bytes or path last changed, nanoseconds since the epoch."""
    return max(status.st_ctime_ns, status.st_mtime_ns)
