"""List the files of raw readings. A new format: its suffix in ``FORMATS``, its rows in ``relations``."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# File format by the suffix of the name.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".avro": "events",  # of Event Hubs Capture
}
# Events of a hub, landed by the `receive` pipeline: a Parquet file all the same.
EVENTS_SUFFIX = ".events.parquet"


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
        """``"csv"``, ``"parquet"``, ``"events"`` or ``"json"`` (one object a line, or one array)."""
        if self.path.endswith(EVENTS_SUFFIX):
            return "events"
        return FORMATS[format_suffix(self.path)]

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
        A file, a folder or a glob. A file named explicitly is read even when it is hidden.
    """
    place = Path(path)
    if place.is_file():
        root, found = place.parent, [place]
    elif place.is_dir():
        root, found = place, _visible(place, place.rglob("*"))
    else:
        root = _fixed_part(place)
        matches = map(Path, glob.iglob(path, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        found = _visible(root, matches)
    files = [_source_file(file, root) for file in found if format_suffix(file.name) in FORMATS]
    return sorted(files, key=lambda file: os.fsencode(file.name))


def _visible(root: Path, paths: Iterable[Path]) -> list[Path]:
    def is_hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(root).parts)

    return [path for path in paths if not is_hidden(path) and path.is_file()]


def _fixed_part(pattern: Path) -> Path:
    """Return the folder that contains every match of a glob."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _source_file(file: Path, root: Path) -> SourceFile:
    status = file.stat()
    return SourceFile(file.relative_to(root).as_posix(), str(file), status.st_size, changed_ns(status))


def changed_ns(status: os.stat_result) -> int:
    """Return when a file's bytes or path last changed, nanoseconds since the epoch."""
    return max(status.st_ctime_ns, status.st_mtime_ns)


def format_suffix(name: str) -> str:
    """Return the suffix that gives a file's format, in lower case and without ``.gz``."""
    return Path(name.lower().removesuffix(".gz")).suffix
