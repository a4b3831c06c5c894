"""Ledgers and incidents for the tests of notifying, in windows after START."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.alerts.changes import EVENTS
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.incidents.evidence import levels_of
from batch_scoring.tables.schemas import DEVICE_INCIDENTS
from tests.factories import START
from tests.predictions import WINDOW

Row = tuple[str, int, int, str] | tuple[str, int, int, str, float] | tuple[str, int, int, str, float, int]


def make_incidents(*rows: Row) -> pa.Table:
    """Rows of (device, first window, window after the last, state[, priority[, parts]]).

    The id is device@start; parts are incidents of sensors.
    """
    return pa.Table.from_pylist(
        [
            {
                "incident_id": f"{device}@{start}",
                "kind": "anomaly",
                "device": device,
                "priority": float(more[0]) if more else 1.0,
                "level": levels_of(np.array([float(more[0]) if more else 1.0]))[0].as_py(),
                "n_devices": 1,
                "devices": [device],
                "n_sensors": 1,
                "sensors": ["s"],
                "n_incidents": int(more[1]) if len(more) > 1 else 1,
                "start": START + start * WINDOW,
                "end": START + end * WINDOW,
                "last_start": START + start * WINDOW,
                "state": state,
                "n_windows": end - start,
                "peak_severity": 1.0,
                "peak_at": START + start * WINDOW,
                "top_feature": "std",
                "peak_sensor": "s",
                "warming_up": False,
                "advice": "",
            }
            for device, start, end, state, *more in rows
        ],
        schema=DEVICE_INCIDENTS,
    )


def events_of(rows: Sequence[tuple[str, int, int, int] | tuple[str, int, int, int, float]]) -> pa.Table:
    """Events of (device, first window, window after the last, number[, priority]); odd numbers open."""
    incidents = make_incidents(*((*row[:3], "closed", *row[4:]) for row in rows))  # type: ignore[arg-type]
    events = [
        row
        | {
            "event_id": f"{row['incident_id']}-{number}",
            "change": "opened" if number % 2 else "closed",
            "number": number,
            "merged_into": "",
            "at": START,
            "opened_at": START,
            "silenced_by": "",
        }
        for row, (_, _, _, number, *_) in zip(incidents.to_pylist(), rows, strict=True)
    ]
    return pa.Table.from_pylist(events, schema=EVENTS)


def ledger_of(rows: Sequence[tuple[str, int, int, int]], sinks: Sequence[str] = ("recorder",)) -> Ledger:
    """Pending events of (device, first window, window after the last, number); odd numbers are openings."""
    return Ledger().with_events(events_of(rows), dict.fromkeys(sinks))
