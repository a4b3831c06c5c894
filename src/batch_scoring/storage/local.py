"""Folders of the local file system."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO

from batch_scoring.core.errors import ConflictError, MachineError
from batch_scoring.core.locks import locked
from batch_scoring.core.system_errors import naming
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.known_versions import KnownVersions

_BLOCK_BYTES = 1 << 20
_WAIT_SECONDS = 10.0
# Versions of the files that this process has read, by absolute path.
_known = KnownVersions()
_WHAT_WAS_SEEN = "what was seen"


class LocalFolder(Folder):
    """Files below a local path."""

    clock = "local"

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def path(self, name: str = "") -> str:
        """The file's path."""
        return str(self._place(name))

    def delta_address(self) -> tuple[str, dict[str, str]]:
        """The absolute path."""
        return str(self.root.absolute()), {}

    def below(self, name: str) -> LocalFolder:
        """A folder inside this one."""
        return LocalFolder(self._place(name))

    def entries(self, suffix: str = "") -> list[Entry]:
        """List files at any depth with this suffix."""
        root = str(self.root)
        paths = (f"{folder}/{file}" for folder, _, files in os.walk(root) for file in files)
        names = [path[len(root) + 1 :].replace(os.sep, "/") for path in paths]
        places = {name: self.root / name for name in sorted(names) if f"/{name}".endswith(suffix)}
        found = {name: (place, place.stat()) for name, place in places.items()}
        _known.see_all(
            f"{self.root.absolute()}/",
            {str(place.absolute()): _version(status) for place, status in found.values()},
            suffix,
        )
        return [Entry(name, status.st_size, status.st_mtime_ns) for name, (_, status) in found.items()]

    def entry(self, name: str) -> Entry | None:
        """Return a file's entry; None if it does not exist."""
        place = self._place(name)
        _look(place)
        return self._entry(place) if place.is_file() else None

    def read(self, name: str) -> tuple[bytes, str]:
        """Read the file's bytes and its version, for :meth:`replace`."""
        place = self._place(name)
        version = _look(place)
        return place.read_bytes(), version or ""

    def open_ranges(self, name: str, entry: Entry | None = None) -> Path:
        """The path itself."""
        _look(self._place(name))
        return self._place(name)

    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """The path itself; raises FileNotFoundError."""
        place = self._place(name)
        if _look(place) is None:
            raise FileNotFoundError(place)
        return place

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """See :func:`atomic_file`."""
        return atomic_file(self._place(name))

    def put(self, name: str, path: Path) -> None:
        """Copy a file to this name."""
        with path.open("rb") as file, self.writing(name) as copy:
            shutil.copyfileobj(file, copy, _BLOCK_BYTES)

    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Write the bytes if the file still has this version, or still does not exist."""
        with atomic_file(self._place(name), former) as file:
            file.write(data)

    def delete(self, name: str) -> None:
        """Remove a file."""
        self._place(name).unlink(missing_ok=True)
        _look(self._place(name))

    def _place(self, name: str) -> Path:
        if ".." in name.replace(os.sep, "/").split("/"):
            raise ValueError(f"{name!r} is outside its folder")
        return self.root / name

    def _entry(self, place: Path) -> Entry:
        status = place.stat()
        return Entry(place.relative_to(self.root).as_posix(), status.st_size, status.st_mtime_ns)


@contextmanager
def atomic_file(path: Path, former: str | None = _WHAT_WAS_SEEN) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces ``path`` only when the block ends without an error.

    The partial file next to it has a fixed name, so the next run reuses what a killed one left; a lock beside
    it keeps two runs from writing the same file. A version that this process has read is replaced only
    if it is unchanged, so what another run wrote in between is not silently lost. Racing threads must
    pass the version that they replace, ``former``; None: that there is no file.

    Raises
    ------
    ConflictError
        When another run is writing this file, or has written other bytes meanwhile.
    MachineError
        Where its file system takes no new files.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        with ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(path.with_name(f".{path.name}.lock")))
            except FileNotFoundError:  # as below /proc
                raise MachineError(f"{path.parent}: nothing can be made there; name another folder") from None
            try:
                with naming(path), beside.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                with naming(path):
                    _require_unchanged(path, beside, former)
                    put_in_place(beside, path)
                _look(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except BlockingIOError:
        raise ConflictError(f"{path}: another run is writing this file; wait for it to end") from None


def put_in_place(source: Path, target: Path) -> None:
    """Rename a file, also over another one; under Windows, wait while a program has that open.

    Raises
    ------
    ConflictError
        When the other program keeps it open.
    """
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            source.replace(target)
            return
        except PermissionError:
            if sys.platform != "win32":
                raise
            if time.monotonic() > until:
                raise ConflictError(f"{target}: another program has this file open; close it there") from None
        time.sleep(0.05)


def _look(place: Path) -> str | None:
    """Remember the file's current version; None: it does not exist."""
    try:
        version = _version(place.stat())
    except (FileNotFoundError, NotADirectoryError):
        version = None
    _known.see(str(place.absolute()), version)
    return version


def _version(status: os.stat_result) -> str:
    """Build a version that changes whenever a file is replaced, as all files here are."""
    return f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _require_unchanged(path: Path, beside: Path, former: str | None) -> None:
    name = str(path.absolute())
    if former == _WHAT_WAS_SEEN and not _known.knows(name):
        return
    seen = _known.version(name) if former == _WHAT_WAS_SEEN else former
    now = _look(path)
    if now is not None and now != seen and not _same_bytes(path, beside):
        _known.see(name, seen)  # this check does not count as reading the new version
        raise ConflictError(
            f"{path}: another run has written this meanwhile; run again after the other run has ended"
        )


def _same_bytes(left: Path, right: Path) -> bool:
    if left.stat().st_size != right.stat().st_size:
        return False
    with left.open("rb") as one, right.open("rb") as other:
        while block := one.read(_BLOCK_BYTES):
            if block != other.read(_BLOCK_BYTES):
                return False
    return True
