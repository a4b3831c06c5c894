"""Read the predictions that a report shows, in one pass: for charts, heat map, incidents and known faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import HOUR_US, MICROSECOND, microseconds
from batch_scoring.core.prefetch import prefetched
from batch_scoring.incidents.stretches import join_stretches
from batch_scoring.plant.rules import OFF
from batch_scoring.reporting.fleet_view import FleetView
from batch_scoring.reporting.heat import DAY_SECONDS, MAX_CELLS, HeatGrid, choose_length, first_of_runs
from batch_scoring.reporting.series import DRAWN, SeriesBlock, SeriesGrid, choose_resolution
from batch_scoring.reporting.settings import ReportParameters
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.series_copies import SeriesCopies
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import (
    Lookup,
    are,
    as_rows,
    distinct,
    empty_table,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.device_ranges import BATCH_ROWS
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import COPIED, PREDICTIONS

_OF_ANOMALY = (
    "device",
    "sensor",
    "window_start",
    "window_end",
    "value",
    "score",
    "threshold",
    "contributions",
)
_ANOMALOUS = pa.schema([PREDICTIONS.field(name) for name in _OF_ANOMALY])
_READ = (*_ANOMALOUS.names, "is_anomaly", "severity", "top_feature", "rule")
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Peak:
    """The most severe window of an incident.

    Attributes
    ----------
    value : float or None
        In the sensor's unit.
    score, threshold : float or None
    contributions : list of (str, float)
        Decades that each feature alone would give it; empty where the detector has none.
    """

    value: float | None
    score: float | None
    threshold: float | None
    contributions: list[tuple[str, float]]


@dataclass(frozen=True)
class Details:
    """What a report shows of single windows.

    Attributes
    ----------
    start : int
        The first time that was read, microseconds since the epoch.
    charts : list of SeriesBlock
        Worst series first.
    heat : HeatGrid or None
        A row each for the series of the page; None where nothing was scored.
    peaks : list of Peak or None
        One for each incident; None where its prediction is older, or was deleted.
    anomalies : pyarrow.Table
        device, sensor, window_start and window_end of the anomalous windows of labelled series, and of some
        others.
    off : (array, array, array), shape (n,) each, int64
        The series of the page, start and end in microseconds since the epoch of when machines are off.
    """

    start: int = 0
    charts: list[SeriesBlock] = field(default_factory=list)
    heat: HeatGrid | None = None
    peaks: list[Peak | None] = field(default_factory=list)
    anomalies: pa.Table = field(default_factory=lambda: empty_table(_ANOMALOUS))
    off: tuple[Int, Int, Int] = field(default_factory=lambda: (_NONE, _NONE, _NONE))


def details_start(files: Sequence[DataFile], view: FleetView, n_series: int, max_rows: int) -> int:
    """Choose the time from which predictions are read, in microseconds since the epoch.

    From then on, at most ``max_rows`` rows are read of some series' files, but for the newest hour.

    Parameters
    ----------
    files : sequence of DataFile
        Of the predictions.
    view : FleetView
    n_series, max_rows : int
    """
    if view.start is None:
        return 0
    start = microseconds(view.start)
    newest = max((file.last for file in files), default=start) // HOUR_US * HOUR_US
    rows = 0
    for file in sorted(files, key=lambda one: one.last, reverse=True):
        # A series is in a row group of its file, or in two; of earlier versions' files, they have this size.
        rows += min(file.rows, n_series * ROW_GROUP_ROWS)
        if rows > max_rows and start <= file.last < newest:
            return max(start, (file.last // HOUR_US + 1) * HOUR_US)
    return start


def read_details(
    predictions: RowTable,
    view: FleetView,
    drawn: pa.Table,
    incidents: pa.Table,
    labelled: pa.Table,
    start: int,
    settings: ReportParameters,
) -> Details:
    """Read the windows of some series.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    view : FleetView
    drawn : pyarrow.Table
        device and sensor of the series of the page, worst first.
    incidents : pyarrow.Table
        device, sensor and peak_at.
    labelled : pyarrow.Table
        device and sensor of the series whose anomalous windows are to be listed.
    start : int
        The first time to read, see :func:`details_start`. Where it is later than the view's, the heat map has
        the days of the view instead of parts of a day.
    settings : ReportParameters
    """
    if view.start is None or view.end is None:
        return Details(peaks=[None] * incidents.num_rows)
    end = microseconds(view.end)
    index = _SeriesIndex(drawn, incidents, labelled)
    names = list(zip(*(drawn[name].to_pylist() for name in ("device", "sensor")), strict=True))
    plan = choose_resolution(
        len(names), (end - start) * MICROSECOND, view.window, settings.max_series, settings.max_points
    )
    full = SeriesGrid(names[: plan.full], start, end, view.window)
    coarse = SeriesGrid(names[plan.full : plan.full + plan.coarse], start, end, plan.step)
    heat, is_complete = _heat_grid(view, start, len(names))
    if not is_complete:
        day, *counts = (to_numpy(view.totals[name]) for name in ("day", "n_windows", "n_anomalies"))
        heat.add(index.find(view.totals), day, *counts)
    with_faults = np.unique(index.find(labelled))
    peak_starts = np.unique(to_numpy(incidents["peak_at"]))
    # A series that is anomalous for days has many windows at the peaks of others.
    peaks = np.unique(_moments(index.find(incidents), to_numpy(incidents["peak_at"]), peak_starts))
    anomalies, off = [empty_table(_ANOMALOUS)], [(_NONE, _NONE, _NONE)]

    def noted() -> Iterator[tuple[Int, pa.Table]]:
        wanted = _wanted_rows(predictions, index, start, end, settings.max_rows)
        for series, rows, places in prefetched(wanted):
            off.append(_off(series, rows, places, len(names)))
            mine = rows.select(DRAWN.names).take(to_arrow(places)).cast(DRAWN)
            found = np.flatnonzero(to_numpy(mine["is_anomaly"]))
            time = to_numpy(mine["window_start"])[found]
            is_peak = _are_in(_moments(series[found], time, peak_starts), peaks)
            found = found[is_peak | _are_in(series[found], with_faults)]
            if found.size:
                anomalies.append(_of_anomalies(rows, places[found]))
            yield series, mine

    for series, rows in _joined(noted()):
        full.add(series, rows)
        coarse.add(series - plan.full, rows)
        if is_complete:
            time, flags = to_numpy(rows["window_start"]), to_numpy(rows["is_anomaly"])
            heat.add(series, time, np.ones(series.size, np.int64), flags.astype(np.int64))
    charts = [grid.block() for grid, n in ((full, plan.full), (coarse, plan.coarse)) if n]
    anomalous = pa.concat_tables(anomalies, promote_options="default")
    series, begin, until = (np.concatenate([part[n] for part in off]) for n in range(3))
    of_incidents = _peaks(incidents, peak_starts, anomalous)
    return Details(start, charts, heat, of_incidents, anomalous, join_stretches(series, begin, until, 0))


def _joined(parts: Iterable[tuple[Int, pa.Table]]) -> Iterator[tuple[Int, pa.Table]]:
    """Join the few rows of each file: a grid takes as long for them as for those of many hours."""
    held: list[tuple[Int, pa.Table]] = []
    for part in parts:
        held.append(part)
        if sum(series.size for series, _ in held) >= BATCH_ROWS:
            yield _concatenated(held)
            held = []
    if held:
        yield _concatenated(held)


def _concatenated(parts: Sequence[tuple[Int, pa.Table]]) -> tuple[Int, pa.Table]:
    series, rows = zip(*parts, strict=True)
    return np.concatenate(series), pa.concat_tables(rows).combine_chunks()


def _moments(series: Int, time: Int, times: Int) -> Int:
    """Number pairs of a series and one of some sorted times, shape (n,); -1 for another time."""
    place = np.minimum(np.searchsorted(times, time), max(times.size - 1, 0))
    is_one = times[place] == time if times.size else np.zeros(time.size, bool)
    return np.where(is_one & (series >= 0), series * times.size + place, -1)


def _are_in(numbers: Int, known: Int) -> Bool:
    """Mark the numbers that are among sorted ones, shape (n,); ``np.isin`` sorts these for each file."""
    if not known.size:
        return np.zeros(numbers.size, bool)
    found: Bool = known[np.minimum(np.searchsorted(known, numbers), known.size - 1)] == numbers
    return found


def _of_anomalies(rows: pa.Table, place: Int) -> pa.Table:
    there = {*rows.column_names}
    schema = pa.schema([one for one in _ANOMALOUS if one.name in there])
    return rows.select(schema.names).take(to_arrow(place)).cast(schema)


def _off(series: Int, rows: pa.Table, places: Int, n_drawn: int) -> tuple[Int, Int, Int]:
    """Return when the machines of drawn series are off."""
    if "rule" not in rows.column_names or rows["rule"].null_count == rows.num_rows:
        return _NONE, _NONE, _NONE
    mine = are(rows["rule"], OFF)[places] & (series >= 0) & (series < n_drawn)
    start, end = (to_numpy(rows[name])[places[mine]] for name in ("window_start", "window_end"))
    return join_stretches(series[mine], start, end, 0)


def _peaks(incidents: pa.Table, starts: Int, anomalies: pa.Table) -> list[Peak | None]:
    """Find the most severe window of each incident."""
    anomalies = anomalies.filter(to_arrow(np.isin(to_numpy(anomalies["window_start"]), starts)))
    there = {
        (row["device"], row["sensor"], row["window_start"]): Peak(
            row["value"],
            row["score"],
            row["threshold"],
            row["contributions"] or [],
        )
        for row in as_rows(anomalies)
    }
    rows = as_rows(incidents.select(["device", "sensor", "peak_at"]))
    return [there.get((row["device"], row["sensor"], row["peak_at"])) for row in rows]


def _heat_grid(view: FleetView, start: int, n_series: int) -> tuple[HeatGrid, bool]:
    """Choose cells, and whether they are filled by windows; else by daily totals."""
    assert view.start is not None
    assert view.end is not None
    begin, end = microseconds(view.start), microseconds(view.end)
    day_us = DAY_SECONDS * 1_000_000
    days = (end - 1) // day_us - begin // day_us + 1
    cell = choose_length(days * DAY_SECONDS, MAX_CELLS, view.window.total_seconds())
    is_complete = cell < DAY_SECONDS and start <= begin
    length = timedelta(seconds=cell if is_complete else max(cell, DAY_SECONDS))
    return HeatGrid(n_series, begin, end, length), is_complete


class _SeriesIndex:
    """Numbers series: those of the first table by their rows, those of other tables after them."""

    def __init__(self, *tables: pa.Table) -> None:
        self.devices = distinct(*(table["device"] for table in tables))
        self.sensors = distinct(*(table["sensor"] for table in tables))
        self._lookups = Lookup(self.devices), Lookup(self.sensors)
        codes = np.concatenate([self._codes(table) for table in tables])
        self._known, first = np.unique(codes, return_index=True)
        self._numbers = np.argsort(np.argsort(first))

    def _codes(self, rows: pa.Table) -> Int:
        of_devices, of_sensors = self._lookups
        device, sensor = of_devices.positions(rows["device"]), of_sensors.positions(rows["sensor"])
        return np.where((device < 0) | (sensor < 0), -1, sensor * len(self.devices) + device)

    def find(self, rows: pa.Table) -> Int:
        """Find the number of each row's series, shape (n,); -1 for one without a number.

        Fast where the rows of a series are adjacent.
        """
        codes = self._codes(rows)
        begins = first_of_runs(codes)
        place = np.searchsorted(self._known, codes[begins]).clip(0, max(self._known.size - 1, 0))
        if not self._known.size:
            return np.full(codes.size, -1)
        found = np.where(self._known[place] == codes[begins], self._numbers[place], -1)
        return np.repeat(found, np.diff(begins, append=codes.size))


def _wanted_rows(
    predictions: RowTable, index: _SeriesIndex, start: int, end: int, max_rows: int
) -> Iterator[tuple[Int, pa.Table, Int]]:
    """Yield numbers of series, -1 for what is not wanted, with rows and the places of theirs among these."""
    sensors, devices = index.sensors.to_pylist(), index.devices.to_pylist()
    # A table that nothing was added to since an upgrade lacks the newest columns.
    columns = [name for name in _READ if name in predictions.schema.names]
    files, copies = predictions.files(start, end), SeriesCopies(predictions)
    copies.forget_others(files)
    newest = max((file.last for file in files), default=start) // HOUR_US * HOUR_US
    new_rows = sum(file.rows for file in files if file.last >= newest)
    for file in predictions.files(start, end, sensors, devices):
        # The next hour brings as much: of a large fleet it reads no more than that.
        if file.rows + new_rows <= max_rows:
            copies.make(file, [name for name in COPIED if name in predictions.schema.names])
        for rows, places in copies.places(file, columns, sensors, devices):
            if not places.size:
                continue
            ids = rows.select(["device", "sensor"])
            series = index.find(ids if places.size == rows.num_rows else ids.take(to_arrow(places)))
            if file.first < start or file.last >= end:
                time = to_numpy(rows["window_start"])[places]
                series = np.where((time >= start) & (time < end), series, -1)
            yield series, rows, places
