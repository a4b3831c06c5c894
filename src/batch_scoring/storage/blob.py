"""A folder of a container in Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from azure.core import MatchConditions
from azure.storage.blob import BlobClient

from batch_scoring.cloud.credentials import Credentials
from batch_scoring.storage.blob_errors import clear_errors
from batch_scoring.storage.blob_service import Container, delta_options, open_container
from batch_scoring.storage.folder import Entry
from batch_scoring.storage.known_versions import KnownVersions
from batch_scoring.storage.location import Location
from batch_scoring.storage.remote import CONNECTIONS, RemoteFolder, require_inside, version_of


class BlobFolder(RemoteFolder):
    """Blobs whose names begin with a path.

    Parameters
    ----------
    location : Location
    credentials : mapping, optional
        See :class:`Credentials`; default: Kedro's, the environment's, or the machine's identity.
    """

    def __init__(self, location: Location, credentials: Mapping[str, Any] | None = None) -> None:
        super().__init__(location)
        self._given = credentials

    @cached_property
    def _credentials(self) -> Credentials:
        return Credentials.find(self._given)

    @cached_property
    def _container(self) -> Container:
        return open_container(self._location, self._credentials)

    @property
    def _known(self) -> KnownVersions:
        return self._container.known

    @property
    def clock(self) -> str:  # type: ignore[override]
        """The storage account's clock."""
        return str(self._container.client.primary_hostname)

    def delta_address(self) -> tuple[str, dict[str, str]]:
        """The blob's URL, and the same credentials as this client's."""
        location, account = self._location, self._container.client.url.partition("?")[0].rpartition("/")[0]
        path = quote(location.joined("").path)
        return f"az://{location.container}/{path}", delta_options(account, self._credentials)

    def below(self, name: str) -> BlobFolder:
        """A folder inside this one."""
        require_inside(name)
        return BlobFolder(self._location.joined(name), self._given)

    def _list(self, prefix: str) -> Iterator[Entry]:
        with self._clear_errors(""):
            for blob in self._container.client.list_blobs(name_starts_with=prefix):
                yield _entry(blob.name, blob)

    def _look(self, name: str) -> Entry:
        with self._clear_errors(name):
            return _entry(name, self._blob(name).get_blob_properties())

    def _get(self, name: str) -> tuple[bytes, str]:
        with self._clear_errors(name):
            found = self._blob(name).download_blob()
            return found.readall(), version_of(found.properties.etag)

    def _get_range(self, entry: Entry, start: int, size: int) -> bytes:
        with self._clear_errors(entry.name):
            found = self._blob(entry.name).download_blob(start, size, **_only_if(entry.version))
            return bytes(found.readall())

    def _download(self, entry: Entry, file: IO[bytes]) -> None:
        with self._clear_errors(entry.name):
            found = self._blob(entry.name).download_blob(
                max_concurrency=CONNECTIONS, **_only_if(entry.version)
            )
            found.readinto(file)

    def _send(self, name: str, path: Path, former: str | None) -> str:
        with self._clear_errors(name), path.open("rb") as file:
            # The blocks of a large file have names unique to this call and are committed together.
            done = self._blob(name).upload_blob(
                file,
                length=path.stat().st_size,
                overwrite=True,
                max_concurrency=CONNECTIONS,
                **_only_if(former),
            )
            return version_of(done["etag"])

    def _remove(self, name: str) -> None:
        with self._clear_errors(name):
            self._blob(name).delete_blob()

    def _blob(self, name: str) -> BlobClient:
        return self._container.client.get_blob_client(self._key(name))

    def _clear_errors(self, name: str) -> Any:
        return clear_errors(self.path(name), self._location.container, self._credentials)


def _entry(name: str, blob: Any) -> Entry:
    changed = int(blob.last_modified.timestamp()) * 1_000_000_000
    return Entry(name, blob.size, changed, version_of(blob.etag))


def _only_if(version: str | None) -> dict[str, Any]:
    """Build the condition that a blob still has this version; None: that it does not exist."""
    if version is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}
