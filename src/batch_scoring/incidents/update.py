"""Carry on open and forming incidents; join a series anew from where its windows have changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules, join_windows
from batch_scoring.incidents.level_reading import read_around, read_between, read_levels
from batch_scoring.incidents.levels import VALUES
from batch_scoring.incidents.lone_steps import mark_steps, may_step
from batch_scoring.incidents.shifts import SHIFT_US, find_pairs, join_pairs
from batch_scoring.incidents.start import (
    LONG_AGO,
    UNTIL,
    Start,
    oldest_kept,
    start_anew,
    start_further,
    stored_incidents,
)
from batch_scoring.incidents.steps import may_be_of_unit, units_of
from batch_scoring.incidents.unusual_hours import mark_unusual, may_be_alone
from batch_scoring.plant.off import STEP as STEP_FEATURE
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.file_chains import file_chains
from batch_scoring.storage.row_changes import changes_since
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.small_files import SmallFiles
from batch_scoring.tables.arrow_arrays import are, constant, empty_table, to_arrow, to_numpy, with_values
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import day_pieces
from batch_scoring.tables.schemas import INCIDENTS, JUDGED, OF_LEVEL, OF_PEAK, PREDICTIONS

logger = logging.getLogger(__name__)

# Raise it when the same predictions shall give other incidents.
VERSION = 10
STEP, RULES = "incidents", "incidents.rules"

_WINDOWS = pa.schema([PREDICTIONS.field(name) for name in JUDGED])
_SERIES = ("sensor", "device")
_BY_SERIES = [("sensor", "ascending"), ("device", "ascending")]
_NOTHING, _NO_WINDOWS = empty_table(INCIDENTS), empty_table(_WINDOWS)
# As it was before young models were marked, and before there were limits, shifts, unusual hours, steps and
# levels: what each version added, the newest first.
_ADDED = (
    OF_LEVEL,
    ("step", "unit", *OF_PEAK),
    *((name,) for name in ("among_rare", "shift", "beyond_limits", "warming_up")),
)
_NEWER = tuple(name for names in _ADDED for name in names)
_FORMER = [
    pa.schema([field for field in INCIDENTS if field.name not in sum(_ADDED[:n], ())])
    for n in range(1, len(_ADDED) + 1)
]
NO_CALENDAR = Calendar()


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
        start = start_anew(predictions, incidents)
    else:
        start = start_further(predictions, incidents, changes, rules)
    found = _over_before(oldest_kept(predictions), start.carried, _join(predictions, start, rules, calendar))
    found, parts = _with_shifts(found, start.replaced, incidents, predictions, rules)
    found = _with_units(_with_marks(found, predictions, rules, calendar), predictions)
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


def _join(predictions: RowTable, start: Start, rules: JoinRules, calendar: Calendar) -> pa.Table:
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
        earlier = stored_incidents(incidents, np.unique(row_fingerprints(closed, _SERIES)), since)
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


def _with_marks(found: pa.Table, predictions: RowTable, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Mark the short incidents that lie in the midst of rare windows, and those in which the level steps."""
    marks = [(may_be_alone, mark_unusual)]
    if rules.cool_down_us:  # without it nothing after an incident was seen
        marks.append((may_step, mark_steps))
    is_short = np.any([may_be(found) for may_be, _ in marks], 0)
    if not is_short.any():
        return found
    windows = read_around(predictions, found.filter(to_arrow(is_short)).combine_chunks(), rules)
    for may_be, mark in marks:
        is_one = may_be(found)
        some = found.filter(to_arrow(is_one)).combine_chunks()
        found = pa.concat_tables([mark(some, windows, rules, calendar), found.filter(to_arrow(~is_one))])
    return found


def _with_units(found: pa.Table, predictions: RowTable) -> pa.Table:
    """Name the change of unit that closed incidents look like."""
    is_one = may_be_of_unit(found) & to_numpy(found["unit"].is_null())
    if not is_one.any():
        return found
    some = found.filter(to_arrow(is_one)).combine_chunks()
    start, end = to_numpy(some["start"]), to_numpy(some["end"])
    last = np.minimum(end + HOUR_US, start + DAY_US)
    # What is not there a day before shows no unit.
    windows = read_levels(predictions, some, start - DAY_US, last, (), VALUES, (DAY_US,)).combine_chunks()
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
    predictions: RowTable, files: Sequence[DataFile], start: Start, begin: int, end: int
) -> Iterator[pa.Table]:
    """Read what matters of the windows in ``[begin, end)``: anomalies, and the last window of a series."""
    for file in files:
        for rows in predictions.batches(file, _judged_columns(predictions), encoded=_SERIES):
            time = to_numpy(rows["window_start"])
            due = rows.filter(to_arrow((time >= begin) & (time < end) & start.has(rows)))
            series = row_fingerprints(due, _SERIES)
            is_last = np.append(series[1:] != series[:-1], True)[: series.size]
            due = due.filter(to_arrow(is_last | to_numpy(due["is_anomaly"])))
            due = due.cast(pa.schema([_WINDOWS.field(name) for name in due.column_names]))
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
    # A text in place of the array would import pandas.
    closed = constant("closed", found.num_rows)
    state = pc.if_else(to_arrow(np.isin(row_fingerprints(found, same), over)), closed, found["state"])
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
    return max((file.last for file in predictions.files()), default=LONG_AGO)
