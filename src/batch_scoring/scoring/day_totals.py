"""The totals of a day: which stay, what a run adds, and what is counted anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US
from batch_scoring.scoring.due import DueWindows
from batch_scoring.scoring.marks import FOREVER, read_mark
from batch_scoring.scoring.run import ScoreRun
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.totals import (
    COUNTED,
    SERIES_DAY,
    States,
    late_series,
    merge_totals,
    scored_totals,
    silent_totals,
    sorted_totals,
    unscored_totals,
)
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import distinct, empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DAILY, PREDICTIONS, WINDOW_KEY

_SERIES = ("sensor", "device")
_SPANS = [*SERIES_DAY, "first_start", "last_start"]
_SPAN = pa.schema([DAILY.field(name) for name in _SPANS])
_COUNTED = pa.schema([PREDICTIONS.field(name) for name in COUNTED])
_LEFT = pa.schema([PREDICTIONS.field(name) for name in WINDOW_KEY])


class Recounted:
    """The days and sensors that are counted anew.

    Attributes
    ----------
    days : dict of int to set of str or None
        Sensors by day since the epoch; None for all.
    """

    def __init__(self) -> None:
        self.days: dict[int, set[str] | None] = {}

    def add(self, days: Iterable[int], sensor: str | None) -> None:
        """Add days of a sensor, or of all."""
        for day in days:
            known = self.days.setdefault(day, set())
            if sensor is None:
                self.days[day] = None
            elif known is not None:
                known.add(sensor)

    def mask(self, rows: pa.Table, day: int) -> Bool:
        """Mark the rows of sensors that are counted anew on a day, shape (n,)."""
        sensors = self.days.get(day, set())
        return np.ones(rows.num_rows, bool) if sensors is None else _among(rows["sensor"], sensors)


@dataclass(frozen=True)
class Basis:
    """What the totals of all days are made of.

    Attributes
    ----------
    run : ScoreRun
    totals, predictions, windows : RowTable
        The stored totals, and what they are of.
    recounted : Recounted
    new, lost : mapping of int to list of pyarrow.Table
        By day since the epoch: totals of the run's predictions, and the series that have lost some.
    """

    run: ScoreRun
    totals: RowTable
    predictions: RowTable
    windows: RowTable
    recounted: Recounted
    new: Mapping[int, Sequence[pa.Table]]
    lost: Mapping[int, Sequence[pa.Table]]
    _modelled: dict[str, pa.Array] = field(default_factory=dict)
    _expected: dict[str, pa.Array] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """What the run is for."""
        return self.run.scope

    def modelled(self, sensor: str) -> pa.Array:
        """Return the devices with a model, sorted."""
        if sensor not in self._modelled:
            known = self.run.modelled.get(sensor)
            self._modelled[sensor] = distinct(*known) if known else self.run.champions.devices(sensor)
        return self._modelled[sensor]

    def expected(self, sensor: str) -> pa.Array:
        """Return the devices with a model that may have readings, sorted: not all of theirs were deleted."""
        if sensor not in self._expected:
            devices = self.modelled(sensor)
            # Without any, the models may be ones that cannot be read.
            deleted = self.run.champions.deleted(sensor) if len(devices) else devices
            self._expected[sensor] = devices.filter(to_arrow(positions(devices, deleted) < 0))
        return self._expected[sensor]


class DayTotals:
    """The totals of a day.

    Parameters
    ----------
    basis : Basis
    day : int
        Since the epoch.

    Attributes
    ----------
    replaced : list of (DataFile, array of shape (file.rows,), bool)
        The stored files that lose rows, each with a mask of them.
    """

    def __init__(self, basis: Basis, day: int) -> None:
        self.basis, self.day = basis, day
        self.span = (day * DAY_US, (day + 1) * DAY_US)
        self.files = basis.totals.files(*self.span)
        self.due = {sensor for sensor, days in basis.run.days.items() if day in days}
        recounted = basis.recounted
        new = [rows.filter(to_arrow(~recounted.mask(rows, day))) for rows in basis.new.get(day, ())]
        self.new = [rows for rows in new if rows.num_rows]
        lost = basis.lost.get(day, [])
        known = (name for rows in (*self.new, *lost) for name in pc.unique(rows["sensor"]).to_pylist())
        self.touched = (
            None
            if recounted.days.get(day, ()) is None
            else {*self.due, *known, *(recounted.days.get(day) or ())}
        )
        stored = self._find_replaced()
        spans = pa.concat_tables([empty_table(_SPAN), *(rows.select(_SPANS) for rows in self.new)])
        again = pa.concat_tables([late_series(stored, spans), *lost]).combine_chunks()
        # Arrow's group_by would import pandas.
        _, first = np.unique(row_fingerprints(again, SERIES_DAY), return_index=True)
        self.again = again.select(list(SERIES_DAY)).take(to_arrow(first))
        self.keys = row_fingerprints(self.again, SERIES_DAY)

    def rows(self) -> Iterable[pa.Table] | None:
        """Compute the rows that replace the stored ones; None where they are the same."""
        if any(rows.num_rows for rows in self.new):
            return self._merged()
        found = pa.concat_tables([empty_table(DAILY), *self._merged()])
        stored = pa.concat_tables([empty_table(DAILY), *(rows for one in self._stored() for rows in one)])
        return None if sorted_totals(found).equals(sorted_totals(stored)) else [found]

    def _find_replaced(self) -> pa.Table:
        """Find the stored rows of the run's series; returns the spans of the rows not counted anew."""
        self.replaced: list[tuple[DataFile, Bool]] = []
        kept = [empty_table(_SPAN)]
        for file in self.files:
            masks = [np.zeros(0, bool)]
            for rows in self.basis.totals.batches(file, _SPANS):
                masks.append(self._is_mine(rows))
                is_kept = masks[-1] & ~self.basis.recounted.mask(rows, self.day)
                kept.append(rows.filter(to_arrow(is_kept)))
            mask = np.concatenate(masks)
            if mask.any():
                self.replaced.append((file, mask))
        return pa.concat_tables(kept)

    def _is_mine(self, rows: pa.Table) -> Bool:
        start = to_numpy(rows["day"])
        mine = (start >= self.span[0]) & (start < self.span[1]) & self.basis.scope.has_series(rows)
        sensors = self.touched if self.touched is not None else self.basis.scope.selection.sensors
        return mine if sensors is None else mine & _among(rows["sensor"], sensors)

    def _merged(self) -> Iterator[pa.Table]:
        stored = [map(self._not_again, one) for one in self._stored(is_all=False)]
        others = [map(self._not_again, self.new), self._counted(), _joined(self._silent())]
        for parts in device_ranges([(DAILY, rows) for rows in (*stored, *others)], key=_SERIES):
            *known, new, counted, silent = parts
            known = pa.concat_tables([*known, counted]) if known else counted
            if silent.num_rows:
                series = row_fingerprints(pa.concat_tables([known, new]), SERIES_DAY)
                silent = silent.filter(to_arrow(~np.isin(row_fingerprints(silent, SERIES_DAY), series)))
            rows = merge_totals(known, pa.concat_tables([new, silent]))
            if rows.num_rows:
                yield rows

    def _stored(self, is_all: bool = True) -> list[Iterator[pa.Table]]:
        """Read the stored rows of the run's series, all or the ones not counted anew."""
        return [self._stored_in(file, is_all) for file, _ in self.replaced]

    def _stored_in(self, file: DataFile, is_all: bool) -> Iterator[pa.Table]:
        for rows in self.basis.totals.batches(file):
            mine = self._is_mine(rows)
            if not is_all:
                mine &= ~self.basis.recounted.mask(rows, self.day)
            yield rows.filter(to_arrow(mine))

    def _not_again(self, rows: pa.Table) -> pa.Table:
        if not self.keys.size:
            return rows
        return rows.filter(to_arrow(~np.isin(row_fingerprints(rows, SERIES_DAY), self.keys)))

    def _silent(self) -> Iterator[pa.Table]:
        """Build the rows of the run's devices that have a model; those with windows are left out later."""
        basis = self.basis
        sensors, recounted = set(self.due), basis.recounted.days.get(self.day, set())
        if recounted is None or recounted:
            there = set(basis.windows.distinct("sensor", basis.windows.files(*self.span)))
            sensors |= there if recounted is None else there & recounted
        for sensor in sorted(sensors - basis.run.failed.keys(), key=str.encode):
            if basis.scope.has_sensor(sensor):
                devices = basis.expected(sensor)
                is_missing = basis.run.champions.of_plant.may_be_missing(devices, self.span[0])
                rows = silent_totals(sensor, devices.filter(to_arrow(is_missing)), self.day)
                yield rows.filter(to_arrow(basis.scope.has_series(rows)))

    def _counted(self) -> Iterator[pa.Table]:
        """Count the predictions, and the windows without one, of what is counted anew."""
        basis = self.basis
        sensors = basis.recounted.days.get(self.day, set())
        if sensors is not None and not sensors and not self.keys.size:
            return
        wanted: set[str] | None = basis.scope.selection.sensors  # type: ignore[assignment]
        devices = basis.scope.selection.devices
        if sensors is not None:
            wanted = {*sensors, *pc.unique(self.again["sensor"]).to_pylist()}
            devices = devices if sensors else frozenset(pc.unique(self.again["device"]).to_pylist())
        states, due = self._states(), self._considered(wanted)
        sources = [
            (_COUNTED, self._wanted(basis.predictions.batches(file, COUNTED, wanted, devices)))
            for file in basis.predictions.files(*self.span, wanted, devices)
        ]
        n = len(sources)
        sources += [
            (_LEFT, self._considered_rows(due, file, wanted, devices))
            for file in basis.windows.files(*self.span, wanted, devices)
        ]
        for parts in device_ranges(sources, key=_SERIES):
            scored = pa.concat_tables([empty_table(_COUNTED), *parts[:n]])
            left = pa.concat_tables([empty_table(_LEFT), *parts[n:]])
            known = np.isin(row_fingerprints(left, WINDOW_KEY), row_fingerprints(scored, WINDOW_KEY))
            left = left.filter(to_arrow(~known)).combine_chunks()
            both = [scored_totals(scored, states), unscored_totals(left, self._has_model(left))]
            yield sorted_totals(pa.concat_tables(both))

    def _considered(self, sensors: Iterable[str] | None) -> DueWindows:
        """Return what is not considered yet, by the marks of the predictions."""
        basis = self.basis
        part = basis.scope.part or ""
        names = sensors
        if names is None:
            names = basis.windows.distinct("sensor", basis.windows.files(*self.span))
        marks = {sensor: read_mark(basis.predictions, basis.windows, sensor, part) for sensor in names}
        # Windows that lacked a model are due again when there is one, and were considered.
        marks = {sensor: replace(mark, since=FOREVER) for sensor, mark in marks.items()}
        return DueWindows(basis.windows, marks, basis.scope)

    def _considered_rows(
        self, due: DueWindows, file: DataFile, sensors: Iterable[str] | None, devices: Iterable[str] | None
    ) -> Iterator[pa.Table]:
        basis = self.basis
        columns = [*WINDOW_KEY, "window_end"]
        for rows in basis.windows.batches(file, columns, sensors, devices):
            has_failed = _among(rows["sensor"], basis.run.failed)
            considered = ~due.mask(file, rows) | (basis.scope.mask(rows) & ~has_failed)
            yield from self._wanted([rows.filter(to_arrow(considered)).select(_LEFT.names)])

    def _wanted(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for rows in tables:
            start = to_numpy(rows["window_start"])
            mine = (start >= self.span[0]) & (start < self.span[1]) & self.basis.scope.has_series(rows)
            wanted = self.basis.recounted.mask(rows, self.day)
            if self.keys.size:
                day = to_arrow(np.full(rows.num_rows, self.span[0])).view(DAILY.field("day").type)
                series = pa.table([rows["sensor"], rows["device"], day], list(SERIES_DAY))
                wanted |= np.isin(row_fingerprints(series, SERIES_DAY), self.keys)
            yield rows.filter(to_arrow(mine & wanted))

    def _has_model(self, windows: pa.Table) -> Bool:
        found = np.zeros(windows.num_rows, bool)
        for sensor in pc.unique(windows["sensor"]).to_pylist():
            mine = _among(windows["sensor"], [sensor])
            devices = windows["device"].filter(to_arrow(mine))
            found[mine] = positions(devices, self.basis.modelled(sensor)) >= 0
        return found

    def _states(self) -> States:
        """Return whether scores are tail probabilities, as the stored totals of a version say."""
        found: dict[tuple[str, str], bool] = {}
        for file in self.files:
            for rows in self.basis.totals.batches(file, ["sensor", "model_version", "n_windows", "decades"]):
                counted = rows.filter(to_arrow(to_numpy(rows["n_windows"]) > 0))
                sizes = pc.list_value_length(counted["decades"])
                table = pa.table([counted["sensor"], counted["model_version"], sizes], ["s", "v", "n"])
                largest = table.group_by(["s", "v"], use_threads=False).aggregate([("n", "max")])
                found |= {(one["s"], one["v"]): one["n_max"] > 0 for one in largest.to_pylist()}
        champions = self.basis.run.champions
        return lambda sensor, version: found.get((sensor, version), champions.states_tail_probability(sensor))


def _joined(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables: of a thousand sensors each has few rows."""
    held, n = [], 0
    for rows in tables:
        held.append(rows)
        n += rows.num_rows
        if n >= BATCH_ROWS:
            yield pa.concat_tables(held)
            held, n = [], 0
    if held:
        yield pa.concat_tables(held)


def _among(texts: pa.ChunkedArray, wanted: Iterable[str]) -> Bool:
    found: Bool = positions(texts, strings(sorted(wanted))) >= 0
    return found
