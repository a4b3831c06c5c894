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
from batch_scoring.tables.intervals import Spans, Timeline, overlapping
from batch_scoring.tables.schemas import FEEDBACK, PREDICTIONS, TIMESTAMP, TRUE_EVENT

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
_NONE = np.zeros(0, np.int64)


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
            number = codes(rows[name])
            begins[1:] |= number[1:] != number[:-1]
        first = np.flatnonzero(begins)
        found = self.find(rows.select(KEY).take(to_arrow(first)), KEY)
        series = np.repeat(found, np.diff(first, append=rows.num_rows))
        start = to_numpy(rows["window_start"])
        counts = (series >= 0) & (start >= np.append(self.first, 0)[series]) & (start < before)
        columns = [to_arrow(series), *(rows[name] for name in _NUMBERS)]
        found = pa.Table.from_arrays(columns, schema=NUMBERED)
        return found if counts.all() else found.filter(to_arrow(counts))


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
    series, start = series[order], start[order]
    is_last = np.append((series[1:] != series[:-1]) | (start[1:] != start[:-1]), True)[: order.size]
    if not is_last.all():
        order, series, start = order[is_last], series[is_last], start[is_last]
    end, flagged = (to_numpy(rows[name])[order] for name in ("window_end", "is_anomaly"))
    windows = Timeline(series, start, end)
    kept = np.isfinite(to_numpy(rows["evidence"], null=np.nan))[order]
    if excluded.calendar.entries:
        named = learners.series.take(to_arrow(series))
        for name, times in zip(_TIMES, (start, end), strict=True):
            named = named.append_column(name, to_arrow(times).cast(TIMESTAMP))
        left_out = excluded.calendar.mask(named)
        kept &= ~left_out
        flagged = flagged & ~left_out
    for spans in (_too_long(windows, flagged, learners), _confirmed(windows, learners, excluded.feedback)):
        if spans.size.any():
            kept &= ~spans.cover(kept.size)
    if not kept.all():
        order, series = order[kept], series[kept]
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    counts, n = np.diff(begins, append=series.size), learners.n[series[begins]]
    if (counts <= n).all():
        return order, series
    is_new = np.repeat(begins + counts, counts) - np.arange(series.size) <= np.repeat(n, counts)
    return order[is_new], series[is_new]


def _too_long(windows: Timeline, flagged: Bool, learners: Learners) -> Spans:
    """Return the windows of each incident after the first ones."""
    rows = np.flatnonzero(flagged)
    length = windows.end[rows] - windows.start[rows]
    gap = windows.start[rows[1:]] - windows.end[rows[:-1]]
    reach = np.maximum(_SAME_WINDOWS * length[1:], _SAME_US)
    begins = np.ones(rows.size, bool)
    begins[1:] = (np.diff(windows.series[rows]) != 0) | (gap > reach)
    first, stop = rows[begins], rows[np.append(begins[1:], True)[: rows.size]] + 1
    taught = first + learners.n_incident[windows.series[first]]
    return Spans(np.minimum(taught, stop), stop)


def _confirmed(windows: Timeline, learners: Learners, feedback: pa.Table) -> Spans:
    """Return the windows that overlap what a person called a true event."""
    events = feedback.filter(to_arrow(are(feedback["verdict"], TRUE_EVENT)))
    if not events.num_rows:
        return Spans(_NONE, _NONE)
    return overlapping(windows, learners.find(events), to_numpy(events["start"]), to_numpy(events["end"]))
