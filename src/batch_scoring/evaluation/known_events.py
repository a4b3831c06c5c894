"""Merge labels, simulated faults and feedback into known events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.plant.devices import ALL
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.fault_labels import faults_only
from batch_scoring.tables.intervals import joined, without
from batch_scoring.tables.schemas import FALSE_ALARM, LABELS, TRUE_EVENT


@dataclass(frozen=True)
class KnownEvents:
    """Events of series and of devices.

    Attributes
    ----------
    series : pyarrow.Table
        Schema ``LABELS``, sorted by sensor, device and start; those of a series do not overlap. Events of all
        sensors of a device have the sensor ``*``.
    devices : pyarrow.Table
        device, start, end: the events of a device's sensors joined where they overlap or touch.
    false_alarms : pyarrow.Table
        Schema ``FEEDBACK``: what was cut out of the events of its series, and still is to be of ``*``.
    """

    series: pa.Table
    devices: pa.Table
    false_alarms: pa.Table

    @cached_property
    def digest(self) -> str:
        """Digest of all events, to check that jobs evaluated against the same ones."""
        digest = hashlib.sha256()
        for table in (self.series, self.devices, self.false_alarms):
            for column in table.columns:
                digest.update(json.dumps(column.cast(pa.string()).to_pylist()).encode())
        return digest.hexdigest()

    def of_sensor(self, sensor: str, devices: Sequence[str]) -> pa.Table:
        """Return the events of one sensor; those of all sensors only for these devices, which have it."""
        own, of_all = (
            self.series.filter(pc.equal(self.series["sensor"], name)).combine_chunks()
            for name in (sensor, ALL)
        )
        of_all = of_all.filter(pc.is_in(of_all["device"], value_set=strings(devices)))
        if not of_all.num_rows:
            return own
        place = LABELS.get_field_index("sensor")
        mine = of_all.set_column(place, LABELS.field(place), strings([sensor] * of_all.num_rows))
        false = self.false_alarms.filter(pc.equal(self.false_alarms["sensor"], sensor))
        return _merged(pa.concat_tables([own, mine]).combine_chunks(), false.combine_chunks())


def known_events(labels: pa.Table, faults: pa.Table, feedback: pa.Table, selection: Selection) -> KnownEvents:
    """Merge all known events.

    What feedback calls a true event is added; one that overlaps a label of its series becomes one
    event with it. What it calls a false alarm is cut out of the labels: feedback has the last word.

    Parameters
    ----------
    labels : pyarrow.Table
        Schema ``LABELS``.
    faults : pyarrow.Table
        The same columns or none, as the simulator writes them; events that are not faults do not count.
    feedback : pyarrow.Table
        Schema ``FEEDBACK``.
    selection : Selection
        Events of other devices and sensors are left out.

    Raises
    ------
    InputError
        When there are no events.
    """
    true, false = (feedback.filter(pc.equal(feedback["verdict"], v)) for v in (TRUE_EVENT, FALSE_ALARM))
    true = true.append_column("kind", pa.nulls(true.num_rows, pa.string()))
    parts = [
        part.select(LABELS.names).cast(LABELS)
        for part in (labels, faults_only(faults), true)
        if part.num_columns
    ]
    everything = pa.concat_tables([LABELS.empty_table(), *parts])
    if not everything.num_rows:
        raise InputError(
            "there are no labels to evaluate against; name a file of them with --params labels=FILE "
            "(columns device, sensor, start, end), or simulate a fleet"
        )
    events = _select(everything, selection)
    false = _select(false, selection)
    series = _merged(events, false)
    return KnownEvents(series, _of_devices(series), false)


def _merged(events: pa.Table, false_alarms: pa.Table) -> pa.Table:
    """Join the events of a series that overlap, and cut out what was a false alarm; schema ``LABELS``."""
    names = [distinct(events[name], false_alarms[name]) for name in ("device", "sensor")]
    series = _series(events, names)
    group = joined(series, *_times(events), touching=False)
    # Rows of one group become one: from its first start to its last end, the kind that is named first.
    order = np.lexsort((_times(events)[0], group))
    first = _first_of_each(group[order])
    start, end = (times[order] for times in _times(events))
    merged_end = np.maximum.reduceat(end, first) if first.size else end
    rows = order[_first_with_kind(events, order, group[order], first)]
    row, series, start, end = without(
        (rows, series[order][first], start[first], merged_end),
        _series(false_alarms, names),
        *_times(false_alarms),
    )
    whose = events.select(["device", "sensor", "kind"]).take(to_arrow(row))
    table = pa.table([*whose.columns, *_intervals(start, end)], schema=LABELS)
    by = [(name, "ascending") for name in ("sensor", "device", "start", "end")]
    return table.sort_by(by).combine_chunks()


def _of_devices(events: pa.Table) -> pa.Table:
    devices = distinct(events["device"])
    device = positions(events["device"], devices)
    start, end = _times(events)
    group = joined(device, start, end, touching=True)
    order = np.lexsort((start, group))
    first = _first_of_each(group[order])
    last = np.maximum.reduceat(end[order], first) if first.size else end
    names = devices.take(to_arrow(device[order][first]))
    return pa.table([names, *_intervals(start[order][first], last)], names=["device", "start", "end"])


def _intervals(start: Int, end: Int) -> list[pa.Array]:
    return [to_arrow(times).cast(LABELS.field("start").type) for times in (start, end)]


def _select(table: pa.Table, selection: Selection) -> pa.Table:
    for name, wanted in (("device", selection.devices), ("sensor", selection.sensors)):
        if wanted is not None:
            # No device is named so.
            kept = strings(sorted({*wanted, ALL}))
            table = table.filter(pc.is_in(table[name], value_set=kept))
    return table.combine_chunks()


def _series(table: pa.Table, names: Sequence[pa.Array]) -> Int:
    devices, sensors = names
    return positions(table["sensor"], sensors) * len(devices) + positions(table["device"], devices)


def _times(table: pa.Table) -> tuple[Int, Int]:
    return to_numpy(table["start"]), to_numpy(table["end"])


def _first_of_each(group: Int) -> Int:
    return np.flatnonzero(np.diff(group, prepend=-1))


def _first_with_kind(events: pa.Table, order: Int, group: Int, first: Int) -> Int:
    """Return the position in ``order`` of each group's first row that names a kind, or of its first row."""
    has_kind = to_numpy(pc.is_valid(events["kind"]))[order]
    best = first.copy()
    named = np.flatnonzero(has_kind)[::-1]
    best[group[named]] = named
    return best
