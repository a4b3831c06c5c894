"""Tell a step to another level from a wild reading, which leaves the level as it was.

Of a drift that ends, or of a level shift, often only the step back to normal is anomalous: a window or two.
The hour before it and the hour after it show it, held against the same time a week or a day before. A machine
that comes to a level of its training was switched.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.levels import Levels, seen_after
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import are, to_arrow, to_numpy, with_values
from batch_scoring.tables.fingerprints import row_fingerprints

_SERIES = ("sensor", "device")
# The levels before and after are this many times further apart than their windows spread, both together.
_APART = 4.0
# Differences of this share of a value are those of its last digits.
_ROUNDING = 1e-9
# Windows of an hour that show a level.
_LEAST = 3


def may_step(incidents: pa.Table) -> Bool:
    """Mark closed incidents shorter than an hour that are neither a shift nor marked already, shape (n,)."""
    length = to_numpy(incidents["end"]) - to_numpy(incidents["start"])
    is_known = np.isfinite(to_numpy(incidents["shift"], null=np.nan)) | are_steps(incidents)
    found: Bool = are(incidents["state"], "closed") & (length < HOUR_US) & ~is_known
    return found


def mark_steps(incidents: pa.Table, windows: pa.Table, rules: JoinRules, calendar: Calendar) -> pa.Table:
    """Find the incidents in which the level steps to another one, column ``step``.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, closed and shorter than an hour.
    windows : pyarrow.Table
        Schema LEVELS, the predictions of the hours before and after, and of these by each lag before.
    rules : JoinRules
        The hour after an incident ends where a later window would no longer extend it: it has been seen.
    calendar : Calendar
        Windows in its times do not count.

    Returns
    -------
    pyarrow.Table
        Schema INCIDENTS, in the same order.
    """
    levels = Levels(windows.filter(to_arrow(~calendar.mask(windows))))
    begin, end = (to_numpy(incidents[name]).tolist() for name in ("start", "end"))
    rows = zip(row_fingerprints(incidents, _SERIES), begin, end, strict=True)
    found = [_step(levels, *row, seen_after(rules)) for row in rows]
    return with_values(incidents, "step", found)


def are_steps(incidents: pa.Table) -> Bool:
    """Mark the incidents in which the level steps, shape (n,)."""
    found: Bool = np.isfinite(to_numpy(incidents["step"], null=np.nan))
    return found


def _step(levels: Levels, key: int, begin: int, end: int, after: int) -> float | None:
    """Return by how much the level steps in ``[begin, end)``; None where it stays, or is not known."""
    mine = levels.series(key)
    start = levels.start[mine]
    if levels.is_turn[mine][(start <= end) & (start + levels.length[mine] >= begin)].any():
        return None
    is_before, is_after = (start >= begin - HOUR_US) & (start < begin), (start >= end) & (start < end + after)
    for away in levels.away(mine, begin):
        before, then = (away[some & np.isfinite(away)] for some in (is_before, is_after))
        if min(before.size, then.size) >= _LEAST:
            step = float(np.median(then) - np.median(before))
            spread = max(before.std() + then.std(), _ROUNDING * np.abs(levels.value[mine]).max())
            return step if abs(step) > _APART * spread else None
    return None
