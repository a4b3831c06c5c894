"""Score what is due in the windows, and commit it together with how far it came."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.off import with_off_of_all
from batch_scoring.plant.rules import NO_RULES, Domain
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.champions import NOTHING_DELETED, Champions
from batch_scoring.scoring.due import DueWindows, Touched, due_files, latest_end
from batch_scoring.scoring.lessons import Excluded
from batch_scoring.scoring.marks import (
    FOREVER,
    Mark,
    mark_progress,
    read_mark,
    settings_of_parts,
    some_progress,
    unfinished_sensors,
    windows_scored,
)
from batch_scoring.scoring.outcome import Outcome
from batch_scoring.scoring.recalibration import DayCurves, Recalibration
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.sensor_ranges import score_ranges
from batch_scoring.scoring.stored import StoredPredictions
from batch_scoring.scoring.totals import SERIES_DAY
from batch_scoring.storage.data_file import DataFile, hold_sparse_days
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert, rows_without
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.pieces import joined_by_month
from batch_scoring.tables.schemas import PREDICTIONS, TIMESTAMP, WINDOW_KEY
from batch_scoring.windows.settings import MADE_WITH

logger = logging.getLogger(__name__)

# What a run may change is named below it.
SCORES = "scores"
EPOCH_DAY = date(1970, 1, 1).toordinal()
# Rows of daily totals that are kept in memory: half a gigabyte.
_MAX_TOTALS = 3_000_000


class ScoreRun:
    """A run of ``score``: what it finds, what it commits, and what the daily totals gain by it.

    Parameters
    ----------
    windows : RowTable
    models : mapping of str to callable
        Each opens the champion of a sensor.
    scope : Scope
    calibrations : RowTable, optional
        Schema CALIBRATIONS: the series are recalibrated. Default: they keep the curves of their models.
    excluded : Excluded
        What is not learned in that.
    devices : Devices, optional
    domain : Domain
        With other rules than the last time, the windows that they are about are scored again.
    deleted : mapping of str to int, optional
        Of :class:`~batch_scoring.scoring.champions.Champions`.

    Attributes
    ----------
    windows : RowTable
        Those that are scored: newer ones where another run has scored them meanwhile.
    table : RowTable or None
        The predictions before the run.
    change : Change or None
        Of the predictions.
    outcome : Outcome
    totals : list of pyarrow.Table
        Schema DAILY, of the new predictions and of windows without one, each sorted by DAILY_KEY; complete
        after the commit.
    n_totals : int
        Their rows, also where they are too many to be kept.
    days : dict of str to set of int
        Days since the epoch on which each sensor had due windows.
    modelled : dict of str to list of pyarrow.Array
        Devices with a model, of each sensor with due windows.
    lost : list of pyarrow.Table
        Columns sensor, device and day of the predictions that were replaced.
    renewed : set of str
        Sensors whose windows were made anew, or aggregated with other settings than before.
    failed : dict of str to str
        Why a sensor could not be scored.
    """

    def __init__(
        self,
        windows: RowTable,
        models: Mapping[str, Callable[[], PublishedModel]],
        scope: Scope,
        calibrations: RowTable | None = None,
        excluded: Excluded | None = None,
        devices: Devices | None = None,
        domain: Domain = NO_RULES,
        deleted: Mapping[str, int] = NOTHING_DELETED,
    ) -> None:
        self.windows = windows
        self.domain = domain
        unknown = domain.unknown_sensors(models) if models else []
        if unknown:
            logger.warning(
                "domain.rules: %d names of sensors match no model, first %r: these rules say nothing",
                *(len(unknown), unknown[0]),
            )
        self.champions = Champions(models, devices, deleted)
        self.scope = scope
        self.table: RowTable | None = None
        self.change: Change | None = None
        self._recalibration = (
            None
            if calibrations is None
            else Recalibration(calibrations, self.champions, scope, excluded or Excluded())
        )
        self._begin()

    def _begin(self) -> None:
        self.outcome = Outcome()
        self.totals: list[pa.Table] = []
        self.n_totals = 0
        self.days: dict[str, set[int]] = {}
        self.modelled: dict[str, list[pa.Array]] = {}
        self.lost: list[pa.Table] = []
        self.renewed: set[str] = set()
        self.failed: dict[str, str] = {}
        self._before: dict[str, Mark] = {}
        self._lacking: dict[str, int] = {}
        self._again: set[str] = set()
        self._is_noted = False

    def update(self, predictions: RowTable) -> Change:
        """Return the change of the predictions; it may be of nothing."""
        self._begin()
        if self._recalibration is not None:
            self._recalibration.begin(predictions)
        overall = self._look_at(predictions)
        marks = {sensor: self._due_after(sensor) for sensor in self._before if sensor not in self.failed}
        due = DueWindows(self.windows, marks, self.scope, self._touched(marks))
        self.days = due.days
        progress: dict[str, int] = {}
        days: set[date] = set()
        removed: dict[str, tuple[DataFile, Bool]] = {}
        is_sparse = hold_sparse_days(due.files)

        def piece(start: int, end: int, gone: Collection[str], is_last: bool) -> Iterator[pa.Table]:
            inside = [file for file in due.files if file.overlaps(start, end)]
            files = [
                file
                for file in predictions.files(start, end)
                if file.name in gone or any(file.overlaps(one.first, one.last + 1) for one in inside)
            ]
            renewed = sorted(self.renewed - self.failed.keys())
            stored = StoredPredictions(predictions, files, self.scope, renewed, (start, end))
            curves = self._curves(due, start, end, is_last)
            tables = self._with_off(due.tables(start, end), (start, end))
            yield from self._scored(tables, stored.rows, curves)
            for file, mask in stored.removed(self.failed):
                known = removed.get(file.name)
                removed[file.name] = (file, mask if known is None else mask | known[1])

        def parts() -> Iterator[Iterator[pa.Table]]:
            gone = {file.name: file for file in self._files_of_renewed(predictions)}
            spans = self._pieces(due, gone.values())
            pieces = ((span[0], piece(*span, gone, span == spans[-1])) for span in spans)
            yield from joined_by_month(pieces, WINDOW_KEY) if is_sparse else (rows for _, rows in pieces)
            days.update(date.fromordinal(day + EPOCH_DAY) for some in self.days.values() for day in some)
            progress.update(self._progress(predictions, overall))
            if self._recalibration is not None:
                self._recalibration.commit()

        def rewritten() -> Iterator[tuple[DataFile, Iterator[pa.Table]]]:
            for file, mask in removed.values():
                yield file, rows_without(predictions, file, mask, self._note_lost)
            # A file may hold a month, so its name does not say it.
            lost = [to_numpy(rows["day"]) // DAY_US for rows in self.lost]
            days.update(
                date.fromordinal(day + EPOCH_DAY) for some in lost for day in np.unique(some).tolist()
            )

        self.change = Change(
            PREDICTIONS,
            parts(),
            progress,
            guard=self.scope.claims(SCORES),
            rewritten=rewritten,
            by_month=is_sparse,
            days=days,
        )
        return self.change

    def _look_at(self, predictions: RowTable) -> Mark:
        """Find how far each sensor is scored, and which are scored again; return the mark of all."""
        self.table = predictions
        self.windows = windows_scored(predictions, self.windows)
        self._settings = (self.windows.progress(MADE_WITH) or 0) ^ self.domain.number
        overall = read_mark(predictions, self.windows)
        part = self.scope.part or ""
        sensors = self._sensors(predictions, overall)
        self._before = {sensor: read_mark(predictions, self.windows, sensor, part) for sensor in sensors}
        of_parts = settings_of_parts(predictions)
        self.renewed = {
            sensor
            for sensor, mark in self._before.items()
            if self._is_other(mark) or (mark.version < 0 and of_parts.get(sensor, set()) - {self._settings})
        }
        self._again = {sensor for sensor, mark in self._before.items() if self._has_gained(sensor, mark)}
        self._skip_those_that_fail_again()
        return overall

    def _sensors(self, predictions: RowTable, overall: Mark) -> list[str]:
        """List the sensors that may have due windows."""
        scope = self.scope
        if scope.selection.sensors is not None:
            return sorted(scope.selection.sensors, key=str.encode)
        if not scope.is_timely:
            found = set(self.windows.distinct("sensor", due_files(self.windows, Mark(), scope)))
        elif self._is_other(overall):
            found = {*self.windows.distinct("sensor"), *predictions.distinct("sensor")}
        else:
            found = set(self.windows.distinct("sensor", due_files(self.windows, overall, scope)))
            found.update(unfinished_sensors(predictions))
            found.update(settings_of_parts(predictions) if overall.version < 0 else ())
            if self.domain.has_off:
                found = {*found, *self._touched_by(found)}
        return sorted(found, key=str.encode)

    def _touched_by(self, sensors: set[str]) -> Iterator[str]:
        """Yield the sensors that are not judged while one of these shows that a machine is off."""
        for sensor in self.windows.distinct("sensor"):
            if any(one.sensor in sensors for one in self.domain.off_conditions(sensor)):
                yield sensor

    def _touched(self, marks: Mapping[str, Mark]) -> dict[str, Touched]:
        """Return, of each sensor, the windows whose machine may be on or off other than they were scored."""
        found = {}
        for sensor, mark in marks.items() if self.domain.has_off else ():
            others = {one.sensor for one in self.domain.off_conditions(sensor)} - {sensor}
            if others and mark.version >= 0 and self.scope.is_timely:
                due = DueWindows(self.windows, dict.fromkeys(others, mark), self.scope)
                if (touched := Touched.of(due)) is not None:
                    found[sensor] = touched
        return found

    def _is_other(self, mark: Mark) -> bool:
        """Whether windows may be gone: they were made anew, or aggregated with other settings than before."""
        return mark.settings not in (0, self._settings)

    def _has_gained(self, sensor: str, mark: Mark) -> bool:
        """Whether windows lacked a model, and there are other models now."""
        return bool(mark.lacking) and self.champions.number(sensor) not in (None, mark.lacking)

    def _skip_those_that_fail_again(self) -> None:
        """Note the sensors whose models still cannot be read; their windows need not be read either."""
        for sensor, mark in self._before.items():
            if mark.failed:
                try:
                    self.champions.open(sensor)
                except InputError as error:
                    self.failed[sensor] = str(error)

    def _due_after(self, sensor: str) -> Mark:
        mark = self._before[sensor]
        if not self.scope.is_timely or sensor in self.renewed:
            return Mark()
        return mark if sensor in self._again else replace(mark, since=FOREVER)

    def _files_of_renewed(self, predictions: RowTable) -> list[DataFile]:
        """List the files whose predictions may be of windows that are gone.

        Those before the first day of windows stay: their windows may have been removed for their age.
        """
        if not self.renewed:
            return []
        first = min(file.first for file in self.windows.files()) // DAY_US * DAY_US
        return predictions.files(first, None, self.renewed)

    def _with_off(self, tables: Iterable[pa.Table], span: tuple[int, int]) -> Iterable[pa.Table]:
        if not self.domain.has_off:
            return tables
        return with_off_of_all(tables, self.windows, self.domain, span, self.scope.selection.devices)

    def _pieces(self, due: DueWindows, others: Iterable[DataFile]) -> list[tuple[int, int]]:
        """Cut the times of the due windows into pieces: of a day each where days have curves."""
        pieces = due.pieces(others)
        if self._recalibration is None or all(_day_of(start) == _day_of(end - 1) for start, end in pieces):
            return pieces
        first = self._recalibration.first_day(sorted(self._before.keys() - self.failed.keys()))
        if first is None:
            return pieces
        cut = []
        for start, end in pieces:
            days = [day for day in range(_day_of(start) + DAY_US, end, DAY_US) if day >= first]
            cut += list(pairwise([start, *days, end]))
        return cut

    def _curves(self, due: DueWindows, start: int, end: int, is_last: bool) -> DayCurves | None:
        """Return the curves of a piece; None where windows are scored with those of their models."""
        self._is_noted = not is_last
        if self._recalibration is None or _day_of(start) != _day_of(end - 1):
            return None
        sensors = self._before.keys() - self.failed.keys()
        return self._recalibration.curves(_day_of(start), sensors, partial(due.series, start, end))

    def _scored(
        self, tables: Iterable[pa.Table], stored: Upsert, curves: DayCurves | None
    ) -> Iterator[pa.Table]:
        known = set(self.modelled)
        for part in score_ranges(tables, self.champions, stored, self.scope.rescore, curves, self.domain):
            self.outcome.add(part)
            self.failed |= part.failed
            for sensor, start in part.lacking.items():
                self._lacking[sensor] = min(start, self._lacking.get(sensor, FOREVER))
            for sensor, devices in part.modelled.items():
                if sensor not in known:  # every piece has all of them
                    self.modelled.setdefault(sensor, []).append(devices)
            self._note_totals(part.totals)
            if part.predictions.num_rows:
                if self._recalibration is not None and curves is not None and self._is_noted:
                    self._recalibration.note(part.predictions)
                yield part.predictions

    def _note_totals(self, rows: pa.Table) -> None:
        self.n_totals += rows.num_rows
        if self.has_many_totals:
            self.totals.clear()
        elif rows.num_rows:
            self.totals.append(rows)

    @property
    def has_many_totals(self) -> bool:
        """Whether the totals are too many to be kept; their days are to be counted."""
        return self.n_totals > _MAX_TOTALS

    def _progress(self, predictions: RowTable, before: Mark) -> dict[str, int]:
        """Return how far the run came, after the last window."""
        if not self.scope.is_standard:
            new = [sensor for sensor in sorted(self.days) if self._before[sensor].version < 0]
            return some_progress(predictions, new, self._settings)
        until = min(microseconds(self.scope.closed_at), latest_end(self.windows))
        overall, progress = None, {}
        if self.scope.is_whole:
            overall = self._advanced(before, until, bool(self.days))
            progress = mark_progress(predictions, self.windows, overall)
        for sensor, mark in self._before.items():
            if sensor in self.failed:
                after = replace(mark, failed=1)
            else:
                after = self._advanced(mark, until, sensor in self.days)
                after = replace(after, **self._left(sensor, mark, is_late=until < mark.until), failed=0)
            part = self.scope.part or ""
            progress |= mark_progress(predictions, self.windows, after, sensor, part, overall)
        return progress

    def _advanced(self, mark: Mark, until: int, has_windows: bool) -> Mark:
        """Return how far a run came that considered all closed windows that were due."""
        if until < mark.until:
            return mark
        if not has_windows:
            # So a run without news commits nothing.
            return replace(mark, settings=self._settings) if self._is_other(mark) else mark
        return replace(mark, version=self.windows.version, until=until, settings=self._settings)

    def _left(self, sensor: str, mark: Mark, is_late: bool) -> dict[str, int]:
        """Return the fields ``lacking`` and ``since`` of a sensor's mark."""
        since = self._lacking.get(sensor, FOREVER)
        if mark.lacking and (is_late or sensor not in self._again):
            since = min(since, mark.since)
            if is_late:
                return {"lacking": mark.lacking, "since": since}
        if since == FOREVER:
            return {"lacking": 0, "since": FOREVER}
        return {"lacking": self.champions.number(sensor) or mark.lacking, "since": since}

    def _note_lost(self, rows: pa.Table) -> None:
        self.lost.append(days_of_series(rows))


def _day_of(time: int) -> int:
    """Return midnight of a time, microseconds since the epoch."""
    return time // DAY_US * DAY_US


def days_of_series(rows: pa.Table) -> pa.Table:
    """Return the distinct sensors, devices and days (UTC, midnight) of windows."""
    day = np.floor_divide(to_numpy(rows["window_start"]), DAY_US) * DAY_US
    columns = [rows["sensor"], rows["device"], to_arrow(day).view(TIMESTAMP)]
    table = pa.table(columns, list(SERIES_DAY))
    return table.group_by(list(SERIES_DAY), use_threads=False).aggregate([])
