"""Carry on open and forming incidents; join a series anew from where its windows have changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules, join_windows
from batch_scoring.incidents.level_reading import read_around, read_between, read_levels
from batch_scoring.incidents.levels import DAY_US, HOUR_US, VALUES
from batch_scoring.incidents.lone_steps import are_steps, mark_steps, may_step
from batch_scoring.incidents.shifts import SHIFT_US, find_pairs, join_pairs
from batch_scoring.incidents.steps import may_be_of_unit, units_of
from batch_scoring.incidents.unusual_hours import mark_unusual, may_be_alone, read_hours
from batch_scoring.plant.off import STEP as STEP_FEATURE
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.file_chains import file_chains
from batch_scoring.storage.row_changes import RowChanges, changes_since
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.small_files import SmallFiles
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy, with_values
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import day_pieces
from batch_scoring.tables.schemas import INCIDENTS, JUDGED, OF_PEAK, PREDICTIONS, WINDOW_KEY

logger = logging.getLogger(__name__)

# Raise it when the same predictions shall give other incidents.
VERSION = 8
STEP, RULES, UNTIL = "incidents", "incidents.rules", "incidents.until"

_WINDOWS = pa.schema([PREDICTIONS.field(name) for name in JUDGED])
_TIMES = (*WINDOW_KEY, "window_end")
_SERIES = ("sensor", "device")
_BY_SERIES = [("sensor", "ascending"), ("device", "ascending")]
_NOTHING, _NO_WINDOWS = empty_table(INCIDENTS), empty_table(_WINDOWS)
# As it was before young models were marked, and before there were limits, shifts, unusual hours and steps.
_NEWEST = ("step", "unit", *OF_PEAK)
_NEWER = (*_NEWEST, "among_rare", "shift", "beyond_limits", "warming_up")
_FORMER = [
    pa.schema([field for field in INCIDENTS if field.name not in _NEWER[:n]])
    for n in range(len(_NEWEST), len(_NEWER) + 1)
]
NO_CALENDAR = Calendar()
_LONG_AGO, _NEVER = -(2**62), 2**62


def update_incidents(
    predictions: RowTable, rules: JoinRules, incidents: RowTable, calendar: Calendar = NO_CALENDAR
) -> Change | None:
    """Return the change of the incidents since they were found last; None where nothing was scored.

    Whatever came in which order, the incidents after it are those of all predictions. Incidents of days
    whose predictions were dropped for their age stay.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    rules : JoinRules
        With other rules than the last time, all predictions are joined anew.
    incidents : RowTable
        Schema INCIDENTS.
    calendar : Calendar
        In its times no window is anomalous; with another one, all predictions are joined anew.
    """
    if incidents.schema in _FORMER:
        return Change(INCIDENTS)  # the table gains the column, and its rows stay
    seen = incidents.progress(STEP)
    predictions = predictions.not_before(seen)
    number = number_of([VERSION, asdict(rules), calendar.fingerprint, predictions.id])
    changes = None
    if incidents.schema == INCIDENTS and incidents.progress(RULES) == number:
        changes = changes_since(predictions, seen, _judged_columns(predictions))
    if not predictions.exists or (changes is not None and changes.are_none):
        return None
    if changes is None:
        start = _anew(predictions, incidents)
    else:
        start = _further(predictions, incidents, changes, rules)
    found = _over_before(_kept_from(predictions), start.carried, _join(predictions, start, rules, calendar))
    found, parts = _with_shifts(found, start.replaced, incidents, predictions, rules)
    found = _with_hours(found, predictions, rules, calendar)
    found = _with_units(_with_steps(found, predictions, rules, calendar), predictions)
    added, removed = _differences(pa.concat_tables([start.replaced, parts]), found)
    is_closed = are(added["state"], "closed")
    n_open = np.count_nonzero(are(found["state"], "open"))
    small = SmallFiles(incidents, lambda: _without(incidents, removed), [*_SERIES, "start"])
    logger.info("incidents: %s closed, %s open", f"{np.count_nonzero(is_closed):,}", f"{n_open:,}")
    return Change(
        INCIDENTS,
        # Those that may grow are in files of their own: closed ones are not written again with them.
        [[added.filter(to_arrow(is_closed))], [added.filter(to_arrow(~is_closed))], small.rows()],
        {STEP: predictions.position, RULES: number, UNTIL: _newest(predictions)},
        rewritten=small.rewritten,
        replaces_all=incidents.exists and incidents.schema != INCIDENTS,
        by_month=True,
    )


@dataclass(frozen=True)
class _Start:
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


def _anew(predictions: RowTable, incidents: RowTable) -> _Start:
    """Start at the first prediction."""
    kept_from = _kept_from(predictions)
    files = incidents.files() if incidents.schema == INCIDENTS else []
    stored = pa.concat_tables([_NOTHING, *(rows for file in files for rows in incidents.batches(file))])
    is_older = to_numpy(stored["start"]) < kept_from
    older = stored.filter(to_arrow(is_older))
    series = np.unique(row_fingerprints(older, _SERIES))
    changed = _Changed(series, np.full(series.size, kept_from), np.ones(series.size, bool))
    start = changed.start(older, kept_from, kept_from)
    return replace(start, replaced=pa.concat_tables([stored.filter(to_arrow(~is_older)), start.replaced]))


def _further(predictions: RowTable, incidents: RowTable, changes: RowChanges, rules: JoinRules) -> _Start:
    """Start where the predictions ended the last time, and in some series where they have changed."""
    until = incidents.progress(UNTIL) or _LONG_AGO
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
    stored = _stored(incidents, changed.series, _LONG_AGO if changed.has_lost.any() else ended)
    return changed.start(stored, until + 1, _kept_from(predictions))


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

    def start(self, stored: pa.Table, first: int, kept_from: int) -> _Start:
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
        return _Start(
            first, self.series, cuts, pa.concat_tables(carried), stored.filter(to_arrow(is_replaced))
        )


def _look_up(rows: pa.Table, series: UInt) -> tuple[Int, Bool]:
    """Return each row's place among sorted fingerprints of series, or -1, and which rows are of one."""
    if not series.size:
        return np.full(rows.num_rows, -1), np.zeros(rows.num_rows, bool)
    keys = row_fingerprints(rows, _SERIES)
    place = np.minimum(np.searchsorted(series, keys), series.size - 1)
    is_one = series[place] == keys
    return np.where(is_one, place, -1), is_one


