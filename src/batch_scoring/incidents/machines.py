"""Put incidents and gaps of a machine's former ids under the id in use, as those of one device."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import are, distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import GAPS, TIMESTAMP

_NEVER = 2**62


def of_machines(incidents: pa.Table, gaps: pa.Table, devices: Devices) -> tuple[pa.Table, pa.Table]:
    """Return incidents and gaps under the ids in use.

    An id ends when the next one of its machine sends for the first time, sensor by sensor: its incidents are
    closed then, and what it does not send any more is no gap. An incident of a retired device is closed, too.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS.
    gaps : pyarrow.Table
        Schema GAPS: of each series the last row, and some that have ended.
    devices : Devices
    """
    if not (devices.machines or devices.retired):
        return incidents, gaps
    ends = _Ends(gaps, devices)
    state = strings(["closed", "open", "forming"])
    before = positions(incidents["state"], state)
    # When a device was retired, nobody sees it recover.
    gone = devices.gone_at(incidents["device"])
    is_over = (ends.of(incidents) < _NEVER) | ((gone >= to_numpy(incidents["end"])) & (gone <= ends.now))
    place = incidents.schema.get_field_index("state")
    closed = state.take(to_arrow(np.where(is_over, 0, before)))
    incidents = incidents.set_column(place, incidents.schema.field(place), closed)
    return devices.with_newest(incidents), devices.with_newest(ends.cut(gaps))


class _Ends:
    """When each series with a former id ends, because the next id of its machine begins.

    Parameters
    ----------
    gaps : pyarrow.Table
    devices : Devices
    """

    def __init__(self, gaps: pa.Table, devices: Devices) -> None:
        self.sensors, self.devices = distinct(gaps["sensor"]), distinct(gaps["device"])
        last = gaps.filter(to_arrow(are(gaps["state"], "last")))
        self.now = int(to_numpy(last["start"]).max(initial=0))
        series, first = self._series(last), to_numpy(last["first_start"])
        renamed = devices.with_newest(last)
        machine = positions(renamed["device"], distinct(renamed["device"]))
        key = machine * max(len(self.sensors), 1) + positions(last["sensor"], self.sensors)
        order = np.lexsort((first, key))
        goes_on = np.append(key[order][1:] == key[order][:-1], False)[: key.size]
        n = len(self.sensors) * len(self.devices) + 1
        self._ends, self._first = np.full(n, _NEVER), np.full(n, _NEVER)
        self._ends[series[order]] = np.where(goes_on, np.append(first[order][1:], 0)[: key.size], _NEVER)
        of_machine = np.full(key.max(initial=0) + 1, _NEVER)
        np.minimum.at(of_machine, key, first)
        self._first[series] = of_machine[key]

    def of(self, rows: pa.Table) -> Int:
        """Return when the series of each row ends, shape (n,), microseconds since the epoch; or far off."""
        found: Int = self._ends[self._series(rows)]
        return found

    def cut(self, gaps: pa.Table) -> pa.Table:
        """Return the gaps up to where their series end; of each machine and sensor one row is the last."""
        start, is_last, ends = to_numpy(gaps["start"]), are(gaps["state"], "last"), self.of(gaps)
        end = np.minimum(to_numpy(gaps["end"], null=_NEVER), ends)
        is_last &= ends == _NEVER
        columns = {
            **{name: gaps[name] for name in ("device", "sensor", "start")},
            "end": _times(end, ~is_last),
            "first_start": _times(self._first[self._series(gaps)], is_last),
            "state": strings(["ended", "last"]).take(to_arrow(is_last.astype(np.int64))),
        }
        rows = pa.Table.from_arrays([columns[name] for name in GAPS.names], schema=GAPS)
        return rows.filter(to_arrow(is_last | (start < end)))

    def _series(self, rows: pa.Table) -> Int:
        """Return the number of each row's series; the last one for one without windows."""
        sensor, device = positions(rows["sensor"], self.sensors), positions(rows["device"], self.devices)
        return np.where((sensor < 0) | (device < 0), -1, sensor * len(self.devices) + device)


def _times(microseconds: Int, is_known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Array:
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    data = to_arrow(np.ascontiguousarray(microseconds)).buffers()[1]
    return pa.Array.from_buffers(TIMESTAMP, microseconds.size, [mask, data])
