"""Received events gathered into Arrow tables of one partition each, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrow_arrays import strings, to_arrow
from batch_scoring.tables.schemas import EVENTS

# What the service writes beside each event; as the SDK's properties read them, less their conversions.
_SEQUENCE_NUMBER, _OFFSET, _ENQUEUED_TIME = b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time"


@dataclass
class PartitionBuffer:
    """Events of a partition that have been received and not yet handed on.

    Attributes
    ----------
    partition : str
    last : int
        The sequence number of the last event taken, or, before the first, where to begin after.
    end : int
        The last event wanted.
    expired : int
        Events between ``last`` and the next one received that retention had deleted.
    size : int
        Bytes of the bodies held.
    """

    partition: str
    last: int
    end: int
    expired: int = 0
    size: int = 0
    taken: int = 0
    _sequence_numbers: list[int] = field(default_factory=list)
    _offsets: list[bytes] = field(default_factory=list)
    _milliseconds: list[int] = field(default_factory=list)
    _bodies: list[bytes] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all that was wanted has been received."""
        return self.last >= self.end

    def take(self, events: Sequence[Any], room: int) -> int:
        """Keep the events that are new and wanted; returns how many.

        The client repeats events after it has connected anew: what has a number that was seen is
        left out.

        Parameters
        ----------
        events : sequence of azure.eventhub.EventData
            In the order received.
        room : int
            Maximum number of rows to keep.
        """
        kept = 0
        for event in events:
            notes = event.raw_amqp_message.annotations
            number = notes[_SEQUENCE_NUMBER]
            if number <= self.last:
                continue
            if number > self.end:
                # The end was deleted by retention: the partition has gone on without it.
                self.expired += self.end - self.last
                self.last = self.end
                break
            if kept >= room:
                break
            body = body_of(event)
            self.expired += number - self.last - 1
            self.last = number
            self._sequence_numbers.append(number)
            self._offsets.append(notes[_OFFSET])
            self._milliseconds.append(notes[_ENQUEUED_TIME])
            self._bodies.append(body)
            self.size += len(body)
            kept += 1
        self.taken += kept
        return kept

    def empty(self) -> pa.Table | None:
        """The events held, as a table with the schema ``EVENTS``, and hold none; None when there are none."""
        if not self._bodies:
            return None
        numbers = np.array(self._sequence_numbers, np.int64)
        columns = [
            strings([self.partition]).take(to_arrow(np.zeros(len(numbers), np.int64))),
            to_arrow(numbers),
            _packed(self._offsets, pa.string()),
            to_arrow(np.array(self._milliseconds, np.int64) * 1000).view(EVENTS.field("enqueued_time").type),
            _packed(self._bodies, pa.binary()),
        ]
        self._sequence_numbers, self._offsets, self._milliseconds, self._bodies = [], [], [], []
        self.size = 0
        return pa.Table.from_arrays(columns, schema=EVENTS)


def largest(buffers: Mapping[str, PartitionBuffer]) -> PartitionBuffer:
    """The buffer that holds most."""
    return max(buffers.values(), key=lambda buffer: buffer.size)


def body_of(event: Any) -> bytes:
    """The bytes of an event; a body that is an AMQP value or sequence becomes JSON."""
    try:
        return b"".join(event.body)
    except TypeError:
        body = event.body
        if isinstance(body, str):
            return body.encode()
        parts = list(body) if not isinstance(body, dict) and hasattr(body, "__iter__") else body
        return json.dumps(parts, default=_text).encode()


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _packed(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)
