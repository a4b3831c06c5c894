"""An event hub: its partitions on disk, its consumer groups, and the partition that a message goes to."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from azure.eventhub._buffered_producer._partition_resolver import generate_hash_code

from tests.emulators.event_hubs import amqp_bytes as amqp
from tests.emulators.event_hubs.partition_log import PartitionLog

BATCH_FORMAT = 0x80013700


@dataclass(frozen=True)
class Retention:
    """How long events are kept; None keeps them for good."""

    events: int | None = None
    seconds: float | None = None


class Hub:
    """An event hub in a folder; made where there is none yet, else as it was."""

    def __init__(
        self, folder: Path, name: str, partitions: int, groups: Iterable[str], retention: Retention
    ) -> None:
        self.name = name
        self.groups = {"$default", *(group.lower() for group in groups)}
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        about = place / "hub.json"
        if not about.exists():
            made = {"created_ms": int(time.time() * 1000), "partitions": partitions}
            about.write_text(json.dumps(made), encoding="utf-8")
        stored = json.loads(about.read_text(encoding="utf-8"))
        self.created_ms: int = stored["created_ms"]
        self.partitions = [
            PartitionLog(str(n), place / f"{n}.log", retention.events, retention.seconds)
            for n in range(stored["partitions"])
        ]
        self._turn = itertools.cycle(self.partitions)

    def partition(self, name: str | None) -> PartitionLog | None:
        """The partition with this id."""
        return next((one for one in self.partitions if one.name == name), None)

    def route(self, key: bytes | None) -> PartitionLog:
        """The partition of a key, by the service's own hash; in turn without a key."""
        if not key:
            return next(self._turn)
        return self.partitions[abs(generate_hash_code(key.decode()) % len(self.partitions))]


def split_batch(transfer: bytes, message_format: int | None) -> tuple[bytes | None, list[bytes]]:
    """The partition key of what a producer sent, and the messages in it.

    A batch is a message whose data sections are messages; where Proton does not tell the format,
    that is how it is recognised.
    """
    key, data = None, []
    for section in amqp.sections(transfer):
        if section.descriptor == amqp.MESSAGE_ANNOTATIONS:
            key = _partition_key(amqp.map_items(transfer, section.value))
        elif section.descriptor == amqp.DATA:
            data.append(amqp.text_of(transfer[section.value : section.end]))
    if message_format is None:
        is_batch = bool(data) and all(map(amqp.is_message, data))
    else:
        is_batch = message_format == BATCH_FORMAT
    return key, data if is_batch else [transfer]


def _partition_key(items: Iterator[tuple[bytes, bytes]]) -> bytes | None:
    found = (amqp.text_of(value) for name, value in items if amqp.text_of(name) == b"x-opt-partition-key")
    return next(found, None)
