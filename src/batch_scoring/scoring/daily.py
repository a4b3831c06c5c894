"""Keep the daily totals of the predictions: add what a run brings, count anew what else may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.core.ids import from_path_segment
from batch_scoring.core.moments import DAY_US
from batch_scoring.scoring.day_totals import Basis, DayTotals, Recounted
from batch_scoring.scoring.marks import windows_scored
from batch_scoring.scoring.run import EPOCH_DAY, SCORES, ScoreRun
from batch_scoring.scoring.scope import path_of
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import Commit, are_apart
from batch_scoring.storage.upsert import rows_without
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.pieces import joined_by_month
from batch_scoring.tables.schemas import DAILY, DAILY_KEY

# The name under which the totals record which version of the predictions they are of.
ADD_UP = "predictions"


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
        self.recounted = Recounted()
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

    def change(self) -> Change | None:
        found = {day for days in self.run.days.values() for day in days}
        days = sorted({*found, *self.recounted.days, *self.new, *self.lost})
        if not (days or self.is_news):
            return None
        replaced: dict[str, tuple[DataFile, Bool]] = {}
        basis = Basis(
            self.run, self.totals, self.predictions, self.windows, self.recounted, self.new, self.lost
        )

        is_sparse = has_sparse_days(len(days), max(self.run.n_totals, self.totals.num_rows))

        def parts() -> Iterator[tuple[int, Iterable[pa.Table]]]:
            for day in days:
                one = DayTotals(basis, day)
                rows = one.rows()
                if rows is not None:
                    yield day * DAY_US, rows
                    for file, mask in one.replaced:
                        known = replaced.get(file.name)
                        replaced[file.name] = (file, mask if known is None else mask | known[1])

        def rewritten() -> Iterator[tuple[DataFile, Iterable[pa.Table]]]:
            for file, mask in replaced.values():
                yield file, () if mask.all() else rows_without(self.totals, file, mask)

        return Change(
            DAILY,
            joined_by_month(parts(), DAILY_KEY) if is_sparse else (rows for _, rows in parts()),
            self._progress(),
            guard=self.scope.claims(ADD_UP),
            rewritten=rewritten,
            by_month=is_sparse,
        )

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


def _days(file: DataFile) -> range:
    return range(file.first // DAY_US, file.last // DAY_US + 1)
