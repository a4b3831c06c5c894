"""How long a machine may stay at each of its levels, by the stays of its training.

A pump that never stops has usual windows throughout. What is unusual is how long it stays.
"""

from __future__ import annotations

import numpy as np

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.tables.arrays import Float, Int

# Least stays at a level, and least time trained on: a weekend is a stay, too.
_LEAST_STAYS, _LEAST_SPAN_US = 10, 7 * DAY_US
# A stay is usual up to twice the longest of training; with a long tail, up to the length that one in 50 weeks
# has, by a Pareto tail through the longest quarter.
_TIMES_LONGEST, _WEEKS, _TAIL, _LEAST_OF_TAIL = 2.0, 50, 4, 5
# None is too long that is shorter, hours.
_LEAST_HOURS = 1.0
# A stay ends with what was sent before a silence as long, and longer than a window.
_SILENCE_US = HOUR_US // 2


def usual_stays(level: Int, start_us: Int, window_us: int, n_levels: int) -> Float:
    """Compute up to how many hours a stay at each level is usual; infinite where training shows too few.

    Parameters
    ----------
    level, start_us : array of shape (n,), int64
        Of the training windows, in the order of time: the level that the machine comes to, -1 for none.
    window_us : int
    n_levels : int
    """
    turns = np.flatnonzero(level >= 0)
    span = int(start_us[-1] - start_us[0])
    hours = np.full(n_levels, np.inf)
    if span < _LEAST_SPAN_US or not turns.size:
        return hours
    before_silence = np.diff(start_us) - window_us >= max(_SILENCE_US, 2 * window_us)
    ends = np.append(start_us[:-1][before_silence], start_us[-1]) + window_us
    ends = np.sort(np.append(ends, start_us[turns]))
    stays = (ends[np.searchsorted(ends, start_us[turns], "right")] - start_us[turns]) / HOUR_US
    for one in range(n_levels):
        own = np.sort(stays[level[turns] == one])[::-1]
        if own.size >= _LEAST_STAYS:
            tail = own[: max(_LEAST_OF_TAIL, own.size // _TAIL) + 1]
            slope = np.mean(np.log(tail[:-1] / tail[-1]))
            rarer = max(_WEEKS * _LEAST_SPAN_US / span, 1.0) ** slope
            hours[one] = max(own[0] * max(_TIMES_LONGEST, rarer), _LEAST_HOURS)
    return hours
