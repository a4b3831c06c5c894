"""Exclude windows that overlap confirmed events, or precede an accepted level, from training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import positions, strings, to_arrow, to_numpy
from batch_scoring.tables.intervals import Timeline, overlapping
from batch_scoring.tables.schemas import ACCEPTED, FEEDBACK, TRUE_EVENT

TIMES = ("window_start", "window_end")
EVENTS = pa.schema([FEEDBACK.field(name) for name in ("device", "start", "end")])
_AS_NUMBERS = pa.schema([(name, pa.string() if name == "device" else pa.int64()) for name in EVENTS.names])


def known_events(feedback: pa.Table, sensor: str) -> pa.Table:
    """Return the confirmed events of a sensor, schema EVENTS, sorted; false alarms stay in the training."""
    mine = pc.and_(pc.equal(feedback["sensor"], sensor), pc.equal(feedback["verdict"], TRUE_EVENT))
    events = feedback.filter(mine).select(EVENTS.names)
    return events.sort_by([(name, "ascending") for name in EVENTS.names]).combine_chunks()


@dataclass(frozen=True)
class Accepted:
    """Series whose level people have accepted as the new normal: each has a training range of its own.

    Attributes
    ----------
    devices : pyarrow.Array of string
        Every id of their machines, sorted.
    first, last : array of shape (n,), int64
        Windows of each that start in ``[first, last)`` are trained on, microseconds since the epoch.
    """

    devices: pa.Array = field(default_factory=lambda: strings([]))
    first: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    last: Int = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(
        cls, feedback: pa.Table, sensor: str, devices: Devices, last: int, ended: int, least_us: int
    ) -> Accepted:
        """Read the newest ``accepted`` verdict of each series of a sensor.

        Parameters
        ----------
        feedback : pyarrow.Table
            Schema FEEDBACK.
        last, ended : int
            The end of the training range of the others, and of the windows, microseconds since the epoch.
        least_us : int
            The range of an accepted level goes on beyond that of the others until it is as long.
        """
        mine = pc.and_(pc.equal(feedback["sensor"], sensor), pc.equal(feedback["verdict"], ACCEPTED))
        rows = feedback.filter(mine)
        found: dict[str, int] = {}
        for name, start in zip(rows["device"].to_pylist(), to_numpy(rows["start"]).tolist(), strict=True):
            for one in devices.ids_of(name):
                found[one] = max(start, found.get(one, start))
        names = sorted(found, key=str.encode)
        first = np.array([found[name] for name in names], np.int64)
        return cls(strings(names), first, np.minimum(np.maximum(first + least_us, last), ended))

    def ranges(self, devices: pa.ChunkedArray, first: int, last: int) -> tuple[Int, Int]:
        """Return the first and the last time of each row's range, shape (n,), where others have this one."""
        place = positions(devices, self.devices)
        return np.append(np.maximum(self.first, first), first)[place], np.append(self.last, last)[place]

    def held_out(self, ended: int) -> Accepted:
        """Return the ranges of the same series after their training."""
        return Accepted(self.devices, self.last, np.full(self.last.size, ended))


def events_between(events: pa.Table, first: int, last: int) -> list[dict[str, Any]]:
    """Return the events that overlap ``[first, last)``, with their times in µs since the epoch."""
    is_near = (to_numpy(events["start"]) < last) & (to_numpy(events["end"]) > first)
    return events.filter(to_arrow(is_near)).cast(_AS_NUMBERS).to_pylist()


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
