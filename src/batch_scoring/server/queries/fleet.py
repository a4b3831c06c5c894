"""The devices of a fleet: searched, filtered, ranked, and counted by cell of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_scoring.core.moments import DAY_US
from batch_scoring.reporting.heat import DAY_SECONDS, MAX_CELLS, HeatGrid, choose_length
from batch_scoring.server.queries.totals import FleetTotals
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import positions, to_arrow, to_numpy

ROWS_A_PAGE = 25
# Up to this long a range is drawn by windows, not by days.
MAX_DETAILED_US = 3 * DAY_US
_HEAT = ("window_start", "device", "sensor", "is_anomaly")


@dataclass(frozen=True)
class Filter:
    """Which devices of a fleet are wanted, and of which time.

    Attributes
    ----------
    text : str
        Part of an id, in any case.
    ids : pyarrow.Array of string or None
        Only these, such as the devices of a group.
    sensor : str
        Only windows of this sensor; empty is all.
    start, end : int or None
        Microseconds since the epoch; in whole days where the range is longer than three.
    order : "worst" or "name"
    """

    text: str = ""
    ids: pa.Array | None = None
    sensor: str = ""
    start: int | None = None
    end: int | None = None
    order: str = "worst"


@dataclass(frozen=True)
class Ranked:
    """The devices that a filter leaves, in order.

    Attributes
    ----------
    device : array of shape (m,), int64
        Positions among ``FleetTotals.devices``.
    windows, anomalies : array of shape (m,), int64
    severity : array of shape (m,), float32
    last_day : array of shape (m,), int64
        Newest day of the range with an anomaly, days since the epoch; -1 without one.
    start, end : int
        The range, microseconds since the epoch.
    """

    device: Int
    windows: Int
    anomalies: Int
    severity: NDArray[np.float32]
    last_day: Int
    start: int
    end: int


def rank_devices(totals: FleetTotals, wanted: Filter, urgency: Float | None = None) -> Ranked:
    """Filter and rank the devices.

    Parameters
    ----------
    totals : FleetTotals
    wanted : Filter
    urgency : array of shape (n_devices,), float64, optional
        Ranks before the counts, such as the priority of the open incident.
    """
    start, end = chosen_range(totals, wanted.start, wanted.end)
    n = len(totals.devices)
    rows = totals.in_days(start, end)
    if wanted.sensor:
        rows &= totals.sensor == positions(pa.array([wanted.sensor]), totals.sensors)[0]
    device = totals.device[rows]
    windows, anomalies = (
        np.bincount(device, counts[rows], n).astype(np.int64) for counts in (totals.windows, totals.anomalies)
    )
    severity = np.zeros(n, np.float32)
    np.maximum.at(severity, device, totals.severity[rows])
    last_day = np.full(n, -1, np.int64)
    is_anomalous = totals.anomalies[rows] > 0
    np.maximum.at(last_day, device[is_anomalous], totals.day[rows][is_anomalous])
    keep = np.bincount(device, minlength=n) > 0
    keep &= _matching(totals, wanted)
    found = np.flatnonzero(keep)
    names = totals.natural_order[found]
    urgent = np.zeros(n) if urgency is None else urgency
    keys = (names, -severity[found], -anomalies[found], -urgent[found])
    found = found[np.lexsort(keys if wanted.order == "worst" else (names,))]
    return Ranked(found, windows[found], anomalies[found], severity[found], last_day[found], start, end)


def _matching(totals: FleetTotals, wanted: Filter) -> Bool:
    keep = np.ones(len(totals.devices), bool)
    if wanted.text and keep.size:
        keep &= to_numpy(pc.match_substring(totals.devices, wanted.text, ignore_case=True))
    if wanted.ids is not None and keep.size:
        keep &= positions(totals.devices, wanted.ids) >= 0 if len(wanted.ids) else False
    return keep


def chosen_range(totals: FleetTotals, start: int | None, end: int | None) -> tuple[int, int]:
    """Bound a range to the days there are; it is never empty."""
    first, last = totals.start, max(totals.end, totals.start + 1)
    until = min(max(end if end is not None else last, first + 1), last)
    since = min(max(start if start is not None else first, first), until - 1)
    return since, until


@dataclass(frozen=True)
class Heat:
    """Counts of a page's devices by cell of time.

    Attributes
    ----------
    first : int
        Start of the first cell, microseconds since the epoch.
    cell : int
        Length of a cell, microseconds.
    windows, anomalies : array of shape (n_devices, n_cells), int64
    """

    first: int
    cell: int
    windows: Int = field(repr=False)
    anomalies: Int = field(repr=False)


def count_heat(
    totals: FleetTotals, predictions: RowTable, devices: Int, sensor: str, start: int, end: int
) -> Heat:
    """Count the windows of some devices by cell: by days, or in a short range by windows.

    Parameters
    ----------
    totals : FleetTotals
    predictions : RowTable
        Schema PREDICTIONS; read only where the range is short.
    devices : array of shape (m,), int64
        Positions among the devices.
    sensor : str
        Empty is all.
    start, end : int
        Microseconds since the epoch.
    """
    is_detailed = end - start <= MAX_DETAILED_US
    # Days are aligned to midnight, so cells of days cover whole days.
    least = totals.window_us / 1e6 if is_detailed else DAY_SECONDS
    cell = choose_length((end - start) / 1e6, MAX_CELLS, least)
    grid = HeatGrid(len(devices), start, end, timedelta(seconds=cell))
    if not is_detailed:
        _count_days(grid, totals, devices, sensor, start, end)
    elif len(devices):
        _count_windows(grid, predictions, totals.devices.take(to_arrow(devices)), sensor, start, end)
    length = cell * 1_000_000
    return Heat(grid.first * length, length, grid.windows, grid.anomalies)


def _count_days(grid: HeatGrid, totals: FleetTotals, devices: Int, sensor: str, start: int, end: int) -> None:
    place = np.full(len(totals.devices), -1)
    place[devices] = np.arange(len(devices))
    is_mine = totals.in_days(start, end)
    if sensor:
        is_mine &= totals.sensor == positions(pa.array([sensor]), totals.sensors)[0]
    is_mine &= place[totals.device] >= 0
    rows = np.flatnonzero(is_mine)
    time = np.maximum(totals.day[rows].astype(np.int64) * DAY_US, start)
    counts = (one[rows].astype(np.int64) for one in (totals.windows, totals.anomalies))
    grid.add(place[totals.device[rows]], time, *counts)


def _count_windows(
    grid: HeatGrid, predictions: RowTable, names: pa.Array, sensor: str, start: int, end: int
) -> None:
    sensors, devices = [sensor] if sensor else None, names.to_pylist()
    for file in predictions.files(start, end, sensors, devices):
        for rows in predictions.batches(file, _HEAT, sensors, devices, encoded=("device", "sensor")):
            time = to_numpy(rows["window_start"])
            row = np.where((time >= start) & (time < end), positions(rows["device"], names), -1)
            flags = to_numpy(rows["is_anomaly"]).astype(np.int64)
            grid.add(row, time, np.ones(len(time), np.int64), flags)
