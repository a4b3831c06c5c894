"""A folder of a bucket in S3 or Google Cloud Storage."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError

from batch_scoring.storage.bucket_errors import clear_errors, is_refused, repeated
from batch_scoring.storage.bucket_service import Bucket, open_bucket
from batch_scoring.storage.folder import Entry
from batch_scoring.storage.known_versions import KnownVersions
from batch_scoring.storage.remote import (
    BLOCK_BYTES,
    CONNECTIONS,
    ChangedMeanwhileError,
    RemoteFolder,
    require_inside,
    version_of,
)

# Larger files take longer to send than other requests may.
_LARGE_BYTES = 32 << 20


class BucketFolder(RemoteFolder):
    """Objects whose names begin with a path.

    The version of an object is its ETag, which both services list. A file is stored by one request, with the
    condition; S3 takes up to 5 GiB.

    Parameters
    ----------
    location : Location
    """

    @property
    def _bucket(self) -> Bucket:
        return open_bucket(self._location)

    @property
    def _known(self) -> KnownVersions:
        return self._bucket.known

    @property
    def clock(self) -> str:  # type: ignore[override]
        """The bucket's clock."""
        return f"{self._location.scheme}://{self._location.container}"

    def delta_address(self) -> tuple[str, dict[str, str]]:
        """The folder's URL, and where the bucket is; the library finds the same credentials."""
        path = quote(self._location.path)
        return f"{self.clock}/{path}", self._bucket.delta_options

    def below(self, name: str) -> BucketFolder:
        """A folder inside this one."""
        require_inside(name)
        return BucketFolder(self._location.joined(name))

    def _list(self, prefix: str) -> Iterator[Entry]:
        with self._clear_errors(""):
            for page in obstore.list(self._bucket.store, prefix or None, chunk_size=1000):
                # The empty object that stands for the folder itself is listed without its "/".
                yield from (_entry(one["path"], one) for one in page if one["path"].startswith(prefix))

    def _look(self, name: str) -> Entry:
        with self._clear_errors(name):
            return _entry(name, self._head(name))

    def _head(self, name: str) -> Any:
        """Ask for an object; where the answer, which has no body, gives no reason, a listing's does.

        A missing bucket looks as a missing file does, until the bucket is known to be there.
        """
        bucket, key = self._bucket, self._key(name)
        try:
            return obstore.head(bucket.store, key)
        except (BaseError, FileNotFoundError) as error:
            if is_refused(error) or (isinstance(error, FileNotFoundError) and not bucket.is_there):
                next(iter(obstore.list(bucket.store, key)), None)
                bucket.is_there = True
            raise

    def _get(self, name: str) -> tuple[bytes, str]:
        with self._clear_errors(name):
            found = obstore.get(self._bucket.store, self._key(name))
            return bytes(found.bytes()), version_of(found.meta["e_tag"] or "")

    def _get_range(self, entry: Entry, start: int, size: int) -> bytes:
        if not size:
            return b""
        with self._clear_errors(entry.name):
            found = obstore.get(
                self._bucket.store,
                self._key(entry.name),
                options={"if_match": f'"{entry.version}"', "range": (start, start + size)},
            )
            return bytes(found.bytes())

    def _download(self, entry: Entry, file: IO[bytes]) -> None:
        starts = range(0, entry.size, BLOCK_BYTES)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for block in pool.map(
                lambda start: self._get_range(entry, start, min(BLOCK_BYTES, entry.size - start)), starts
            ):
                file.write(block)

    def _send(self, name: str, path: Path, former: str | None) -> str:
        bucket, size = self._bucket, path.stat().st_size
        store = bucket.patient if size > _LARGE_BYTES else bucket.store
        with path.open("rb") as file, self._clear_errors(name):
            # Mapped: the client would copy the whole file into memory.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            mode = "create" if former is None else self._only_if(name, former)
            done = repeated(lambda: obstore.put(store, self._key(name), data, mode=mode, use_multipart=False))
            return version_of(done["e_tag"] or "")

    def _remove(self, name: str) -> None:
        with self._clear_errors(name):
            repeated(lambda: obstore.delete(self._bucket.store, self._key(name)))

    def _only_if(self, name: str, version: str) -> Any:
        """Build the condition that an object still has this version."""
        if self._location.scheme == "s3":
            return {"e_tag": f'"{version}"'}
        # Google's condition of a write is the generation, which is not listed.
        now = self._head(name)
        if version_of(now["e_tag"] or "") != version:
            raise ChangedMeanwhileError(name)
        return {"version": now["version"]}

    def _clear_errors(self, name: str) -> AbstractContextManager[None]:
        return clear_errors(self.path(name), self._location)


def _entry(name: str, found: Mapping[str, Any]) -> Entry:
    changed = int(found["last_modified"].timestamp()) * 1_000_000_000
    return Entry(name, found["size"], changed, version_of(found["e_tag"] or ""))
