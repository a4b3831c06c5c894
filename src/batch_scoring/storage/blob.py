"""A folder of a container in Azure Blob Storage."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from azure.core import MatchConditions
from azure.storage.blob import BlobClient

from batch_scoring.cloud.credentials import Credentials
from batch_scoring.core.errors import ConflictError
from batch_scoring.storage.blob_errors import ChangedMeanwhileError, clear_errors
from batch_scoring.storage.blob_service import (
    BLOCK_BYTES,
    CONNECTIONS,
    Container,
    delta_options,
    open_container,
)
from batch_scoring.storage.cache import cache_folder, forget_unused, run_folder
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.location import Location
from batch_scoring.storage.ranged_file import RangedFile

# Fits the footer of about eighty row groups.
_END_BYTES = 64 << 10
_FOOTER_TAIL = 8


class BlobFolder(Folder):
    """Blobs whose names begin with a path.

    Parameters
    ----------
    location : Location
    credentials : mapping, optional
        See :class:`Credentials`; default: Kedro's, the environment's, or the machine's identity.
    """

    def __init__(self, location: Location, credentials: Mapping[str, Any] | None = None) -> None:
        self._location = location
        self._given = credentials

    @cached_property
    def _credentials(self) -> Credentials:
        return Credentials.find(self._given)

    @cached_property
    def _container(self) -> Container:
        return open_container(self._location, self._credentials)

    @property
    def clock(self) -> str:  # type: ignore[override]
        """The storage account's clock."""
        return str(self._container.client.primary_hostname)

    def path(self, name: str = "") -> str:
        """The blob's URL."""
        return str(self._location.joined(name))

    def delta_address(self) -> tuple[str, dict[str, str]]:
        """The blob's URL, and the same credentials as this client's."""
        location, account = self._location, self._container.client.url.partition("?")[0].rpartition("/")[0]
        path = quote(location.joined("").path)
        return f"az://{location.container}/{path}", delta_options(account, self._credentials)

    def below(self, name: str) -> BlobFolder:
        """A folder inside this one."""
        _require_inside(name)
        return BlobFolder(self._location.joined(name), self._given)

    def entries(self, suffix: str = "") -> list[Entry]:
        """List blobs at any depth with this suffix: one request for every 5,000 blobs."""
        prefix = f"{self._location.path}/" if self._location.path else ""
        with self._clear_errors(""):
            found = [
                _entry(blob.name.removeprefix(prefix), blob)
                for blob in self._container.client.list_blobs(name_starts_with=prefix)
            ]
        self._container.known.see_all(prefix, {f"{prefix}{one.name}": one.version for one in found})
        return sorted((one for one in found if f"/{one.name}".endswith(suffix)), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Return a blob's properties; None if it does not exist."""
        try:
            with self._clear_errors(name):
                found = _entry(name, self._blob(name).get_blob_properties())
        except FileNotFoundError:
            found = None
        self._see(name, found.version if found else None)
        return found

    def read(self, name: str) -> tuple[bytes, str]:
        """Read a small blob's bytes and its ETag."""
        with self._clear_errors(name):
            found = self._blob(name).download_blob()
            data, version = found.readall(), _version(found.properties.etag)
        self._see(name, version)
        return data, version

    def open_ranges(self, name: str, entry: Entry | None = None) -> RangedFile:
        """Open a file; its footer is fetched first, the whole file, in parallel, once rows are read."""
        known = entry or self.entry(name)
        if known is None:
            raise FileNotFoundError(self.path(name))
        return RangedFile(known.size, lambda: self._read_footer(known), lambda: self._fetch_unnamed(known))

    def local_copy(self, name: str, keep_in: Path | None = None, entry: Entry | None = None) -> Path:
        """Return a copy named after the blob's URL and ETag, fetched unless it exists."""
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
        with tempfile.NamedTemporaryFile(dir=run_folder()) as file:
            yield file
            file.flush()
            self._upload(name, Path(file.name), former)

    def put(self, name: str, path: Path) -> None:
        """Upload a local file."""
        self._upload(name, path, self._known_version(name))

    def replace(self, name: str, data: bytes, former: str | None) -> None:
        """Upload bytes unless another run has written the blob meanwhile."""
        with tempfile.NamedTemporaryFile(dir=run_folder()) as file:
            file.write(data)
            file.flush()
            self._upload(name, Path(file.name), former)

    def delete(self, name: str) -> None:
        """Remove a blob."""
        try:
            with self._clear_errors(name):
                self._blob(name).delete_blob()
        except FileNotFoundError:
            pass
        self._see(name, None)

    def _blob(self, name: str) -> BlobClient:
        _require_inside(name)
        return self._container.client.get_blob_client(self._location.joined(name).path)

    def _clear_errors(self, name: str) -> Any:
        return clear_errors(self.path(name), self._location.container, self._credentials)

    def _read_footer(self, entry: Entry) -> bytes:
        """Fetch the end of a Parquet file with its whole footer."""
        end = self._read_end(entry, _END_BYTES)
        footer = int.from_bytes(end[-_FOOTER_TAIL:-4], "little") + _FOOTER_TAIL
        return end if footer <= len(end) or footer > entry.size else self._read_end(entry, footer)

    def _read_end(self, entry: Entry, size: int) -> bytes:
        start = max(entry.size - size, 0)
        with self._unchanged(entry):
            return bytes(
                self._blob(entry.name)
                .download_blob(start, entry.size - start, **_only_if(entry.version))
                .readall()
            )

    def _fetch_unnamed(self, entry: Entry) -> IO[bytes]:
        file = tempfile.TemporaryFile(dir=run_folder())  # noqa: SIM115 (closed by its reader)
        self._fetch(entry, file)
        return file

    def _fetch(self, entry: Entry, file: IO[bytes]) -> None:
        with self._unchanged(entry):
            found = self._blob(entry.name).download_blob(
                max_concurrency=CONNECTIONS, **_only_if(entry.version)
            )
            found.readinto(file)
        file.flush()

    def _upload(self, name: str, path: Path, former: str | None) -> None:
        try:
            with self._clear_errors(name), path.open("rb") as file:
                # The blocks of a large file have names unique to this call and are committed together.
                done = self._blob(name).upload_blob(
                    file,
                    length=path.stat().st_size,
                    overwrite=True,
                    max_concurrency=CONNECTIONS,
                    **_only_if(former),
                )
                self._see(name, _version(done["etag"]))
        except ChangedMeanwhileError:
            # Perhaps by this call, with its response lost; or by another run with the same bytes.
            if not self._holds(name, path):
                self._see(name, former)  # this check does not count as reading the new version
                raise ConflictError(
                    f"{self.path(name)}: another run has written this meanwhile; run again after the "
                    "other run has ended"
                ) from None

    def _see(self, name: str, version: str | None) -> None:
        self._container.known.see(self._location.joined(name).path, version)

    def _known_version(self, name: str) -> str | None:
        """Return the version that this process has read, else the current one."""
        known, path = self._container.known, self._location.joined(name).path
        if not known.knows(path):
            self.entry(name)
        return known.version(path)

    def _holds(self, name: str, path: Path) -> bool:
        """Whether a blob has the same bytes as a file."""
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
            with self._clear_errors(entry.name):
                yield
        except ChangedMeanwhileError:
            raise ConflictError(
                f"{self.path(entry.name)}: changed while it was being read; run again after the other run "
                "has ended"
            ) from None


def _entry(name: str, blob: Any) -> Entry:
    changed = int(blob.last_modified.timestamp()) * 1_000_000_000
    return Entry(name, blob.size, changed, _version(blob.etag))


def _version(etag: str) -> str:
    """Strip the ETag's quotes, which listings omit."""
    return etag.strip('"')


def _only_if(version: str | None) -> dict[str, Any]:
    """Build the condition that a blob still has this version; None: that it does not exist."""
    if version is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


def _require_inside(name: str) -> None:
    if ".." in name.split("/"):
        raise ValueError(f"{name!r} is outside its folder")


def _move(source: Path, target: Path) -> None:
    import shutil

    beside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.move(source, beside)
    beside.replace(target)
