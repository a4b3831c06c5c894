"""Send events in batches of one partition key, each row not before it is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.event_hub.address import Address
from batch_scoring.event_hub.drain import PAUSES, SECONDS_BETWEEN_LINES
from batch_scoring.event_hub.errors import diagnose, sentence
from batch_scoring.tables.streams import Stream

logger = logging.getLogger(__name__)

T = TypeVar("T")


def publish(address: Address, data: pa.Table | Stream, client_options: Mapping[str, Any]) -> None:
    """Send each row as an event; returns once the hub has accepted all.

    Parameters
    ----------
    address : Address
    data : table or Stream
        ``device`` (string), ``body`` (binary) and ``due`` (float64, seconds after the start). The rows
        of a table are sent together, when the last of them is due, device by device.
    client_options : mapping
        For ``azure.eventhub.EventHubProducerClient``.

    Raises
    ------
    InputError
        When events cannot be sent.
    """
    from azure.eventhub.exceptions import EventHubError

    tables = data.batches if isinstance(data, Stream) else iter([data])
    try:
        with open_producer(address, {"retry_total": 1, **client_options}) as producer:
            _send_all(producer, tables, address)
    except EventHubError as error:
        raise sentence(error, address, "publishing") from error


def _send_all(producer: Any, tables: Iterator[pa.Table | pa.RecordBatch], address: Address) -> None:
    began = logged = time.monotonic()
    sent, is_waiting = 0, False
    for table in tables:
        if table.num_rows:
            wait = pc.max(table["due"]).as_py() - (time.monotonic() - began)
            if wait > 1 and not is_waiting:
                is_waiting = True
                logger.info("%s: %s events sent, the following ones when they are due", address, f"{sent:,}")
            time.sleep(max(0.0, wait))
            for device, bodies in _by_device(table):
                for batch in _batches(producer, address, device, bodies):
                    _patiently(partial(producer.send_batch, batch), address)
            sent += table.num_rows
            if time.monotonic() - logged >= SECONDS_BETWEEN_LINES:
                logged = time.monotonic()
                logger.info("%s: %s events sent", address, f"{sent:,}")
    logger.info("%s: all %s events sent in %.1f s", address, f"{sent:,}", time.monotonic() - began)


def open_producer(address: Address, client_options: Mapping[str, Any] | None = None) -> Any:
    """Open an ``EventHubProducerClient``: by the connection string, else by an identity of Azure."""
    from azure.eventhub import EventHubProducerClient

    options = dict(client_options or {})
    if address.connection_string:
        return EventHubProducerClient.from_connection_string(
            address.connection_string, eventhub_name=address.hub or None, **options
        )
    credential = token_credential(options.pop("credential", None))
    namespace = options.pop("fully_qualified_namespace", address.namespace)
    return EventHubProducerClient(namespace, address.hub, credential, **options)


def _by_device(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, list[bytes]]]:
    """Group bodies by device, in order; devices in order of their first row."""
    bodies: dict[str, list[bytes]] = {}
    for device, body in zip(table["device"].to_pylist(), table["body"].to_pylist(), strict=True):
        bodies.setdefault(device, []).append(body)
    yield from bodies.items()


def _batches(producer: Any, address: Address, device: str, bodies: list[bytes]) -> Iterator[Any]:
    from azure.eventhub import EventData

    def new_batch() -> Any:
        # The first call connects.
        return _patiently(lambda: producer.create_batch(partition_key=device or None), address)

    batch = new_batch()
    for body in bodies:
        try:
            batch.add(EventData(body))
        except ValueError:  # full
            yield batch
            batch = new_batch()
            batch.add(EventData(body))
    yield batch


def _patiently(attempt: Callable[[], T], address: Address) -> T:
    """Retry where it can help; events of a retried batch may be duplicated."""
    for pause in (*PAUSES, None):
        try:
            return attempt()
        except Exception as error:
            if pause is None or not diagnose(error).may_pass(address):
                raise
            logger.info("%s, publishing: %s; trying again", address, diagnose(error).value)
            time.sleep(pause)
    raise AssertionError
