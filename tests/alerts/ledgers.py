"""Ledgers and incidents for the tests of notifying, in windows after START."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from batch_scoring.alerts.changes import EVENTS
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.tables.schemas import INCIDENTS
from tests.factories import START
from tests.predictions import WINDOW


def make_incidents(*rows: tuple[str, int, int, str] | tuple[str, int, int, str, float]) -> pa.Table:
    """Rows of (device, first window, window after the last, state[, severity]); the id is device@start."""
    return pa.Table.from_pylist(
        [
            {
                "incident_id": f"{device}@{start}",
                "device": device,
                "sensor": "s",
                "start": START + start * WINDOW,
                "end": START + end * WINDOW,
                "state": state,
                "n_windows": end - start,
                "peak_severity": float(severity[0]) if severity else 1.0,
                "peak_at": START + start * WINDOW,
                "top_feature": "std",
                "model_version": "1",
            }
            for device, start, end, state, *severity in rows
        ],
        schema=INCIDENTS,
    )


def ledger_of(rows: Sequence[tuple[str, int, int, int]], sinks: Sequence[str] = ("recorder",)) -> Ledger:
    """Pending events of (device, first window, window after the last, number); odd numbers are openings."""
    incidents = make_incidents(*((device, start, end, "closed") for device, start, end, _ in rows))
    events = [
        row
        | {
            "event_id": f"{row['incident_id']}-{number}",
            "change": "opened" if number % 2 else "closed",
            "number": number,
            "merged_into": "",
        }
        for row, (*_, number) in zip(incidents.to_pylist(), rows, strict=True)
    ]
    return Ledger().with_events(pa.Table.from_pylist(events, schema=EVENTS), sinks)
