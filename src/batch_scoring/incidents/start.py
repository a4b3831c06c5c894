"""Find where the joining of windows starts: after the newest, and in some series where they have changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.lone_steps import are_steps
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_changes import RowChanges
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import INCIDENTS, WINDOW_KEY

# The progress of the incidents that states the newest window they were joined from.
UNTIL = "incidents.until"
LONG_AGO = -(2**62)

_TIMES = (*WINDOW_KEY, "window_end")
_SERIES = ("sensor", "device")
_NOTHING = empty_table(INCIDENTS)
_NEVER = 2**62


@dataclass(frozen=True)
class Start:
    """Where the joining starts.

    Attributes
    ----------
    first : int
        Windows from then on are joined, microseconds since the epoch.
    series : array of shape (m,), uint64
        Fingerprints of the series that start elsewhere, sorted.
    cuts : array of shape (m,), int64
        When each of them starts.
    carried : pyarrow.Table
        Schema INCIDENTS: at most one row a series, which its windows may extend.
    replaced : pyarrow.Table
        Schema INCIDENTS: the stored rows that are found again, or no more.
    """

    first: int
    series: UInt
    cuts: Int
    carried: pa.Table
    replaced: pa.Table

    def has(self, windows: pa.Table) -> Bool:
        """Mark the windows to join, shape (n,)."""
        place, is_other = _look_up(windows, self.series)
        first = np.where(is_other, np.append(self.cuts, 0)[place], self.first)
        is_due: Bool = to_numpy(windows["window_start"]) >= first
        return is_due


def start_anew(predictions: RowTable, incidents: RowTable) -> Start:
    """Start at the first prediction."""
    kept_from = oldest_kept(predictions)
    files = incidents.files() if incidents.schema == INCIDENTS else []
    stored = pa.concat_tables([_NOTHING, *(rows for file in files for rows in incidents.batches(file))])
    is_older = to_numpy(stored["start"]) < kept_from
    older = stored.filter(to_arrow(is_older))
    series = np.unique(row_fingerprints(older, _SERIES))
    changed = _Changed(series, np.full(series.size, kept_from), np.ones(series.size, bool))
    start = changed.start(older, kept_from, kept_from)
    return replace(start, replaced=pa.concat_tables([stored.filter(to_arrow(~is_older)), start.replaced]))


def start_further(predictions: RowTable, incidents: RowTable, changes: RowChanges, rules: JoinRules) -> Start:
    """Start where the predictions ended the last time, and in some series where they have changed."""
    until = incidents.progress(UNTIL) or LONG_AGO
    late = pa.concat_tables(
        [
            changes.gained.select(_TIMES),
            changes.lost.select(_TIMES),
            *_times(predictions, changes.files, until),
        ]
    )
    late = late.filter(to_arrow(to_numpy(late["window_start"]) <= until))
    length = int((to_numpy(late["window_end"]) - to_numpy(late["window_start"])).max(initial=0))
    gap = rules.tolerated_gap * length
    keys, gained, lost = (row_fingerprints(rows, WINDOW_KEY) for rows in (late, changes.gained, changes.lost))
    # A run that is no incident yet is not longer.
    run = (rules.min_windows - 1) * (gap + length)
    changed = _Changed.of(late, np.isin(keys, lost) & ~np.isin(keys, gained), run)
    ended = int(changed.first.min(initial=_NEVER)) - max(gap, rules.cool_down_us)
    stored = stored_incidents(incidents, changed.series, LONG_AGO if changed.has_lost.any() else ended)
    return changed.start(stored, until + 1, oldest_kept(predictions))


@dataclass(frozen=True)
class _Changed:
    """The series whose windows have changed.

    Attributes
    ----------
    series : array of shape (m,), uint64
        Their fingerprints, sorted.
    first : array of shape (m,), int64
        When the first change of each is, or earlier, when a run may begin that it is part of.
    has_lost : array of shape (m,), bool
        Whether it has lost a window.
    """

    series: UInt
    first: Int
    has_lost: Bool

    @classmethod
    def of(cls, windows: pa.Table, is_lost: Bool, run: int) -> _Changed:
        """Collect the series of some windows; before the first one, a run of this length may have begun."""
        series, place = np.unique(row_fingerprints(windows, _SERIES), return_inverse=True)
        first, has_lost = np.full(series.size, _NEVER), np.zeros(series.size, bool)
        np.minimum.at(first, place, to_numpy(windows["window_start"]))
        np.logical_or.at(has_lost, place, is_lost)
        return cls(series, first - run, has_lost)

    def start(self, stored: pa.Table, first: int, kept_from: int) -> Start:
        """Start these series where their last incident before the change lets them, others at ``first``.

        An incident that ends before the change may be extended. One that the change lies in is joined anew,
        but where it began before ``kept_from``: earlier windows were dropped. Of a series that has lost
        windows, those after the incident are read, which show whether it is over.

        Parameters
        ----------
        stored : pyarrow.Table
            Schema INCIDENTS: all that are not closed, and those of these series that the change may reach.
        """
        place, is_changed = _look_up(stored, self.series)
        begin, end = (np.append(to_numpy(stored[name]), 0) for name in ("start", "end"))
        is_before = is_changed & (begin[:-1] < np.append(self.first, 0)[place])
        rows = np.flatnonzero(is_before & ~are(stored["state"], "forming"))
        last = np.full(self.series.size, -1)
        rows = rows[np.argsort(begin[rows], kind="stable")]
        last[place[rows]] = rows
        begin_last = np.where(last < 0, self.first, begin[last])
        end_last = np.where(last < 0, self.first, end[last])

        # What follows the second step of a shift shows whether it is one, and the hour after a window
        # whether it is among rare ones.
        is_seen_later = np.isfinite(to_numpy(stored["shift"], null=np.nan))
        is_seen_later |= to_numpy(stored["among_rare"], null=False) | are_steps(stored)
        is_seen_later |= ~to_numpy(stored["unit"].is_null())
        is_inside = (end_last > self.first) | (np.append(is_seen_later, False)[last] & (last >= 0))
        is_inside &= begin_last >= kept_from
        cuts = np.where(self.has_lost, end_last, np.maximum(end_last, self.first))
        cuts = np.maximum(np.where(is_inside, begin_last, cuts), kept_from)
        may_grow = ~are(stored["state"], "closed")
        is_replaced = may_grow | (is_changed & (begin[:-1] >= np.append(begin_last, 0)[place]))
        carried = [
            stored.filter(to_arrow(may_grow & ~is_changed)),
            stored.take(to_arrow(last[(last >= 0) & ~is_inside])),
        ]
        return Start(
            first, self.series, cuts, pa.concat_tables(carried), stored.filter(to_arrow(is_replaced))
        )


def stored_incidents(incidents: RowTable, series: UInt, ended: int) -> pa.Table:
    """Read the incidents that are not closed, and those of some series that ended at a time or later."""
    found = [_NOTHING]
    for file in incidents.files():
        is_closed = file.bounds.get("state") == ("closed", "closed")
        if is_closed and (not series.size or file.bounds.get("end", (0, _NEVER))[1] < ended):
            continue
        found += [
            rows.filter(to_arrow(~are(rows["state"], "closed") | _look_up(rows, series)[1]))
            for rows in incidents.batches(file)
        ]
    return pa.concat_tables(found).combine_chunks()


def oldest_kept(predictions: RowTable) -> int:
    """Return the time before which predictions were dropped for their age."""
    return predictions.progress(RETENTION) or LONG_AGO


def _times(predictions: RowTable, files: Sequence[DataFile], until: int) -> Iterator[pa.Table]:
    """Read the first window of each series in the files that begin before a time."""
    for file in files:
        if file.first <= until:
            for rows in predictions.batches(file, _TIMES):
                series = row_fingerprints(rows, _SERIES)
                is_first = np.append(True, series[1:] != series[:-1])[: series.size]
                yield rows.select(_TIMES).filter(to_arrow(is_first))


def _look_up(rows: pa.Table, series: UInt) -> tuple[Int, Bool]:
    """Return each row's place among sorted fingerprints of series, or -1, and which rows are of one."""
    if not series.size:
        return np.full(rows.num_rows, -1), np.zeros(rows.num_rows, bool)
    keys = row_fingerprints(rows, _SERIES)
    place = np.minimum(np.searchsorted(series, keys), series.size - 1)
    is_one = series[place] == keys
    return np.where(is_one, place, -1), is_one
