"""Messages of every kind, with ids that are hard to write, for the forms of receivers."""

from __future__ import annotations

import pyarrow as pa

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.messages import Form, message_of
from batch_scoring.alerts.settings import read_sinks
from tests.alerts.ledgers import events_of

FORM = Form("https://fleet.example.com")
HARD = 'a<!channel>&"\n[x](http://evil)*_`№' + "z" * 4000


def messages(*rows, most=None):
    """Messages of (device, first window, window after the last, number[, priority]); odd numbers open.

    Ids of incidents are plain, as ours are.
    """
    events = events_of(rows)
    for name in ("incident_id", "event_id"):
        ids = [one if one.isascii() else f"{n:016x}" for n, one in enumerate(events[name].to_pylist())]
        events = events.set_column(events.schema.get_field_index(name), events.schema.field(name), [ids])
    ledger = Ledger().with_events(events, {"sink": most})
    found = ledger.pending_messages("sink")
    return [message_of(ledger.table.take(pa.array(one)), FORM) for one in found]


def opened(device="pump-1", priority=7.0):
    return messages((device, 0, 3, 1, priority))[0]


def closed(device="pump-1"):
    return messages((device, 0, 3, 2, 7.0))[0]


def several(n=100):
    """One message for n incidents, half of them with ids that are hard to write."""
    return messages(*((f"{i}{HARD if i % 2 else ''}", 0, 3, 1, 1 + i / 5) for i in range(n)), most=1)[0]


EVERY = {
    "opened": opened(),
    "hard": opened(HARD),
    "closed": closed(),
    "several": several(),
}


def settings_of(kind, **values):
    (found,) = read_sinks([{"type": kind, "url": "http://127.0.0.1:9/x", **values}])
    return found
