"""Tell a window that stands alone from one in the midst of hours that are nearly as rare.

A wild reading comes out of the blue. Of a drift, or of a level that is off, a single window may pass the
threshold, or only the step back from it, while most windows of the hour before or after lie just below.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.levels import seen_after
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, distinct, positions, to_arrow, to_numpy
from batch_scoring.tables.schemas import INCIDENTS

# More than half of the windows of an hour, of three or more, are rare: in distance and SVM one in a thousand.
_RARE, _SHARE, _LEAST = 3.0, 0.5, 3


def may_be_alone(incidents: pa.Table) -> Bool:
    """Mark closed incidents shorter than an hour that are no shift, nor marked already, shape (n,)."""
    length = to_numpy(incidents["end"]) - to_numpy(incidents["start"])
    is_shift = np.isfinite(to_numpy(incidents["shift"], null=np.nan))
    is_known = is_shift | to_numpy(incidents["among_rare"], null=False)
    found: Bool = are(incidents["state"], "closed") & (length < HOUR_US) & ~is_known
    return found


def mark_unusual(incidents: pa.Table, windows: pa.Table, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Mark the incidents among rare windows, column ``among_rare``.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, as :func:`may_be_alone` marks them.
    windows : pyarrow.Table
        Schema LEVELS, the predictions of the hours before and after, in any order; others do not count.
    rules : JoinRules
        The hour after an incident ends where a later window would no longer extend it: it has been seen.
    calendar : Calendar
        Windows in its times do not count.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS, in the same order.
    """
    evidence = to_numpy(windows["evidence"], null=np.nan)
    counts = np.isfinite(evidence) & ~calendar.mask(windows)
    windows, evidence = windows.filter(to_arrow(counts)).combine_chunks(), evidence[counts]
    begin, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    series, mine = _numbers(windows, incidents)
    start = to_numpy(windows["window_start"])
    order = np.lexsort((start, series))
    key = series[order], start[order]
    before = _ranges(key, mine, begin - HOUR_US, begin)
    # A window counts that has ended by then.
    length = int(np.median(to_numpy(windows["window_end"]) - start)) if start.size else 0
    after = _ranges(key, mine, end, end + seen_after(rules) - length + 1)
    is_rare = np.append(0, np.cumsum(evidence[order] >= _RARE))
    is_among = _are_mostly(is_rare, *before) | _are_mostly(is_rare, *after)
    place = INCIDENTS.get_field_index("among_rare")
    return incidents.set_column(place, INCIDENTS.field(place), to_arrow(is_among))


def _numbers(windows: pa.Table, incidents: pa.Table) -> tuple[Int, Int]:
    """Number the series of windows and incidents alike."""
    sensors, devices = (distinct(incidents[name]) for name in ("sensor", "device"))
    found = []
    for rows in (windows, incidents):
        sensor, device = positions(rows["sensor"], sensors), positions(rows["device"], devices)
        found.append(np.where((sensor < 0) | (device < 0), -1, sensor * len(devices) + device))
    return found[0], found[1]


def _ranges(key: tuple[Int, Int], series: Int, first: Int, until: Int) -> tuple[Int, Int]:
    """Return where the windows of each series in ``[first, until)`` begin and end, among sorted ones."""
    times = np.unique(np.concatenate([key[1], first, until]))
    sorted_keys = key[0] * times.size + np.searchsorted(times, key[1])
    low, high = (
        np.searchsorted(sorted_keys, series * times.size + np.searchsorted(times, moment))
        for moment in (first, until)
    )
    return low, np.maximum(low, high)


def _are_mostly(is_rare: Int, low: Int, high: Int) -> Bool:
    """Mark the ranges in which most windows are rare, given how many are up to each."""
    n = high - low
    found: Bool = (n >= _LEAST) & (is_rare[high] - is_rare[low] > _SHARE * n)
    return found
