"""Read the predictions that a report shows, in one pass: for charts, heat map, incidents and known faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.core.prefetch import prefetched
from batch_scoring.reporting.fleet_view import FleetView
from batch_scoring.reporting.heat import DAY_SECONDS, MAX_CELLS, HeatGrid, choose_length, first_of_runs
from batch_scoring.reporting.series import SeriesBlock, SeriesGrid, choose_resolution
from batch_scoring.storage.row_table import DataFile, RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import distinct, empty_table, positions, to_arrow, to_numpy
from batch_scoring.tables.schemas import PREDICTIONS

_HOUR_US = 3_600_000_000
_TEXTS = ("device", "sensor", "top_feature")
_OF_ANOMALY = pa.schema(
    [PREDICTIONS.field(name) for name in ("device", "sensor", "window_start", "window_end")]
)
_OF_PEAK = ("value", "score", "threshold", "contributions")
_READ = (*_OF_ANOMALY.names, *_OF_PEAK, "is_anomaly", "severity", "top_feature")


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
        device, sensor, window_start and window_end of the anomalous windows of some series.
    """

    start: int = 0
    charts: list[SeriesBlock] = field(default_factory=list)
    heat: HeatGrid | None = None
    peaks: list[Peak | None] = field(default_factory=list)
    anomalies: pa.Table = field(default_factory=lambda: empty_table(_OF_ANOMALY))


def details_start(files: Sequence[DataFile], view: FleetView, max_rows: int) -> int:
    """Choose the first time of which predictions are read, in microseconds since the epoch.

    The files of the hours from then on hold at most ``max_rows`` rows, but for the newest hour.

    Parameters
    ----------
    files : sequence of DataFile
        Of the predictions.
    view : FleetView
    max_rows : int
    """
    if view.start is None:
        return 0
    start = microseconds(view.start)
    newest = max((file.last for file in files), default=start) // _HOUR_US * _HOUR_US
    rows = 0
    for file in sorted(files, key=lambda one: one.last, reverse=True):
        rows += file.rows
        if file.last < start:
            break
        if rows > max_rows and file.last < newest:
            return max(start, (file.last // _HOUR_US + 1) * _HOUR_US)
    return start


@dataclass(frozen=True)
class Wanted:
    """The windows that a report needs.

    Attributes
    ----------
    drawn : pyarrow.Table
        device and sensor of the series of the page, worst first.
    peaks : pyarrow.Table
        device, sensor and peak_at of incidents.
    labelled : pyarrow.Table
        device and sensor of the series whose anomalous windows are to be listed.
    max_series, max_points : int
        See :func:`.choose_resolution`.
    """

    drawn: pa.Table
    peaks: pa.Table
    labelled: pa.Table
    max_series: int
    max_points: int


def read_details(predictions: RowTable, view: FleetView, start: int, wanted: Wanted) -> Details:
    """Read the windows of some series.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    view : FleetView
    start : int
        The first time to read, see :func:`details_start`. From a later one than the view's, the heat map has
        the days of the view instead of parts of a day.
    wanted : Wanted
    """
    if view.start is None or view.end is None:
        return Details(peaks=[None] * wanted.peaks.num_rows)
    end = microseconds(view.end)
    span = (end - start) * MICROSECOND
    index = _SeriesIndex(wanted.drawn, wanted.peaks, wanted.labelled)
    drawn = list(zip(*(wanted.drawn[name].to_pylist() for name in ("device", "sensor")), strict=True))
    plan = choose_resolution(len(drawn), span, view.window, wanted.max_series, wanted.max_points)
    full = SeriesGrid(drawn[: plan.full], start, end, view.window)
    coarse = SeriesGrid(drawn[plan.full : plan.full + plan.coarse], start, end, plan.step)
    heat, is_complete = _heat_grid(view, start, len(drawn))
    if not is_complete:
        day, *counts = (to_numpy(view.totals[name]) for name in ("day", "n_windows", "n_anomalies"))
        heat.add(index.find(view.totals), day, *counts)
    peaks = _Peaks(index.find(wanted.peaks), wanted.peaks["peak_at"])
    labelled = to_arrow(np.unique(index.find(wanted.labelled)))
    anomalies = [empty_table(_OF_ANOMALY)]
    for series, rows in prefetched(_wanted_rows(predictions, index, start, end)):
        full.add(series, rows)
        coarse.add(series - plan.full, rows)
        flags = to_numpy(rows["is_anomaly"])
        if is_complete:
            ones = np.ones(series.size, np.int64)
            heat.add(series, to_numpy(rows["window_start"]), ones, flags.astype(np.int64))
        anomalous, its_series = rows.filter(to_arrow(flags)), series[flags]
        peaks.look(its_series, anomalous)
        is_labelled = pc.is_in(to_arrow(its_series), labelled)
        anomalies.append(anomalous.filter(is_labelled).select(_OF_ANOMALY.names).cast(_OF_ANOMALY))
    charts = [grid.block() for grid, n in ((full, plan.full), (coarse, plan.coarse)) if n]
    return Details(start, charts, heat, peaks.found, pa.concat_tables(anomalies))


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
        codes = np.concatenate([self._codes(table) for table in tables])
        self._known, first = np.unique(codes, return_index=True)
        self._numbers = np.argsort(np.argsort(first))

    def _codes(self, rows: pa.Table) -> Int:
        device, sensor = positions(rows["device"], self.devices), positions(rows["sensor"], self.sensors)
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
    predictions: RowTable, index: _SeriesIndex, start: int, end: int
) -> Iterator[tuple[Int, pa.Table]]:
    """Yield rows with the numbers of their series; -1 for rows that are not wanted."""
    sensors, devices = index.sensors.to_pylist(), index.devices.to_pylist()
    for file in predictions.files(start, end, sensors, devices):
        for batch in predictions.batches(file, _READ, sensors, devices, encoded=_TEXTS):
            series = index.find(batch)
            if file.first < start or file.last >= end:
                time = to_numpy(batch["window_start"])
                series = np.where((time >= start) & (time < end), series, -1)
            yield series, batch


class _Peaks:
    """Finds the windows of some series and starts."""

    def __init__(self, series: Int, starts: pa.ChunkedArray) -> None:
        self.found: list[Peak | None] = [None] * series.size
        self._starts = np.unique(to_numpy(starts))
        self._rows: dict[tuple[int, int], list[int]] = {}
        for row, key in enumerate(zip(series.tolist(), to_numpy(starts).tolist(), strict=True)):
            self._rows.setdefault(key, []).append(row)

    def look(self, series: Int, rows: pa.Table) -> None:
        """Look for them among these rows."""
        starts = to_numpy(rows["window_start"])
        for place in np.flatnonzero(np.isin(starts, self._starts)).tolist():
            wanted = self._rows.get((int(series[place]), int(starts[place])), [])
            if wanted:
                self._take(wanted, rows.slice(place, 1))

    def _take(self, wanted: list[int], window: pa.Table) -> None:
        row = window.select(_OF_PEAK).to_pylist()[0]
        peak = Peak(row["value"], row["score"], row["threshold"], row["contributions"] or [])
        for number in wanted:
            self.found[number] = peak
