"""Try sinks with messages about an incident that there is not: one that opens it, and one that closes it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from batch_scoring.alerts.changes import EVENTS
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.messages import Form, message_of
from batch_scoring.alerts.sinks.base import Message, RefusedError, Sink, UnreachableError
from batch_scoring.core.deadline import call_within
from batch_scoring.tables.arrow_arrays import to_arrow

_DEVICE, _SENSOR = "test of alerts", "no sensor"
_ADVICE = "a test: nothing is wrong"


class Answer(NamedTuple):
    """What came of one message at one sink."""

    sink: str
    change: str
    is_delivered: bool
    text: str


def trial_messages(at: datetime, form: Form) -> list[Message]:
    """Make the messages: ``opened``, then ``closed``, so that receivers with a memory forget the test."""
    name = uuid.uuid4().hex[:16]
    incident = {
        "incident_id": name,
        "kind": "anomaly",
        "device": _DEVICE,
        "start": at - timedelta(hours=1),
        "end": at,
        "last_start": at - timedelta(hours=1),
        "priority": 1.0,
        "level": "low",
        "n_devices": 1,
        "devices": [_DEVICE],
        "n_sensors": 1,
        "sensors": [_SENSOR],
        "n_incidents": 1,
        "n_windows": 1,
        "peak_severity": 0.0,
        "peak_at": at,
        "top_feature": "",
        "peak_sensor": "",
        "warming_up": False,
        "advice": _ADVICE,
    }
    events = [
        {"event_id": f"{name}-{n}", "change": change, "number": n, **incident}
        | {"merged_into": "", "at": at, "opened_at": at, "silenced_by": ""}
        for n, change in enumerate(("opened", "closed"), 1)
    ]
    rows = Ledger().with_events(pa.Table.from_pylist(events, schema=EVENTS), {"": None}).table
    return [message_of(rows.take(to_arrow(np.array([n]))), form) for n in range(2)]


def try_sinks(
    sinks: Sequence[Sink], messages: Sequence[Message], time_limit_seconds: float
) -> Iterator[Answer]:
    """Send messages to sinks; yield what came back. What cannot be delivered ends that sink's trial."""
    for sink in sinks:
        for message in messages:
            try:
                text = call_within(time_limit_seconds, partial(sink.send, message))
            except (RefusedError, UnreachableError, TimeoutError) as error:
                yield Answer(sink.name, message["change"], False, str(error))
                break
            yield Answer(sink.name, message["change"], True, text)
        sink.close()
