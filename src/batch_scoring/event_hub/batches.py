"""Collect received events into Arrow tables, one partition each, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.event_hub.properties import properties_text, text_of
from batch_scoring.tables.arrow_arrays import constant, packed, strings, to_arrow
from batch_scoring.tables.schemas import EVENTS

# Annotations that the service adds to each event, without the conversions of the SDK's properties.
_SEQUENCE_NUMBER, _OFFSET, _ENQUEUED_TIME = b"x-opt-sequence-number", b"x-opt-offset", b"x-opt-enqueued-time"


@dataclass
class PartitionBuffer:
    """Events of a partition that have been received and not yet passed on.

    Attributes
    ----------
    partition : str
    last : int
        Sequence number of the last event taken; before the first one, that of the event to start after.
    end : int
        Sequence number of the last event to read.
    expired : int
        Events deleted by retention before they were received.
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
    _properties: list[str | None] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether all events up to the end have been received."""
        return self.last >= self.end

    def take(self, events: Sequence[Any], room: int) -> int:
        """Keep the new events up to the end; returns their number.

        The client repeats events after reconnecting; events already received are skipped.

        Parameters
        ----------
        events : sequence of azure.eventhub.EventData
            In the order received.
        room : int
            Maximum number of rows to keep.
        """
        kept = 0
        for event in events:
            message = event.raw_amqp_message
            notes = message.annotations
            number = notes[_SEQUENCE_NUMBER]
            if number <= self.last:
                continue
            if number > self.end:
                # Retention has deleted the end; the partition continues after it.
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
            self._properties.append(properties_text(notes, message.application_properties))
            self.size += len(body)
            kept += 1
        self.taken += kept
        return kept

    def _stated(self) -> pa.Array:
        texts = strings([text or "" for text in self._properties])
        # Arrow imports pandas to build an array of a list with nulls.
        is_there = np.packbits([text is not None for text in self._properties], bitorder="little")
        buffers = [pa.py_buffer(is_there), *texts.buffers()[1:]]
        return pa.Array.from_buffers(pa.string(), len(texts), buffers)

    def empty(self) -> pa.Table | None:
        """Remove and return the events as a table with the schema ``EVENTS``; None when there are none."""
        if not self._bodies:
            return None
        numbers = np.array(self._sequence_numbers, np.int64)
        columns = [
            constant(self.partition, len(numbers)),
            to_arrow(numbers),
            packed(self._offsets, pa.string()),
            to_arrow(np.array(self._milliseconds, np.int64) * 1000).view(EVENTS.field("enqueued_time").type),
            packed(self._bodies, pa.binary()),
            self._stated(),
        ]
        self._sequence_numbers, self._offsets, self._milliseconds, self._bodies = [], [], [], []
        self._properties = []
        self.size = 0
        return pa.Table.from_arrays(columns, schema=EVENTS)


def body_of(event: Any) -> bytes:
    """Return an event's bytes; an AMQP value or sequence becomes JSON."""
    try:
        return b"".join(event.body)
    except TypeError:
        body = event.body
        if isinstance(body, str):
            return body.encode()
        parts = list(body) if not isinstance(body, dict) and hasattr(body, "__iter__") else body
        return json.dumps(parts, default=text_of).encode()
