"""Keep the daily totals of the predictions: add what a run brings, count anew what else may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import from_path_segment
from batch_scoring.scoring.due import DueWindows
from batch_scoring.scoring.marks import FOREVER, read_mark, windows_scored
from batch_scoring.scoring.run import EPOCH_DAY, SCORES, ScoreRun
from batch_scoring.scoring.scope import path_of
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
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import Commit, are_apart
from batch_scoring.storage.upsert import rows_without
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import distinct, empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import DAY_US
from batch_scoring.tables.schemas import DAILY, PREDICTIONS, WINDOW_KEY

# The name under which the totals record which version of the predictions they are of.
ADD_UP = "predictions"
_SERIES = ("sensor", "device")
_SPANS = [*SERIES_DAY, "first_start", "last_start"]
_COUNTED = pa.schema([PREDICTIONS.field(name) for name in COUNTED])
_LEFT = pa.schema([PREDICTIONS.field(name) for name in WINDOW_KEY])


def update_totals(run: ScoreRun, totals: RowTable) -> Change | None:
    """Return the change of the daily totals after a run's predictions are committed; None for no news.

    Parameters
    ----------
    run : ScoreRun
    totals : RowTable
        Schema DAILY.
    """
    return None if run.table is None or run.change is None else _Update(run, totals, run.table).change()


class _Update:
    """One update; days are computed one after the other, and of each a range of devices at a time."""

    def __init__(self, run: ScoreRun, totals: RowTable, before: RowTable) -> None:
        self.run = run
        self.scope = run.scope
        self.totals = totals
        self.predictions = before.latest()
        self.windows = windows_scored(self.predictions, run.windows)
        self.recounted = _Recounted()
        self.is_news = self._note_others(before)
        if run.has_many_totals:
            for sensor, days in run.days.items():
                self.recounted.add(days, sensor)
        renewed = run.renewed - run.failed.keys()
        if renewed:
            # Windows without a prediction may be gone, too; in a run for all, all of a sensor.
            days = self._days_with_windows()
            for one in [None] if self.scope.is_whole else sorted(renewed):
                self.recounted.add(days, one)
        self.new = _by_day(run.totals)
        self.lost = _by_day(run.lost)
        self.devices: dict[str, pa.Array] = {}

    def change(self) -> Change | None:
        found = {day for days in self.run.days.values() for day in days}
        days = sorted({*found, *self.recounted.days, *self.new, *self.lost})
        if not (days or self.is_news):
            return None
        replaced: dict[str, tuple[DataFile, Bool]] = {}

        def parts() -> Iterator[Iterable[pa.Table]]:
            for day in days:
                one = _Day(self, day)
                rows = one.rows()
                if rows is not None:
                    yield rows
                    for file, mask in one.replaced:
                        known = replaced.get(file.name)
                        replaced[file.name] = (file, mask if known is None else mask | known[1])

        def rewritten() -> Iterator[tuple[DataFile, Iterable[pa.Table]]]:
            for file, mask in replaced.values():
                yield file, () if mask.all() else rows_without(self.totals, file, mask)

        return Change(DAILY, parts(), self._progress(), guard=self.scope.claims(ADD_UP), rewritten=rewritten)

    def _progress(self) -> dict[str, int]:
        sensors, part = self.scope.selection.sensors, self.scope.part
        if part is None:
            return {}
        if sensors is None and not part:
            return {ADD_UP: self.predictions.position}
        names = self.run.days if sensors is None else sensors
        return {path_of(ADD_UP, sensor, part): self.predictions.position for sensor in sorted(names)}

    def _note_others(self, before: RowTable) -> bool:
        """Note the days that other runs have changed and not counted; whether there are newer predictions.

        A run for several devices leaves them to the next one for all.
        """
        assert self.run.change is not None
        mine = self.predictions.version_of(self.run.change, before.version)
        if self.scope.part is None:
            return mine is not None
        own = self.scope.claims(ADD_UP)
        commits = self.predictions.commits_since(min(map(self._counted, own)))
        if commits is None:
            files = (*self.predictions.files(), *self.windows.files())
            self.recounted.add({day for file in files for day in _days(file)}, None)
            return True
        for commit in commits:
            if commit.version != mine:
                for path in _paths(commit):
                    is_counted = self._counted(path) >= commit.version
                    if not is_counted and not all(are_apart(path, one) for one in own):
                        days = {(day.toordinal() - EPOCH_DAY) for day in commit.days}
                        self.recounted.add(days, _sensor_of(path))
        return mine is not None or bool(self.recounted.days)

    def _days_with_windows(self) -> set[int]:
        windows = self.windows.files()
        first = min(file.first for file in windows) // DAY_US * DAY_US
        return {day for file in (*windows, *self.totals.files(first)) for day in _days(file)}

    def _counted(self, path: str) -> int:
        """Return the version of the predictions up to which a part of them is counted; -1 for none."""
        steps = path.split("/")
        known = [
            self.predictions.own_version(self.totals.progress("/".join(steps[: n + 1])))
            for n in range(len(steps))
        ]
        return max((one for one in known if one is not None), default=-1)

    def modelled(self, sensor: str) -> pa.Array:
        """Return the devices with a model, sorted."""
        if sensor not in self.devices:
            known = self.run.modelled.get(sensor)
            self.devices[sensor] = distinct(*known) if known else self.run.champions.devices(sensor)
        return self.devices[sensor]


class _Recounted:
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


class _Day:
    """The totals of a day.

    Attributes
    ----------
    replaced : list of (DataFile, array of shape (file.rows,), bool)
        The stored files that lose rows, each with a mask of them.
    """

    def __init__(self, update: _Update, day: int) -> None:
        self.update, self.day = update, day
        self.span = (day * DAY_US, (day + 1) * DAY_US)
        self.files = update.totals.files(*self.span)
        self.due = {sensor for sensor, days in update.run.days.items() if day in days}
        recounted = update.recounted
        new = [rows.filter(to_arrow(~recounted.mask(rows, day))) for rows in update.new.get(day, ())]
        self.new = [rows for rows in new if rows.num_rows]
        lost = update.lost.get(day, [])
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
            for rows in self.update.totals.batches(file, _SPANS):
                masks.append(self._is_mine(rows))
                is_kept = masks[-1] & ~self.update.recounted.mask(rows, self.day)
                kept.append(rows.filter(to_arrow(is_kept)))
            mask = np.concatenate(masks)
            if mask.any():
                self.replaced.append((file, mask))
        return pa.concat_tables(kept)

    def _is_mine(self, rows: pa.Table) -> Bool:
        start = to_numpy(rows["day"])
        mine = (start >= self.span[0]) & (start < self.span[1]) & self.update.scope.has_series(rows)
        sensors = self.touched if self.touched is not None else self.update.scope.selection.sensors
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
        for rows in self.update.totals.batches(file):
            mine = self._is_mine(rows)
            if not is_all:
                mine &= ~self.update.recounted.mask(rows, self.day)
            yield rows.filter(to_arrow(mine))

    def _not_again(self, rows: pa.Table) -> pa.Table:
        if not self.keys.size:
            return rows
        return rows.filter(to_arrow(~np.isin(row_fingerprints(rows, SERIES_DAY), self.keys)))

    def _silent(self) -> Iterator[pa.Table]:
        """Build the rows of the run's devices that have a model; those with windows are left out later."""
        update = self.update
        sensors, recounted = set(self.due), update.recounted.days.get(self.day, set())
        if recounted is None or recounted:
            there = set(update.windows.distinct("sensor", update.windows.files(*self.span)))
            sensors |= there if recounted is None else there & recounted
        for sensor in sorted(sensors - update.run.failed.keys(), key=str.encode):
            if update.scope.has_sensor(sensor):
                devices = update.modelled(sensor)
                is_missing = update.run.champions.of_plant.may_be_missing(devices, self.span[0])
                rows = silent_totals(sensor, devices.filter(to_arrow(is_missing)), self.day)
                yield rows.filter(to_arrow(update.scope.has_series(rows)))

    def _counted(self) -> Iterator[pa.Table]:
        """Count the predictions, and the windows without one, of what is counted anew."""
        update = self.update
        sensors = update.recounted.days.get(self.day, set())
        if sensors is not None and not sensors and not self.keys.size:
            return
        wanted: set[str] | None = update.scope.selection.sensors  # type: ignore[assignment]
        devices = update.scope.selection.devices
        if sensors is not None:
            wanted = {*sensors, *pc.unique(self.again["sensor"]).to_pylist()}
            devices = devices if sensors else frozenset(pc.unique(self.again["device"]).to_pylist())
        states, due = self._states(), self._considered(wanted)
        sources = [
            (_COUNTED, self._wanted(update.predictions.batches(file, COUNTED, wanted, devices)))
            for file in update.predictions.files(*self.span, wanted, devices)
        ]
        n = len(sources)
        sources += [
            (_LEFT, self._considered_rows(due, file, wanted, devices))
            for file in update.windows.files(*self.span, wanted, devices)
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
        update = self.update
        part = update.scope.part or ""
        names = sensors
        if names is None:
            names = update.windows.distinct("sensor", update.windows.files(*self.span))
        marks = {sensor: read_mark(update.predictions, update.windows, sensor, part) for sensor in names}
        # Windows that lacked a model are due again when there is one, and were considered.
        marks = {sensor: replace(mark, since=FOREVER) for sensor, mark in marks.items()}
        return DueWindows(update.windows, marks, update.scope)

    def _considered_rows(
        self, due: DueWindows, file: DataFile, sensors: Iterable[str] | None, devices: Iterable[str] | None
    ) -> Iterator[pa.Table]:
        update = self.update
        columns = [*WINDOW_KEY, "window_end"]
        for rows in update.windows.batches(file, columns, sensors, devices):
            has_failed = _among(rows["sensor"], update.run.failed)
            considered = ~due.mask(file, rows) | (update.scope.mask(rows) & ~has_failed)
            yield from self._wanted([rows.filter(to_arrow(considered)).select(_LEFT.names)])

    def _wanted(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for rows in tables:
            start = to_numpy(rows["window_start"])
            mine = (start >= self.span[0]) & (start < self.span[1]) & self.update.scope.has_series(rows)
            wanted = self.update.recounted.mask(rows, self.day)
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
            found[mine] = positions(devices, self.update.modelled(sensor)) >= 0
        return found

    def _states(self) -> States:
        """Return whether scores are tail probabilities, as the stored totals of a version say."""
        found: dict[tuple[str, str], bool] = {}
        for file in self.files:
            for rows in self.update.totals.batches(file, ["sensor", "model_version", "n_windows", "decades"]):
                counted = rows.filter(to_arrow(to_numpy(rows["n_windows"]) > 0))
                sizes = pc.list_value_length(counted["decades"])
                table = pa.table([counted["sensor"], counted["model_version"], sizes], ["s", "v", "n"])
                largest = table.group_by(["s", "v"], use_threads=False).aggregate([("n", "max")])
                found |= {(one["s"], one["v"]): one["n_max"] > 0 for one in largest.to_pylist()}
        champions = self.update.run.champions
        return lambda sensor, version: found.get((sensor, version), champions.states_tail_probability(sensor))


_SPAN = pa.schema([DAILY.field(name) for name in _SPANS])


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


def _by_day(tables: Sequence[pa.Table]) -> dict[int, list[pa.Table]]:
    """Split tables by day, in their order."""
    found: dict[int, list[pa.Table]] = {}
    for rows in tables:
        day = np.floor_divide(to_numpy(rows["day"]), DAY_US)
        for one in np.unique(day).tolist():
            mine = day == one
            found.setdefault(one, []).append(rows if mine.all() else rows.filter(to_arrow(mine)))
    return found


def _paths(commit: Commit) -> list[str]:
    """Return the parts of the totals that a commit of the predictions may change."""
    if not commit.days:
        return []
    if not commit.claims:
        return [ADD_UP]
    scored = [claim for claim in commit.claims if claim.split("/")[0] == SCORES]
    return [ADD_UP + claim.removeprefix(SCORES) for claim in scored]


def _sensor_of(path: str) -> str | None:
    steps = path.split("/")
    return from_path_segment(steps[1].partition("=")[2]) if len(steps) > 1 else None


def _among(texts: pa.ChunkedArray, wanted: Iterable[str]) -> Bool:
    found: Bool = positions(texts, strings(sorted(wanted))) >= 0
    return found


def _days(file: DataFile) -> range:
    return range(file.first // DAY_US, file.last // DAY_US + 1)
