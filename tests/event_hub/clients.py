"""Senders and drains for tests, in a line each."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from azure.eventhub import EventData, EventHubProducerClient

from batch_scoring.datasets.event_hub import EventHub
from batch_scoring.tables.schemas import EVENTS
from tests.emulators.event_hubs.process import EventHubsProcess


def send(hubs: EventHubsProcess, bodies: Iterable[bytes | str], **where: Any) -> None:
    """Send bodies in one batch; ``partition_id=`` or ``partition_key=`` says where to."""
    with EventHubProducerClient.from_connection_string(hubs.connection_string()) as producer:
        producer.send_batch([EventData(body) for body in bodies], **where)


def iot_hub_message(body: bytes | str, device: str, enqueued: str = "2026-01-05T00:00:00Z") -> EventData:
    """What an IoT Hub hands on: device and time are stated beside the body, as its annotations."""
    event = EventData(body)
    event.raw_amqp_message.annotations = {
        b"iothub-connection-device-id": device,
        b"iothub-enqueuedtime": enqueued,
        b"iothub-message-source": "Telemetry",
    }
    return event


def numbered(count: int, partitions: int = 4) -> dict[str, list[str]]:
    """Distinct bodies for each partition."""
    return {str(p): [f"{p}/{n}" for n in range(count)] for p in range(partitions)}


def send_numbered(hubs: EventHubsProcess, count: int) -> dict[str, list[str]]:
    """Send so many events to each of the four partitions; returns their bodies."""
    bodies = numbered(count)
    with EventHubProducerClient.from_connection_string(hubs.connection_string()) as producer:
        for partition, texts in bodies.items():
            producer.send_batch([EventData(text) for text in texts], partition_id=partition)
    return bodies


def dataset(hubs: EventHubsProcess, checkpoints: Path | str, **settings: Any) -> EventHub:
    credentials = {"connection_string": hubs.connection_string()} | settings.pop("credentials", {})
    return EventHub(checkpoints=str(checkpoints), credentials=credentials, **settings)


def drain(source: EventHub, landed: Mapping[str, int] | None = None, **limits: Any) -> pa.Table:
    """All that a drain gives."""
    return pa.concat_tables([EVENTS.empty_table(), *source.load().events(landed, **limits)])


@contextmanager
def logged(name: str, level: int) -> Iterator[list[str]]:
    """All messages of a logger and those below it, whatever the logging was configured to."""
    messages: list[str] = []
    handler = logging.Handler(level)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def bodies_of(events: pa.Table) -> dict[str, list[str]]:
    """The bodies of each partition in the order they came."""
    found: dict[str, list[str]] = {}
    for event in events.to_pylist():
        found.setdefault(event["partition"], []).append(event["body"].decode())
    return dict(sorted(found.items()))