def _times(predictions: RowTable, files: Sequence[DataFile], until: int) -> Iterator[pa.Table]:
    """Read the first window of each series in the files that begin before a time."""
    for file in files:
        if file.first <= until:
            for rows in predictions.batches(file, _TIMES):
                series = row_fingerprints(rows, _SERIES)
                is_first = np.append(True, series[1:] != series[:-1])[: series.size]
                yield rows.select(_TIMES).filter(to_arrow(is_first))


def _stored(incidents: RowTable, series: UInt, ended: int) -> pa.Table:
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


def _join(predictions: RowTable, start: _Start, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Join windows, some days at a time; schema INCIDENTS."""
    earliest = int(start.cuts.min(initial=start.first))
    files = predictions.files(earliest)
    carried, found = start.carried.sort_by(_BY_SERIES).combine_chunks(), [_NOTHING]
    for begin, end in day_pieces([(max(file.first, earliest), file.last, file.rows) for file in files]):
        chains = file_chains(file for file in files if file.overlaps(begin, end))
        sources = [(_WINDOWS, _due(predictions, chain, start, begin, end)) for chain in chains]
        going_on = [_NOTHING]
        for *parts, earlier in device_ranges([*sources, (INCIDENTS, [carried])], key=_SERIES):
            windows = pa.concat_tables(parts).sort_by([*_BY_SERIES, ("window_start", "ascending")])
            windows = _judged(windows.combine_chunks(), calendar)
            closed, unfinished = join_windows(windows, earlier, rules)
            found.append(closed)
            going_on.append(unfinished)
        carried = pa.concat_tables(going_on).combine_chunks()
    return pa.concat_tables([*found, carried])


def _with_shifts(
    found: pa.Table, replaced: pa.Table, incidents: RowTable, predictions: RowTable, rules: JoinRules
) -> tuple[pa.Table, pa.Table]:
    """Join pairs of opposite steps; also return the stored incidents that have become part of one."""
    is_closed = are(found["state"], "closed")
    if not is_closed.any():
        return found, _NOTHING
    closed = found.filter(to_arrow(is_closed))
    earlier = _NOTHING
    if incidents.schema == INCIDENTS:
        since = int(to_numpy(closed["start"]).min()) - SHIFT_US
        earlier = _stored(incidents, np.unique(row_fingerprints(closed, _SERIES)), since)
        before, gone = (row_fingerprints(rows, INCIDENTS.names) for rows in (earlier, replaced))
        stays = ~np.isin(before, gone)
        earlier = earlier.filter(to_arrow(stays & (to_numpy(earlier["end"]) >= since)))
    every = pa.concat_tables([earlier, closed])
    is_new = np.arange(every.num_rows) >= earlier.num_rows
    order = np.lexsort((to_numpy(every["start"]), row_fingerprints(every, _SERIES)))
    every, is_new = every.take(to_arrow(order)).combine_chunks(), is_new[order]
    pairs = find_pairs(every, is_new)
    shifts, is_part = join_pairs(every, pairs, read_between(predictions, every, pairs, rules), rules)
    rest = [every.filter(to_arrow(is_new & ~is_part)), found.filter(to_arrow(~is_closed))]
    return pa.concat_tables([shifts, *rest]), every.filter(to_arrow(is_part & ~is_new))


def _with_hours(found: pa.Table, predictions: RowTable, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Mark the short incidents that lie in the midst of rare windows."""
    is_short = may_be_alone(found)
    if not is_short.any():
        return found
    short = found.filter(to_arrow(is_short)).combine_chunks()
    marked = mark_unusual(short, read_hours(predictions, short, rules), rules, calendar)
    return pa.concat_tables([marked, found.filter(to_arrow(~is_short))])


def _with_steps(found: pa.Table, predictions: RowTable, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Find the short incidents in which the level steps; without a cool-down nothing after them was seen."""
    is_short = may_step(found)
    if not is_short.any() or not rules.cool_down_us:
        return found
    short = found.filter(to_arrow(is_short)).combine_chunks()
    marked = mark_steps(short, read_around(predictions, short, rules), rules, calendar)
    return pa.concat_tables([marked, found.filter(to_arrow(~is_short))])


def _with_units(found: pa.Table, predictions: RowTable) -> pa.Table:
    """Name the change of unit that closed incidents look like."""
    is_one = may_be_of_unit(found) & to_numpy(found["unit"].is_null())
    if not is_one.any():
        return found
    some = found.filter(to_arrow(is_one)).combine_chunks()
    start, end = to_numpy(some["start"]), to_numpy(some["end"])
    last = np.minimum(end + HOUR_US, start + DAY_US)
    windows = read_levels(predictions, some, start - DAY_US, last, (), VALUES).combine_chunks()
    named = with_values(some, "unit", units_of(some, windows))
    return pa.concat_tables([named, found.filter(to_arrow(~is_one))])


def _judged(windows: pa.Table, calendar: Calendar) -> pa.Table:
    """Unflag the windows that the calendar leaves out, and steps from one of these."""
    left_out = calendar.mask(windows)
    if calendar.entries:
        left_out |= are(windows["top_feature"], STEP_FEATURE) & calendar.mask_before(windows)
    is_anomaly = to_numpy(windows["is_anomaly"]) & ~left_out
    place = windows.schema.get_field_index("is_anomaly")
    return windows.set_column(place, windows.schema.field(place), to_arrow(is_anomaly))


def _due(
    predictions: RowTable, files: Sequence[DataFile], start: _Start, begin: int, end: int
) -> Iterator[pa.Table]:
    """Read what matters of the windows in ``[begin, end)``: anomalies, and the last window of a series."""
    for file in files:
        for rows in predictions.batches(file, _judged_columns(predictions)):
            time = to_numpy(rows["window_start"])
            due = rows.filter(to_arrow((time >= begin) & (time < end) & start.has(rows)))
            series = row_fingerprints(due, _SERIES)
            is_last = np.append(series[1:] != series[:-1], True)[: series.size]
            due = due.filter(to_arrow(is_last | to_numpy(due["is_anomaly"])))
            yield pa.concat_tables([_NO_WINDOWS, due], promote_options="default")


def _judged_columns(predictions: RowTable) -> list[str]:
    """Name the columns to read; a table that nothing was added to since an upgrade lacks the newest."""
    return [name for name in JUDGED if name in predictions.schema.names]


def _over_before(kept_from: int, carried: pa.Table, found: pa.Table) -> pa.Table:
    """Close the incidents that were closed in days dropped since: so was the window that showed it."""
    is_over = are(carried["state"], "closed") & (to_numpy(carried["end"]) < kept_from)
    if not is_over.any():
        return found
    # A null of before an upgrade is found as false or true.
    same = [name for name in INCIDENTS.names if name not in ("state", *_NEWER)]
    over = row_fingerprints(carried.filter(to_arrow(is_over)), same)
    state = pc.if_else(to_arrow(np.isin(row_fingerprints(found, same), over)), "closed", found["state"])
    return found.set_column(INCIDENTS.get_field_index("state"), INCIDENTS.field("state"), state)


def _differences(stored: pa.Table, found: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the rows to add and the rows to remove, so that the rows found replace the stored ones.

    Equal rows stay where they are; open and forming ones only if all of them do.
    """
    before, after = (row_fingerprints(rows, INCIDENTS.names) for rows in (stored, found))
    was_closed, is_closed = (are(rows["state"], "closed") for rows in (stored, found))
    all_stay = np.array_equal(np.sort(before[~was_closed]), np.sort(after[~is_closed]))
    stays = np.isin(after, before) & (is_closed | all_stay)
    stayed = np.isin(before, after) & (was_closed | all_stay)
    order = [*_BY_SERIES, ("start", "ascending")]
    return found.filter(to_arrow(~stays)).sort_by(order), stored.filter(to_arrow(~stayed))


def _without(incidents: RowTable, removed: pa.Table) -> Iterator[tuple[DataFile, list[pa.Table]]]:
    """Yield the files that lose rows, each with the rows that stay."""
    keys, start = row_fingerprints(removed, INCIDENTS.names), to_numpy(removed["start"])
    has_closed = are(removed["state"], "closed").any()
    for file in incidents.files(int(start.min()), int(start.max()) + 1) if keys.size else ():
        if not has_closed and file.bounds.get("state") == ("closed", "closed"):
            continue
        tables = list(incidents.batches(file))
        kept = [
            rows.filter(to_arrow(~np.isin(row_fingerprints(rows, INCIDENTS.names), keys))) for rows in tables
        ]
        if sum(rows.num_rows for rows in kept) < file.rows:
            yield file, kept


def _newest(predictions: RowTable) -> int:
    return max((file.last for file in predictions.files()), default=_LONG_AGO)


def _kept_from(predictions: RowTable) -> int:
    """Return the time before which predictions were dropped for their age."""
    return predictions.progress(RETENTION) or _LONG_AGO
