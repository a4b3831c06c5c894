"""Send incident events to an Azure Event Hub, in order per device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from batch_scoring.alerts.sinks.base import (
    WHERE,
    Message,
    ReadSecret,
    RefusedError,
    UnreachableError,
    to_json,
)
from batch_scoring.core.errors import InputError

# What Event Hubs accepts.
_LONGEST_KEY = 128
# The key of events that are of no single device.
_FLEET = "fleet"


@dataclass(frozen=True)
class Settings:
    """An event of an Azure Event Hub. ``connection_from`` names a secret; else Azure finds an identity."""

    connection_from: str | None = None
    namespace: str | None = None
    event_hub: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    type: Literal["event_hub"] = "event_hub"
    name: str = "event_hub"

    def __post_init__(self) -> None:
        if self.connection_from is None and (self.namespace is None or self.event_hub is None):
            raise InputError(
                f"{WHERE}: an event_hub has connection_from, or namespace (host name) and event_hub; "
                "set the first or the other two"
            )

    def open(self, secret: ReadSecret) -> EventHubSink:
        """Make the sink."""

        def connect() -> Any:
            from batch_scoring.event_hub.address import Address
            from batch_scoring.event_hub.send import open_producer

            connection = secret(self.connection_from)
            address = Address(self.namespace or "", self.event_hub or "", connection_string=connection)
            return open_producer(address)

        return EventHubSink(self.name, connect, self.timeout.total_seconds())


class Producer(Protocol):
    """An ``azure.eventhub.EventHubProducerClient``, as far as it is used."""

    def create_batch(self, *, partition_key: str) -> Any:
        """Begin a batch of one partition."""

    def send_batch(self, event_data_batch: Any, *, timeout: float) -> None:
        """Send a batch and wait until it is accepted."""

    def close(self) -> None:
        """Close the connection."""


class EventHubSink:
    """Sends each incident event with the device as partition key and the event's id as ``message_id``.

    Parameters
    ----------
    name : str
    connect : callable
        Makes the client, when there is something to send.
    timeout_seconds : float
    """

    takes_all = True

    def __init__(self, name: str, connect: Callable[[], Producer], timeout_seconds: float = 10.0) -> None:
        self.name = name
        self._connect = connect
        self._timeout_seconds = timeout_seconds
        self._client: Producer | None = None

    def send(self, message: Message) -> str:
        """Send the event and wait until it is accepted."""
        try:
            from azure.eventhub import EventData

            event = EventData(to_json(message))
            if self._client is None:
                self._client = self._connect()
            batch = self._client.create_batch(partition_key=(message["device"] or _FLEET)[:_LONGEST_KEY])
        except UnreachableError:
            raise
        except Exception as error:
            raise UnreachableError(_text(error)) from error
        event.content_type = "application/json"
        event.message_id = message["event_id"]
        event.properties = {"event_id": message["event_id"], "change": message["change"]}
        try:
            batch.add(event)
        except ValueError as error:
            raise RefusedError("the event is too large") from error
        try:
            self._client.send_batch(batch, timeout=self._timeout_seconds)
        except Exception as error:
            raise UnreachableError(_text(error)) from error
        return "the event hub has accepted the event"

    def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _text(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "azure-eventhub is not installed; pip install batch_scoring[azure]"
    # The library's messages may name hosts and entities, but hold no keys; the first line is enough.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
