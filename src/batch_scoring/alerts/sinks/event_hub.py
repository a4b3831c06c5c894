"""Send incident events to an Azure Event Hub, in order per device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from batch_scoring.alerts.sinks.base import Message, RefusedError, UnreachableError, to_json

# What Event Hubs accepts.
_LONGEST_KEY = 128


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
    make_event : callable
        Makes an ``azure.eventhub.EventData`` of bytes.
    timeout_seconds : float
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Producer],
        make_event: Callable[[bytes], Any],
        timeout_seconds: float = 10.0,
    ) -> None:
        self.name = name
        self._connect = connect
        self._make_event = make_event
        self._timeout_seconds = timeout_seconds
        self._client: Producer | None = None

    def send(self, message: Message) -> None:
        """Send the event and wait until it is accepted."""
        event = self._make_event(to_json(message))
        event.content_type = "application/json"
        event.message_id = message["event_id"]
        event.properties = {"event_id": message["event_id"], "change": message["change"]}
        try:
            if self._client is None:
                self._client = self._connect()
            batch = self._client.create_batch(partition_key=message["device"][:_LONGEST_KEY])
        except UnreachableError:
            raise
        except Exception as error:
            raise UnreachableError(_text(error)) from error
        try:
            batch.add(event)
        except ValueError as error:
            raise RefusedError("the event is too large") from error
        try:
            self._client.send_batch(batch, timeout=self._timeout_seconds)
        except Exception as error:
            raise UnreachableError(_text(error)) from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def azure_client(connection: str | None, namespace: str | None, event_hub: str | None) -> Producer:
    """Make a client by connection string, or by namespace with Azure's default identity.

    Raises
    ------
    UnreachableError
        When the library is not installed.
    """
    try:
        from azure.eventhub import EventHubProducerClient
    except ImportError as error:
        raise UnreachableError("azure-eventhub is not installed; pip install batch_scoring[azure]") from error
    if connection is not None:
        client: Producer = EventHubProducerClient.from_connection_string(connection, eventhub_name=event_hub)
        return client
    from azure.identity import DefaultAzureCredential

    by_identity: Producer = EventHubProducerClient(namespace, event_hub, DefaultAzureCredential())
    return by_identity


def azure_event(body: bytes) -> Any:
    """Make an event of Azure's library."""
    try:
        from azure.eventhub import EventData
    except ImportError as error:
        raise UnreachableError("azure-eventhub is not installed; pip install batch_scoring[azure]") from error
    return EventData(body)


def _text(error: Exception) -> str:
    # The library's messages may name hosts and entities, but hold no keys; the first line is enough.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
