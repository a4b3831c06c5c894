"""List the files of raw readings; their formats are in ``file_formats``."""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.ingestion.file_formats import FORMATS, format_suffix, text_format
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import packed, strings, to_arrow, to_numpy

# Events of a hub, landed by the `receive` pipeline: a Parquet file all the same.
EVENTS_SUFFIX = ".events.parquet"
_CLOCK_SLACK_NS = 2_000_000_000
# Elsewhere what a folder says of a file may be older than the file.
_BY_HANDLE = os.scandir in os.supports_fd
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
    within : str
        The name of the archive or workbook that it lies in; empty where it is a file of its own.
    """

    name: str
    path: str
    size: int
    changed_ns: int
    clock: str = "local"
    within: str = ""

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
        return f"{self.changed_ns}" if _are_fine(np.array([self.changed_ns]))[0] else ""

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


class SourceFiles(Sequence[SourceFile]):
    """The source files below a folder, sorted by name (as UTF-8 bytes).

    They are kept as columns, and each is made when it is asked for: a hundred thousand known files are no
    hundred thousand objects.

    Parameters
    ----------
    root : str
        The folder.
    names : sequence of str
    sizes, changed_ns : numpy arrays, int64, shape (n,)
        See :class:`SourceFile`.
    """

    def __init__(self, root: str, names: Sequence[str], sizes: Int, changed_ns: Int) -> None:
        # As bytes: names that are not valid UTF-8 hold surrogates, and are no text for Arrow.
        encoded = packed([name.encode("utf-8", "surrogateescape") for name in names], pa.binary())
        order = pc.sort_indices(encoded)
        self._root = root
        self._names = encoded.take(order)
        self._sizes, self._changed_ns = sizes[to_numpy(order)], changed_ns[to_numpy(order)]

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> SourceFile: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[SourceFile]: ...

    def __getitem__(self, index: int | slice) -> SourceFile | Sequence[SourceFile]:
        """Return a file, or a list of some."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        name = self._names[index].as_py().decode("utf-8", "surrogateescape")
        return SourceFile(name, f"{self._root}/{name}", int(self._sizes[index]), int(self._changed_ns[index]))

    def listed(self) -> pa.Table:
        """Return a row a file, see :func:`listed`."""
        texts = to_arrow(self._changed_ns).cast(pa.string())
        return _listed(self._names, self._sizes, texts, _are_fine(self._changed_ns))


def listed(files: Sequence[SourceFile]) -> pa.Table:
    """Return a row a file: name (binary, as UTF-8), size (int64) and version (string, null for none)."""
    if isinstance(files, SourceFiles):
        return files.listed()
    names = packed([file.name.encode("utf-8", "surrogateescape") for file in files], pa.binary())
    sizes = np.array([file.size for file in files], np.int64)
    versions = [file.version for file in files]
    return _listed(names, sizes, strings(versions), np.array([bool(one) for one in versions], np.bool_))


def _listed(names: pa.Array, sizes: Int, versions: pa.Array, is_known: Bool) -> pa.Table:
    # An array of nulls, not a scalar: for one Arrow imports pandas.
    versions = pc.if_else(to_arrow(is_known), versions, pa.nulls(len(versions), pa.string()))
    return pa.Table.from_arrays([names, to_arrow(sizes), versions], ["name", "size", "version"])


def list_source_files(path: str) -> Sequence[SourceFile]:
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
        return _files_below(str(place))
    root = _fixed_part(place)
    matches = glob.iglob(path, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    named = ((match, Path(match).relative_to(root).as_posix()) for match in matches)
    found = [(match, name) for match, name in named if not _is_hidden(name)]
    files = [_source_file(*one) for one in found if format_suffix(one[0]) in FORMATS]
    # As in a folder, each folder that cannot be read is a file that cannot be: it is said.
    closed = [(match, Path(match).relative_to(root).as_posix()) for match in _closed_folders(place, root)]
    files += [SourceFile(name, match, 0, 0) for match, name in closed if name == "." or not _is_hidden(name)]
    there = [file for file in files if file is not None]
    return sorted(there, key=lambda file: file.name.encode("utf-8", "surrogateescape"))


def _files_below(root: str) -> SourceFiles:
    """List a folder in one pass: a look at each entry, and nothing else of it is made."""
    names: list[str] = []
    numbers: list[int] = []
    folders, unread = [""], list[str]()
    while folders:
        folder = folders.pop()
        for entry in _entries(f"{root}/{folder}", unread):
            name = entry.name
            if name[0] == ".":
                continue
            if not entry.is_file():
                if entry.is_dir() and not entry.is_symlink():
                    folders.append(f"{folder}{name}/")
            elif name[name.rfind(".") :] in FORMATS or format_suffix(name) in FORMATS:
                try:
                    status = entry.stat() if _BY_HANDLE else _status(entry.path)
                except OSError:
                    status = _status(f"{root}/{folder}{name}")  # an error names its path
                if status is not None:
                    names.append(folder + name)
                    numbers += (status.st_size, status.st_ctime_ns, status.st_mtime_ns)
    for folder in unread:  # each is a file that cannot be read: it is said, and others are read
        names.append(folder.removeprefix(f"{root}/"))
        numbers += (0, 0, 0)
    size, inode_ns, bytes_ns = np.array(numbers, np.int64).reshape(-1, 3).T
    return SourceFiles(root, names, size, np.maximum(inode_ns, bytes_ns))


def _entries(folder: str, unread: list[str]) -> Iterator[os.DirEntry[str]]:
    """Look through a folder; one that cannot be read is added to ``unread``."""
    try:
        with ExitStack() as stack:
            place: str | int = folder
            if _BY_HANDLE:  # its path is not looked up again for each file
                place = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, place)
            entries = stack.enter_context(os.scandir(place))
            yield from entries
    except FileNotFoundError:
        return  # it has gone meanwhile
    except OSError:
        unread.append(folder)


def _closed_folders(pattern: Path, root: Path) -> Iterator[str]:
    """Yield the folders that a glob looks into and cannot read."""
    parents = [parent for parent in pattern.parents if parent.is_relative_to(root)]
    folders = {match for parent in parents for match in glob.iglob(f"{parent}/", recursive=True)}  # noqa: PTH207
    for folder in sorted(folders):
        unread: list[str] = []
        next(_entries(folder, unread), None)
        yield from (one.rstrip("/") for one in unread)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _fixed_part(pattern: Path) -> Path:
    """Return the folder that contains every match of a glob."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _source_file(path: str, name: str) -> SourceFile | None:
    status = _status(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return SourceFile(name, path, status.st_size, changed_ns(status))


def _status(path: str) -> os.stat_result | None:
    """Look at a file; None where there is none: it has gone, or is a link to nothing."""
    try:
        return os.stat(path)  # noqa: PTH116 (quicker)
    except FileNotFoundError:
        return None


def _are_fine(changed_ns: Int) -> Bool:
    """Whether times tell all changes; a file system that keeps whole seconds may miss one that is young."""
    fine: Bool = (changed_ns % 1_000_000_000 != 0) | (time.time_ns() - changed_ns > _CLOCK_SLACK_NS)
    return fine


def changed_ns(status: os.stat_result) -> int:
    """Return when a file's bytes or path last changed, nanoseconds since the epoch."""
    return max(status.st_ctime_ns, status.st_mtime_ns)
