"""Choose the scored windows that a recalibration learns from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.intervals import Timeline, overlapping
from batch_scoring.tables.schemas import FEEDBACK, PREDICTIONS, TRUE_EVENT

SERIES = ("sensor", "device")
# The columns of predictions that are read.
LESSONS = pa.schema(
    [
        PREDICTIONS.field(name)
        for name in (*SERIES, "window_start", "window_end", "is_anomaly", "evidence", "model_version")
    ]
)
# Anomalous windows no farther apart are one incident, microseconds; or this many windows.
_SAME_US, _SAME_WINDOWS = HOUR_US, 2


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
    keys : array of shape (m,), uint64
        Fingerprints of sensor and device, ascending.
    first : array of shape (m,), int64
        Windows that start from then on count, microseconds since the epoch.
    n : array of shape (m,), int64
        Most windows of each.
    n_incident : array of shape (m,), int64
        Most windows of one incident.
    """

    keys: UInt
    first: Int
    n: Int
    n_incident: Int

    def find(self, rows: pa.Table) -> Int:
        """Return the series of each row, shape (n,); -1 for others."""
        if not rows.num_rows or not self.keys.size:
            return np.full(rows.num_rows, -1)
        keys = row_fingerprints(rows, SERIES)
        place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[place] == keys, place, -1)


def lessons(rows: pa.Table, learners: Learners, before: int, excluded: Excluded) -> tuple[Int, Int]:
    """Choose the last windows of each series.

    A window that a person called a true event, or that the calendar leaves out, is no lesson. Of an incident
    only the first windows are, and as many as the budget allows: a fault that lasts must not become normal
    by lasting, nor by some of its windows not being anomalous.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema LESSONS, in any order; of two rows of a window the later one counts.
    learners : Learners
    before : int
        Windows that start earlier count, microseconds since the epoch.
    excluded : Excluded

    Returns
    -------
    row, series : arrays of shape (n,), int64
        Rows by series and start, and the series of each.
    """
    start, series = to_numpy(rows["window_start"]), learners.find(rows)
    first = np.append(learners.first, 0)[series]
    order = np.flatnonzero((series >= 0) & (start >= first) & (start < before))
    order = order[np.lexsort((order, start[order], series[order]))]
    is_last = np.ones(order.size, bool)
    is_last[:-1] = (np.diff(series[order]) != 0) | (np.diff(start[order]) != 0)
    order = order[is_last]
    windows, series = rows.take(to_arrow(order)), series[order]
    left_out = excluded.calendar.mask(windows)
    flagged = to_numpy(windows["is_anomaly"]) & ~left_out
    timeline = Timeline(series, to_numpy(windows["window_start"]), to_numpy(windows["window_end"]))
    kept = _is_within(timeline, flagged, learners.n_incident)
    kept &= ~left_out & ~_are_confirmed(timeline, learners, excluded.feedback)
    kept &= np.isfinite(to_numpy(windows["evidence"], null=np.nan))
    order, series = order[kept], series[kept]
    ends = np.cumsum(np.bincount(series, minlength=learners.keys.size))
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
