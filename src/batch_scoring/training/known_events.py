"""Exclude windows that overlap confirmed events from training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import positions, to_arrow, to_numpy
from batch_scoring.tables.intervals import Timeline, overlapping
from batch_scoring.tables.schemas import FEEDBACK, TRUE_EVENT

TIMES = ("window_start", "window_end")
EVENTS = pa.schema([FEEDBACK.field(name) for name in ("device", "start", "end")])
_AS_NUMBERS = pa.schema([(name, pa.string() if name == "device" else pa.int64()) for name in EVENTS.names])


def known_events(feedback: pa.Table, sensor: str) -> pa.Table:
    """Return the confirmed events of a sensor, schema EVENTS, sorted; false alarms stay in the training."""
    mine = pc.and_(pc.equal(feedback["sensor"], sensor), pc.equal(feedback["verdict"], TRUE_EVENT))
    events = feedback.filter(mine).select(EVENTS.names)
    return events.sort_by([(name, "ascending") for name in EVENTS.names]).combine_chunks()


def events_between(events: pa.Table, first: int, last: int) -> list[dict[str, Any]]:
    """Return the events that overlap ``[first, last)``, with their times in µs since the epoch."""
    is_near = (to_numpy(events["start"]) < last) & (to_numpy(events["end"]) > first)
    rows: list[dict[str, Any]] = events.filter(to_arrow(is_near)).cast(_AS_NUMBERS).to_pylist()
    return rows


def overlap(windows: pa.Table, events: pa.Table) -> Bool:
    """Mark the windows, sorted by device and start, that overlap an event of their device."""
    names = pc.unique(events["device"])
    place = positions(windows["device"], names)
    near = np.flatnonzero(place >= 0)
    timeline = Timeline(place[near], *(to_numpy(windows[name])[near] for name in TIMES))
    spans = overlapping(
        timeline, positions(events["device"], names), to_numpy(events["start"]), to_numpy(events["end"])
    )
    inside = np.zeros(windows.num_rows, np.bool_)
    inside[near] = spans.cover(near.size)
    return inside
