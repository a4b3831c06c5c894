"""Find the windows that are due: new, changed, closed since the last run, or lacking a model until now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.scoring.marks import FOREVER, NEVER, Mark
from batch_scoring.scoring.scope import Scope
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import day_pieces

SERIES = ["sensor", "device"]
_NO_SERIES = empty_table(pa.schema([(name, pa.string()) for name in SERIES]))
_TOUCHED = ("device", "window_start")
_ORDER = [(name, "ascending") for name in ("sensor", "device", "window_start")]


@dataclass(frozen=True)
class Touched:
    """Windows of a sensor that are due because another sensor's, which show whether a machine is off, are.

    Attributes
    ----------
    keys : array of shape (n,), uint64
        Fingerprints of device and start.
    first, last : int
        When the first and the last of them start, microseconds since the epoch.
    """

    keys: UInt
    first: int
    last: int

    @classmethod
    def of(cls, due: DueWindows) -> Touched | None:
        """Return the devices and starts of due windows; None without one."""
        keys, first, last = [np.zeros(0, np.uint64)], FOREVER, NEVER
        for piece in due.pieces():
            for rows in due.tables(*piece):
                start, end = to_numpy(rows["window_start"]), to_numpy(rows["window_end"])
                # What a step from this window says depends on it, too.
                after = pa.table([rows["device"], rows["window_end"]], list(_TOUCHED))
                keys += [row_fingerprints(rows, _TOUCHED), row_fingerprints(after, _TOUCHED)]
                first, last = int(start.min(initial=first)), int(end.max(initial=last))
        return cls(np.concatenate(keys), first, last) if first < FOREVER else None

    def may_be_in(self, file: DataFile) -> bool:
        """Whether a file may hold such a window."""
        return file.overlaps(self.first, self.last + 1)


class DueWindows:
    """The windows that some sensors lack scores for; they may have some already.

    Parameters
    ----------
    windows : RowTable
    marks : mapping of str to Mark
        Of each sensor; windows from ``since`` on are due in any case.
    scope : Scope
    touched : mapping of str to Touched, optional
        Of some sensors what else is due.

    Attributes
    ----------
    days : dict of str to set of int
        Days since the epoch on which each sensor had due windows, of any device; complete when the pieces
        have been read.
    """

    def __init__(
        self,
        windows: RowTable,
        marks: Mapping[str, Mark],
        scope: Scope,
        touched: Mapping[str, Touched] | None = None,
    ) -> None:
        self._touched = touched or {}
        self._windows = windows
        self._scope = scope
        self._sensors = sorted(marks, key=str.encode)
        self._names = strings(self._sensors)
        places = {mark: place for place, mark in enumerate(dict.fromkeys(marks.values()))}
        self._group = np.array([places[marks[sensor]] for sensor in self._sensors], np.int64)
        self._after = _After(windows, list(places))
        self.days: dict[str, set[int]] = {}

    @cached_property
    def files(self) -> list[DataFile]:
        """The files that may hold due windows."""
        found = _due_files(self._windows, self._after, self._scope, self._sensors)
        closed_at, known = microseconds(self._scope.closed_at), {file.name for file in found}
        for sensor, one in self._touched.items():
            for file in self._windows.files(one.first, one.last + 1, [sensor], self._scope.selection.devices):
                if file.name not in known and _ends(file)[0] <= closed_at:
                    found.append(file)
                    known.add(file.name)
        return found

    def pieces(self, others: Iterable[DataFile] = ()) -> list[tuple[int, int]]:
        """Cut the times of the due windows, and of other files, into pieces ``[start, end)``."""
        return day_pieces([(file.first, file.last, file.rows) for file in (*self.files, *others)])

    def tables(self, start: int, end: int) -> Iterator[pa.Table]:
        """Yield the due windows that start in ``[start, end)``, sorted by sensor, device and start."""
        sources = [self._rows(file, start, end) for file in self.files if file.overlaps(start, end)]
        if len(sources) == 1:
            yield from sources[0]
            return
        schema = self._windows.schema
        for parts in device_ranges([(schema, rows) for rows in sources], key=("sensor", "device")):
            with_rows = [part for part in parts if part.num_rows]
            yield with_rows[0] if len(with_rows) == 1 else pa.concat_tables(with_rows).sort_by(_ORDER)

    def series(self, start: int, end: int) -> pa.Table:
        """Return sensor and device of the due windows that start in ``[start, end)``, each once."""
        columns = [*SERIES, "window_start", "window_end"]
        found = [
            _first_of_runs(rows.select(SERIES))
            for file in self.files
            if file.overlaps(start, end)
            for rows in self._rows(file, start, end, columns)
        ]
        every = pa.concat_tables([_NO_SERIES, *found])
        _, first = np.unique(row_fingerprints(every, SERIES), return_index=True)
        return every.take(to_arrow(np.sort(first))).combine_chunks()

    def mask(self, file: DataFile, rows: pa.Table) -> Bool:
        """Mark the rows of a file that are due by the marks, whether in scope or not, shape (n,)."""
        sensor = positions(rows["sensor"], self._names)
        known = sensor >= 0
        group = self._group[sensor[known]]
        due = np.zeros(sensor.size, bool)
        due[known] = (
            self._after.adds(file)[group]
            | (to_numpy(rows["window_end"])[known] > self._after.until[group])
            | (to_numpy(rows["window_start"])[known] >= self._after.since[group])
        )
        for name, one in self._touched.items():
            mine = np.flatnonzero(sensor == self._sensors.index(name))
            if mine.size and one.may_be_in(file):
                keys = row_fingerprints(rows.select(_TOUCHED).take(to_arrow(mine)), _TOUCHED)
                due[mine] |= np.isin(keys, one.keys)
        return due

    def _rows(
        self, file: DataFile, start: int, end: int, columns: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        groups, selected = self._after.may_be_due(file), self._scope.selection
        touched = {sensor for sensor, one in self._touched.items() if one.may_be_in(file)}
        sensors = [
            sensor
            for sensor, is_due in zip(self._sensors, groups[self._group], strict=True)
            if is_due or sensor in touched
        ]
        wanted = None if selected.sensors is None and groups.all() else sensors
        for rows in self._windows.batches(file, columns, wanted, selected.devices):
            times = to_numpy(rows["window_start"])
            due = self.mask(file, rows) & self._scope.has_time(rows) & (times >= start) & (times < end)
            self._note_days(rows, due)
            due &= self._scope.has_series(rows)
            yield rows if due.all() else rows.filter(to_arrow(due))

    def _note_days(self, rows: pa.Table, due: Bool) -> None:
        sensor = positions(rows["sensor"], self._names)[due]
        day = np.floor_divide(to_numpy(rows["window_start"])[due], DAY_US)
        is_other = np.ones(day.size, bool)
        is_other[1:] = (np.diff(sensor) != 0) | (np.diff(day) != 0)
        for place, one in set(zip(sensor[is_other].tolist(), day[is_other].tolist(), strict=True)):
            self.days.setdefault(self._sensors[place], set()).add(one)


def _first_of_runs(series: pa.Table) -> pa.Table:
    """Take the first of the rows of each series that follow each other."""
    ends = [to_numpy(pc.run_end_encode(series[name].combine_chunks()).run_ends) for name in SERIES]
    first = np.unique(np.concatenate([[0], *ends]))[:-1]
    return series.take(to_arrow(first.astype(np.int64)))


def due_files(windows: RowTable, mark: Mark, scope: Scope) -> list[DataFile]:
    """List the files that may hold due windows of any sensor."""
    return _due_files(windows, _After(windows, [mark]), scope, None)


def latest_end(windows: RowTable) -> int:
    """Return when the last window ends, microseconds since the epoch."""
    return max((_ends(file)[1] for file in windows.files()), default=NEVER)


class _After:
    """What is due after some marks."""

    def __init__(self, windows: RowTable, marks: Sequence[Mark]) -> None:
        versions = [mark.version for mark in marks]
        self._version = np.array(versions, np.int64)
        self.until = np.array([mark.until for mark in marks], np.int64)
        self.since = np.array([mark.since for mark in marks], np.int64)
        lowest = min((version for version in versions if version >= 0), default=windows.version)
        self._added = windows.added_at(lowest)

    def adds(self, file: DataFile) -> Bool:
        """Mark the marks after which a file was added or rewritten."""
        return (self._version < 0) | (self._added.get(file.name, -1) > self._version)

    def may_be_due(self, file: DataFile) -> Bool:
        """Mark the marks after which a file may hold due windows."""
        due: Bool = self.adds(file) | (_ends(file)[1] > self.until) | (file.last >= self.since)
        return due


def _due_files(
    windows: RowTable, after: _After, scope: Scope, sensors: Sequence[str] | None
) -> list[DataFile]:
    start, end = (None if one is None else microseconds(one) for one in (scope.start, scope.end))
    closed_at = microseconds(scope.closed_at)
    return [
        file
        for file in windows.files(start, end, sensors, scope.selection.devices)
        if _ends(file)[0] <= closed_at and after.may_be_due(file).any()
    ]


def _ends(file: DataFile) -> tuple[int, int]:
    low, high = file.bounds.get("window_end", (NEVER, FOREVER))
    return low, high
