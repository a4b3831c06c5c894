"""A folder of a container or bucket: what holds for every service that stores files under conditions.

A subclass sends the requests of its service. Here is what makes them a folder: versions that were read are
the condition of a write, footers are fetched first, and a copy of a version is fetched once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from batch_scoring.core.errors import ConflictError
from batch_scoring.core.scratch import temporary_file
from batch_scoring.storage.cache import cache_folder, forget_unused, run_folder
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.known_versions import KnownVersions
from batch_scoring.storage.location import Location
from batch_scoring.storage.ranged_file import RangedFile

# Bytes of each fetched or staged block, and the number of connections.
BLOCK_BYTES = 8 << 20
CONNECTIONS = 4
# What to do after an error of a service.
RUN_AGAIN = "no file was half written: run again once this is fixed"
# Fits the footer of about eighty row groups.
_END_BYTES = 64 << 10
_FOOTER_TAIL = 8


class ChangedMeanwhileError(Exception):
    """A condition on a file's version did not hold."""


class RemoteFolder(Folder):
    """Files of a container or bucket whose names begin with a path.

    Parameters
    ----------
    location : Location
    """

    def __init__(self, location: Location) -> None:
        self._location = location

    # Requests. They raise FileNotFoundError for a missing file, ChangedMeanwhileError where a condition does
    # not hold, and InputError otherwise.

    @property
    @abstractmethod
    def _known(self) -> KnownVersions:
        """Versions of the files of the container, which all folders of this process share."""

    @abstractmethod
    def _list(self, prefix: str) -> Iterable[Entry]:
        """List files by their whole names, which begin with a prefix."""

    @abstractmethod
    def _look(self, name: str) -> Entry:
        """Return a file's entry."""

    @abstractmethod
    def _get(self, name: str) -> tuple[bytes, str]:
        """Return a small file's bytes and version."""

    @abstractmethod
    def _get_range(self, entry: Entry, start: int, size: int) -> bytes:
        """Return some bytes of a version."""

    @abstractmethod
    def _download(self, entry: Entry, file: IO[bytes]) -> None:
        """Write all bytes of a version to a local file, over several connections."""

    @abstractmethod
    def _send(self, name: str, path: Path, former: str | None) -> str:
        """Store a local file if the stored one has this version, None: is missing; return the new one."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Delete a file."""

    # What a folder does with them.

    def path(self, name: str = "") -> str:
        """The file's URL."""
        return str(self._location.joined(name))

    def entries(self, suffix: str = "") -> list[Entry]:
        """List files at any depth with this suffix: one request for every few thousand."""
        prefix = f"{self._location.path}/" if self._location.path else ""
        whole = {one.name: one for one in self._list(prefix)}
        self._known.see_all(prefix, {name: one.version for name, one in whole.items()})
        found = (
            Entry(name.removeprefix(prefix), one.size, one.changed_ns, one.version)
            for name, one in whole.items()
        )
        return sorted((one for one in found if f"/{one.name}".endswith(suffix)), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Return a file's properties; None if it does not exist."""
        try:
            found = self._look(name)
        except FileNotFoundError:
            found = None
        self._see(name, found.version if found else None)
        return found

    def read(self, name: str) -> tuple[bytes, str]:
        """Read a small file's bytes and its ETag."""
        data, version = self._get(name)
        self._see(name, version)
        return data, version

    def open_ranges(self, name: str, entry: Entry | None = None) -> RangedFile:
        """Open a file; its footer is fetched first, the whole file, in parallel, once rows are read."""
        known = entry or self.entry(name)
        if known is None:
            raise FileNotFoundError(self.path(name))
        return RangedFile(known.size, lambda: self._read_footer(known), lambda: self._fetch_unnamed(known))

    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """Return a copy named after the file's URL and ETag, fetched unless it exists."""
        entry = entry or self.entry(name)
        if entry is None:
            raise FileNotFoundError(self.path(name))
        folder = keep_in or cache_folder()
        digest = hashlib.sha256(f"{self.path(name)} {entry.version}".encode()).hexdigest()
        copy = folder / f"{digest[:32]}-{name.rpartition('/')[2][-80:]}"
        if copy.is_file() and copy.stat().st_size == entry.size:
            os.utime(copy)
            return copy
        forget_unused(folder)
        with tempfile.NamedTemporaryFile(dir=run_folder(), delete=False) as file:
            self._fetch(entry, file)
        # Renamed on the same disk, else copied next to its target first.
        _move(Path(file.name), copy)
        return copy

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """Open a local file that is uploaded, whole or not at all, when the block ends."""
        former = self._known_version(name)
        with temporary_file(run_folder()) as file:
            yield file
            file.close()
            self._upload(name, Path(file.name), former)

    def put(self, name: str, path: Path) -> None:
        """Upload a local file."""
        self._upload(name, path, self._known_version(name))

    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Upload bytes unless another run has written the file meanwhile."""
        with temporary_file(run_folder()) as file:
            file.write(data)
            file.close()
            self._upload(name, Path(file.name), former)

    def delete(self, name: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self._remove(name)
        self._see(name, None)

    def _key(self, name: str) -> str:
        """Return a file's whole name in its container."""
        require_inside(name)
        return self._location.joined(name).path

    def _read_footer(self, entry: Entry) -> bytes:
        """Fetch the end of a Parquet file with its whole footer."""
        end = self._read_end(entry, _END_BYTES)
        footer = int.from_bytes(end[-_FOOTER_TAIL:-4], "little") + _FOOTER_TAIL
        return end if footer <= len(end) or footer > entry.size else self._read_end(entry, footer)

    def _read_end(self, entry: Entry, size: int) -> bytes:
        start = max(entry.size - size, 0)
        with self._unchanged(entry):
            return self._get_range(entry, start, entry.size - start)

    def _fetch_unnamed(self, entry: Entry) -> IO[bytes]:
        file = tempfile.TemporaryFile(dir=run_folder())  # noqa: SIM115 (closed by its reader)
        self._fetch(entry, file)
        return file

    def _fetch(self, entry: Entry, file: IO[bytes]) -> None:
        with self._unchanged(entry):
            self._download(entry, file)
        file.flush()

    def _upload(self, name: str, path: Path, former: str | None) -> None:
        try:
            self._see(name, self._send(name, path, former))
        except ChangedMeanwhileError:
            # Perhaps by this call, with its response lost; or by another run with the same bytes.
            if not self._holds(name, path):
                self._see(name, former)  # this check does not count as reading the new version
                raise ConflictError(
                    f"{self.path(name)}: another run has written this meanwhile; run again after the "
                    "other run has ended"
                ) from None

    def _see(self, name: str, version: str | None) -> None:
        self._known.see(self._location.joined(name).path, version)

    def _known_version(self, name: str) -> str | None:
        """Return the version that this process has read, else the current one."""
        path = self._location.joined(name).path
        if not self._known.knows(path):
            self.entry(name)
        return self._known.version(path)

    def _holds(self, name: str, path: Path) -> bool:
        """Whether a stored file has the same bytes as a local one."""
        entry = self.entry(name)
        if entry is None or entry.size != path.stat().st_size:
            return False
        with self._fetch_unnamed(entry) as theirs, path.open("rb") as ours:
            theirs.seek(0)
            while block := ours.read(BLOCK_BYTES):
                if block != theirs.read(BLOCK_BYTES):
                    return False
        return True

    @contextmanager
    def _unchanged(self, entry: Entry) -> Iterator[None]:
        try:
            yield
        except ChangedMeanwhileError:
            raise ConflictError(
                f"{self.path(entry.name)}: changed while it was being read; run again after the other run "
                "has ended"
            ) from None


def require_inside(name: str) -> None:
    """Raise for a name that leaves its folder."""
    if ".." in name.split("/"):
        raise ValueError(f"{name!r} is outside its folder")


def version_of(etag: str) -> str:
    """Strip the ETag's quotes, which some listings omit."""
    return etag.strip('"')


def _move(source: Path, target: Path) -> None:
    import shutil

    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.move(source, beside)
    beside.replace(target)
