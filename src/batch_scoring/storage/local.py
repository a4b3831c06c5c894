"""A folder of this machine's file system."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from batch_scoring.fleet.errors import InputError
from batch_scoring.storage.folder import Entry, Folder


class LocalFolder(Folder):
    """Files below a local path."""

    clock = "local"

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def path(self, name: str = "") -> str:
        """The file's path."""
        return str(self._place(name))

    def below(self, name: str) -> LocalFolder:
        """A folder inside this one."""
        return LocalFolder(self._place(name))

    def entries(self, suffix: str = "") -> list[Entry]:
        """All files at any depth with this suffix."""
        root = str(self.root)
        paths = (f"{folder}/{file}" for folder, _, files in os.walk(root) for file in files)
        names = [path[len(root) + 1 :] for path in paths]
        return [self._entry(self.root / name) for name in sorted(names) if f"/{name}".endswith(suffix)]

    def entry(self, name: str) -> Entry | None:
        """What is known of a file."""
        place = self._place(name)
        return self._entry(place) if place.is_file() else None

    def read(self, name: str) -> tuple[bytes, str]:
        """The file's bytes; local files have no version."""
        return self._place(name).read_bytes(), ""

    def open_ranges(
        self, name: str, entry: Entry | None = None, footer: Callable[[], bytes] | None = None
    ) -> Path:
        """The path itself."""
        return self._place(name)

    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """The path itself; raises FileNotFoundError."""
        place = self._place(name)
        place.stat()
        return place

    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """See :func:`atomic_file`."""
        return atomic_file(self._place(name))

    def put(self, name: str, path: Path) -> None:
        """Copy a file to this name."""
        with path.open("rb") as file, self.writing(name) as copy:
            shutil.copyfileobj(file, copy, 1 << 20)

    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Write the bytes; the lock of :func:`atomic_file` keeps two writers apart."""
        with self.writing(name) as file:
            file.write(data)

    def delete(self, name: str) -> None:
        """Remove a file."""
        self._place(name).unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        if ".." in name.split("/"):
            raise ValueError(f"{name!r} leads out of its folder")
        return self.root / name

    def _entry(self, place: Path) -> Entry:
        status = place.stat()
        return Entry(place.relative_to(self.root).as_posix(), status.st_size, status.st_mtime_ns)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces ``path`` only when the block ends without an error.

    The file beside it has one name, so a run that was killed leaves nothing that the next one
    does not clear away; its lock keeps two live runs from writing the same file.

    Raises
    ------
    InputError
        When another run is writing this file now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another run is writing this file; wait for it to end") from None
        file.truncate(0)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
