"""Choose the scored windows that a recalibration learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import are, codes, empty_table, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.intervals import Timeline, overlapping
from batch_scoring.tables.schemas import FEEDBACK, PREDICTIONS, TRUE_EVENT

SERIES = ("sensor", "device")
KEY = (*SERIES, "model_version")
# The columns of predictions that are read.
LESSONS = pa.schema(
    [
        PREDICTIONS.field(name)
        for name in (*SERIES, "window_start", "window_end", "is_anomaly", "evidence", "model_version")
    ]
)
_TIMES = ("window_start", "window_end")
_NUMBERS = (*_TIMES, "is_anomaly", "evidence")
# The same with the number of a learner in place of texts: millions are compared.
NUMBERED = pa.schema([pa.field("series", pa.int64()), *(LESSONS.field(name) for name in _NUMBERS)])
# Anomalous windows no farther apart are one incident, microseconds; or this many windows.
_SAME_US, _SAME_WINDOWS = HOUR_US, 2
_NEVER = 2**62


@dataclass(frozen=True)
class Excluded:
    """What nobody should take for normal.

    Attributes
    ----------
    feedback : pyarrow.Table
        Schema FEEDBACK; what a person called a true event is not learned.
    calendar : Calendar
        Nor is what lies in its times.
    """

    feedback: pa.Table = field(default_factory=lambda: empty_table(FEEDBACK))
    calendar: Calendar = field(default_factory=Calendar)


@dataclass(frozen=True)
class Learners:
    """The m series that learn.

    Attributes
    ----------
    series : pyarrow.Table
        Sensor, device and model version of each, in this order; sorted by sensor and device.
    first : array of shape (m,), int64
        Windows that start from then on count, microseconds since the epoch.
    n : array of shape (m,), int64
        Most windows of each.
    n_incident : array of shape (m,), int64
        Most windows of one incident.
    """

    series: pa.Table
    first: Int
    n: Int
    n_incident: Int
    _known: dict[Sequence[str], tuple[UInt, Int]] = field(default_factory=dict)

    def find(self, rows: pa.Table, key: Sequence[str] = SERIES) -> Int:
        """Return the number of each row's series, shape (n,); -1 for others."""
        if key not in self._known:
            numbers = row_fingerprints(self.series, key)
            order = np.argsort(numbers)
            self._known[key] = numbers[order], order
        known, order = self._known[key]
        if not rows.num_rows or not known.size:
            return np.full(rows.num_rows, -1)
        keys = row_fingerprints(rows, key)
        place = np.minimum(np.searchsorted(known, keys), known.size - 1)
        return np.where(known[place] == keys, order[place], -1)

    def numbered(self, rows: pa.Table, before: int) -> pa.Table:
        """Keep the windows that count; schema NUMBERED, in the order of the rows.

        Fast where the rows of a series are adjacent, and texts are dictionaries.

        Parameters
        ----------
        rows : pyarrow.Table
            Schema LESSONS.
        before : int
            Windows that start earlier count, microseconds since the epoch.
        """
        begins = np.zeros(rows.num_rows, bool)
        begins[:1] = True
        for name in KEY:
            begins[1:] |= np.diff(codes(rows[name])) != 0
        series = self.find(rows.select(KEY).filter(to_arrow(begins)), KEY)[np.cumsum(begins) - 1]
        start = to_numpy(rows["window_start"])
        counts = (series >= 0) & (start >= np.append(self.first, 0)[series]) & (start < before)
        columns = [to_arrow(series), *(rows[name] for name in _NUMBERS)]
        return pa.Table.from_arrays(columns, schema=NUMBERED).filter(to_arrow(counts))


def lessons(rows: pa.Table, learners: Learners, excluded: Excluded) -> tuple[Int, Int]:
    """Choose the last windows of each series.

    A window that a person called a true event, or that the calendar leaves out, is no lesson. Of an incident
    only the first windows are, and as many as the budget allows: a fault that lasts must not become normal
    by lasting, nor by some of its windows not being anomalous.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema NUMBERED, in any order; of two rows of a window the later one counts.
    learners : Learners
    excluded : Excluded

    Returns
    -------
    row, series : arrays of shape (n,), int64
        Rows by series and start, and the series of each.
    """
    series, start = to_numpy(rows["series"]), to_numpy(rows["window_start"])
    since = start - start.min(initial=_NEVER)
    place, n_times = series - series.min(initial=_NEVER), int(since.max(initial=0)) + 1
    if (int(place.max(initial=0)) + 1) * n_times <= _NEVER:
        # The parts of the rows are in order: to sort them by one number is to merge them.
        order = np.argsort(place * n_times + since, kind="stable")
    else:  # few of millions of series
        order = np.lexsort((start, series))
    is_last = (np.diff(series[order]) != 0) | (np.diff(start[order]) != 0)
    order = order[np.append(is_last, True)[: order.size]]
    windows, series = rows.take(to_arrow(order)), series[order]
    left_out = np.zeros(order.size, bool)
    if excluded.calendar.entries:
        named = learners.series.take(to_arrow(series))
        for name in _TIMES:
            named = named.append_column(name, windows[name])
        left_out = excluded.calendar.mask(named)
    flagged = to_numpy(windows["is_anomaly"]) & ~left_out
    timeline = Timeline(series, *(to_numpy(windows[name]) for name in _TIMES))
    kept = _is_within(timeline, flagged, learners.n_incident)
    kept &= ~left_out & ~_are_confirmed(timeline, learners, excluded.feedback)
    kept &= np.isfinite(to_numpy(windows["evidence"], null=np.nan))
    order, series = order[kept], series[kept]
    ends = np.cumsum(np.bincount(series, minlength=learners.n.size))
    is_new = ends[series] - np.arange(series.size) <= learners.n[series]
    return order[is_new], series[is_new]


def _is_within(windows: Timeline, flagged: Bool, n_incident: Int) -> Bool:
    """Mark the windows outside incidents, and the first ones of each, shape (n,)."""
    rows = np.flatnonzero(flagged)
    if not rows.size:
        return np.ones(flagged.size, bool)
    length = windows.end[rows] - windows.start[rows]
    gap = windows.start[rows[1:]] - windows.end[rows[:-1]]
    reach = np.maximum(_SAME_WINDOWS * length[1:], _SAME_US)
    begins = np.ones(rows.size, bool)
    begins[1:] = (np.diff(windows.series[rows]) != 0) | (gap > reach)
    first, last = rows[begins], rows[np.append(begins[1:], True)]
    row = np.arange(flagged.size)
    own = np.searchsorted(first, row, side="right") - 1  # the last incident that has begun
    is_inside = (own >= 0) & (row <= last[own])
    return ~is_inside | (row - first[own] < n_incident[windows.series])


def _are_confirmed(windows: Timeline, learners: Learners, feedback: pa.Table) -> Bool:
    """Mark the windows that overlap what a person called a true event, shape (n,)."""
    events = feedback.filter(to_arrow(are(feedback["verdict"], TRUE_EVENT)))
    if not events.num_rows:
        return np.zeros(windows.start.size, bool)
    spans = overlapping(windows, learners.find(events), to_numpy(events["start"]), to_numpy(events["end"]))
    return spans.cover(windows.start.size)
