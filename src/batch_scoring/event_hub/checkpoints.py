"""Checkpoints of partitions, in a file or, in the SDK's format, in Blob Storage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Protocol

from batch_scoring.cloud.credentials import Credentials
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import file_name
from batch_scoring.event_hub.address import Address
from batch_scoring.storage import Folder, is_blob, open_folder
from batch_scoring.storage.json_files import json_bytes
from batch_scoring.storage.location import Location, require_safe

STORAGE_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
# Names of the checkpoint store's credentials among those of a hub.
_OWN_NAMES = {"connection_string": "storage_connection_string", "sas_token": "storage_sas"}


class Position(NamedTuple):
    """The last landed event of a partition."""

    sequence_number: int
    offset: str


class Checkpoints(Protocol):
    """A store of positions, which never move back."""

    def read(self) -> dict[str, Position]:
        """Read the stored positions by partition."""

    def move(self, positions: Mapping[str, Position]) -> None:
        """Advance positions."""


def open_checkpoints(place: str, address: Address, credentials: Mapping[str, Any] | None) -> Checkpoints:
    """Open the checkpoints of a hub and consumer group.

    Parameters
    ----------
    place : str
        A folder, local or of a bucket, ``abfs://container`` or
        ``https://account.blob.core.windows.net/container``. Of these only account and container are used: the
        SDK names the blobs.
    address : Address
    credentials : mapping or None
        ``storage_connection_string`` or ``storage_sas``; default: those of the data in Blob
        Storage, see :mod:`batch_scoring.cloud.credentials`.
    """
    if is_blob(place):
        return BlobCheckpoints(place, address, credentials or {})
    return FileCheckpoints(open_folder(place), address)


class FileCheckpoints:
    """Positions in ``<folder>/<namespace>/<hub>/<group>.json``."""

    def __init__(self, folder: Folder, address: Address) -> None:
        names = (address.namespace, address.hub, address.group)
        parts = [file_name(name, is_cased=False) for name in names]
        self._folder, self._name = folder, f"{'/'.join(parts)}.json"

    def read(self) -> dict[str, Position]:
        """Read the positions; empty without a file."""
        try:
            stored = json.loads(self._folder.read(self._name)[0])
            return {name: Position(int(at["sequence_number"]), at["offset"]) for name, at in stored.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self._folder.path(self._name)}: not valid checkpoints ({error}); delete the file: events "
                "that have landed are recognised by their files"
            ) from error

    def move(self, positions: Mapping[str, Position]) -> None:
        """Rewrite the file, whole or not at all."""
        stored = self.read()
        moved = {**stored, **_ahead(positions, stored)}
        if moved != stored:
            with self._folder.writing(self._name) as file:
                file.write(json_bytes({name: moved[name]._asdict() for name in sorted(moved)}, indent=2))


class BlobCheckpoints:
    """Positions in the format of ``azure-eventhub-checkpointstoreblob``, readable by other consumers."""

    def __init__(self, url: str, address: Address, credentials: Mapping[str, Any]) -> None:
        self._url, self._address = url, address
        self._given = {name: credentials[own] for name, own in _OWN_NAMES.items() if credentials.get(own)}

    def read(self) -> dict[str, Position]:
        """Read the positions; creates the container if it is missing."""
        with self._store() as store:
            stored = store.list_checkpoints(self._address.namespace, self._address.hub, self._address.group)
            return {
                one["partition_id"]: Position(int(one["sequence_number"]), str(one["offset"]))
                for one in stored
            }

    def move(self, positions: Mapping[str, Position]) -> None:
        """Write the metadata of each partition's blob."""
        ahead = _ahead(positions, self.read())
        with self._store() as store:
            for name, position in sorted(ahead.items()):
                store.update_checkpoint(
                    {
                        "fully_qualified_namespace": self._address.namespace,
                        "eventhub_name": self._address.hub,
                        "consumer_group": self._address.group,
                        "partition_id": name,
                        **position._asdict(),
                    }
                )

    @contextmanager
    def _store(self) -> Iterator[Any]:
        from azure.core.exceptions import ResourceExistsError
        from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
        from azure.storage.blob import ContainerClient

        from batch_scoring.storage.blob_errors import clear_errors

        place, credentials = Location.read(self._url), Credentials.find(self._given)
        with clear_errors(f"checkpoints {self._url}", place.container, credentials):
            with self._open(ContainerClient, place, credentials) as container:
                if not container.exists():
                    with suppress(ResourceExistsError):
                        container.create_container()
            with self._open(BlobCheckpointStore, place, credentials) as store:
                yield store

    def _open(self, client: Any, place: Location, credentials: Credentials) -> Any:
        from batch_scoring.storage.blob_retry import BoundedRetry, Transport
        from batch_scoring.storage.blob_service import credential_for

        options = {
            "api_version": "2021-12-02",  # emulators may not support the newest; nothing newer is used here
            "retry_policy": BoundedRetry(),
            "transport": Transport(connection_timeout=10, read_timeout=60),
        }
        if credentials.connection_string:
            return client.from_connection_string(credentials.connection_string, place.container, **options)
        account = place.account_url or credentials.account_url
        if not account:
            raise InputError(
                f"checkpoints {self._url}: the storage account is missing; set AZURE_STORAGE_ACCOUNT or "
                f"{STORAGE_CONNECTION_STRING}, or write https://ACCOUNT.blob.core.windows.net/CONTAINER"
            )
        require_safe(account)
        return client(account, place.container, credential=credential_for(account, credentials), **options)


def _ahead(positions: Mapping[str, Position], stored: Mapping[str, Position]) -> dict[str, Position]:
    """Select the positions ahead of the stored ones."""
    return {
        name: at
        for name, at in positions.items()
        if name not in stored or at.sequence_number > stored[name].sequence_number
    }
