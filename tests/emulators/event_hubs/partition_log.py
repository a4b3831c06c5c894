"""The events of a partition: a log on disk, flushed before an event is accepted, and its tail in memory."""

from __future__ import annotations

import bisect
import struct
import time
import zlib
from pathlib import Path
from typing import IO, NamedTuple

from tests.emulators.event_hubs import amqp_bytes as amqp

# Length and checksum of what follows, milliseconds since 1970; then the encoded message.
_RECORD = struct.Struct(">IIq")

_OWN_ANNOTATIONS = (b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time", b"x-opt-partition-key")


class StoredEvent(NamedTuple):
    """An event as it is delivered."""

    sequence: int
    offset: int
    enqueued_ms: int
    message: bytes


class PartitionLog:
    """The log of one partition.

    Parameters
    ----------
    name : str
        The partition's id.
    path : Path
        The log's file; a torn record at its end, which was never accepted, is cut off.
    retention_events : int or None
        So many events are kept; older ones cannot be read any more.
    retention_seconds : float or None
        Events are kept for so long.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        retention_events: int | None = None,
        retention_seconds: float | None = None,
    ) -> None:
        self.name = name
        self._retention_events, self._retention_seconds = retention_events, retention_seconds
        self.events: list[StoredEvent] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read(path) if path.exists() else 0
        self._file: IO[bytes] = path.open("ab")
        self._file.truncate(whole)
        self._size = whole
        self._next = len(self.events)
        self.expire()

    @property
    def first_sequence(self) -> int:
        """The sequence number of the oldest event that can be read; of the next one when there is none."""
        return self.events[0].sequence if self.events else self._next

    @property
    def last_sequence(self) -> int:
        """The sequence number of the newest event; -1 before the first."""
        return self._next - 1

    @property
    def last(self) -> StoredEvent | None:
        return self.events[-1] if self.events else None

    def append(self, message: bytes, key: bytes | None) -> None:
        """Store an event; it is in the file when :meth:`flush` has returned."""
        now = max(int(time.time() * 1000), self.events[-1].enqueued_ms if self.events else 0)
        event = StoredEvent(self._next, self._size, now, annotate(message, self._next, self._size, now, key))
        record = _RECORD.pack(len(event.message), zlib.crc32(event.message), now)
        self._file.write(record + event.message)
        self._size += len(record) + len(event.message)
        self._next += 1
        self.events.append(event)

    def flush(self) -> None:
        """Hand the events to the system: they outlive this process, as the service's outlive a server."""
        self._file.flush()
        self.expire()

    def expire(self) -> None:
        """Forget what retention allows to forget."""
        drop = 0
        if self._retention_events is not None:
            drop = max(0, len(self.events) - self._retention_events)
        if self._retention_seconds is not None:
            oldest = (time.time() - self._retention_seconds) * 1000
            drop = max(drop, bisect.bisect_left(self.events, oldest, key=lambda event: event.enqueued_ms))
        del self.events[:drop]

    def find(self, field: str, value: str, inclusive: bool) -> int:
        """The sequence number from which a receiver begins to read.

        Parameters
        ----------
        field : str
            ``"offset"``, ``"sequence-number"`` or ``"enqueued-time"``.
        value : str
            As it stands in the selector filter.
        inclusive : bool
            Whether the event with this very value is wanted.
        """
        if value == "@latest":
            return self._next
        if field == "offset" and value == "-1":
            return self.first_sequence
        place = {"offset": 1, "sequence-number": 0, "enqueued-time": 2}[field]
        side = bisect.bisect_left if inclusive else bisect.bisect_right
        at = side(self.events, int(value), key=lambda event: event[place])
        return self.events[at].sequence if at < len(self.events) else self._next

    def at(self, sequence: int) -> StoredEvent | None:
        """The event with a sequence number, or the oldest after it that is left; None past the end."""
        index = max(0, sequence - self.first_sequence)
        return self.events[index] if index < len(self.events) else None

    def _read(self, path: Path) -> int:
        """Fill ``events`` from the file; returns the bytes of whole records."""
        data, at = path.read_bytes(), 0
        while at + _RECORD.size <= len(data):
            length, checksum, enqueued_ms = _RECORD.unpack_from(data, at)
            message = data[at + _RECORD.size : at + _RECORD.size + length]
            if len(message) < length or zlib.crc32(message) != checksum:
                break
            self.events.append(StoredEvent(len(self.events), at, enqueued_ms, message))
            at += _RECORD.size + length
        return at


def annotate(message: bytes, sequence: int, offset: int, enqueued_ms: int, key: bytes | None) -> bytes:
    """An encoded message with the annotations of the service in place of any of the sender's."""
    head, kept, rest = b"", [], bytearray()
    for section in amqp.sections(message):
        if section.descriptor == amqp.HEADER:
            head = message[section.start : section.end]
        elif section.descriptor == amqp.MESSAGE_ANNOTATIONS:
            for name, value in amqp.map_items(message, section.value):
                if amqp.text_of(name) == b"x-opt-partition-key":
                    key = amqp.text_of(value)
                elif amqp.text_of(name) not in _OWN_ANNOTATIONS:
                    kept.append((name, value))
        elif section.descriptor != amqp.DELIVERY_ANNOTATIONS:
            rest += message[section.start : section.end]
    kept += [
        (amqp.symbol(b"x-opt-sequence-number"), amqp.long(sequence)),
        (amqp.symbol(b"x-opt-offset"), amqp.string(str(offset).encode())),
        (amqp.symbol(b"x-opt-enqueued-time"), amqp.timestamp(enqueued_ms)),
    ]
    if key:
        kept.append((amqp.symbol(b"x-opt-partition-key"), amqp.string(key)))
    return head + amqp.map_section(amqp.MESSAGE_ANNOTATIONS, kept) + bytes(rest)
