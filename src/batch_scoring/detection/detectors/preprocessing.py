"""Difference counters and remove hour-of-day seasonality.

The kind of a series is derived from its training windows: *constant*, *counter* (always rises), or
*plain*. Hour-of-day seasonality is modelled only where it helps on held-out windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batch_scoring.tables.arrays import Bool, Float, Int

HOURS = 24
_HOUR_US = 3_600_000_000
LEVELS = ("mean", "min", "max")
KINDS = ("plain", "counter", "constant")
PLAIN, COUNTER, CONSTANT = range(3)

# A counter rises between at least nine in ten windows and practically never falls.
_RISES, _FALLS = 0.9, 0.01
# Seasonality is removed where that leaves less than this share of the deviation.
_WORTHWHILE = 0.9
# An hour observed on one day only says nothing about the time of day.
_LEAST_DAYS = 2
# An hour's level is shrunk to that of the day, with the weight of 2 windows; it needs at least 3 windows.
_SHRINKAGE, _LEAST_OF_AN_HOUR = 2.0, 3


@dataclass(frozen=True)
class Roles:
    """Columns with a special role; -1 where the features lack one.

    Attributes
    ----------
    levels : array of int64
        Features that are levels of the signal: mean, min, max.
    mean, change, diff_mean : int
    """

    levels: Int
    mean: int
    change: int
    diff_mean: int

    @classmethod
    def of(cls, features: Sequence[str]) -> Roles:
        """Find the roles among features."""
        place = {name: number for number, name in enumerate(features)}
        mean, change, diff_mean = (place.get(name, -1) for name in ("mean", "change", "diff_mean"))
        levels = [place[name] for name in LEVELS if name in place]
        return cls(np.array(levels, np.int64), mean, change, diff_mean)

    @property
    def place_of_mean(self) -> int:
        """Position of the mean among the levels."""
        return int(np.flatnonzero(self.levels == self.mean)[0])

    @property
    def has_previous_mean(self) -> bool:
        """Whether the mean of the preceding window follows from the features."""
        return self.mean >= 0 and self.diff_mean >= 0


def hour_of(time_us: Int) -> Int:
    """Compute the hour of the day, UTC, of times in microseconds since the epoch."""
    return (time_us // _HOUR_US) % HOURS


def is_counter(X: Float, roles: Roles) -> bool:
    """Whether the series only rises, or only falls, from window to window and within them.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Training windows.
    """
    if not roles.has_previous_mean or roles.change < 0:
        return False
    step, change = X[:, roles.diff_mean], X[:, roles.change]
    return any(
        np.mean(sign * step > 0) >= _RISES
        and np.mean(sign * step < 0) <= _FALLS
        and np.mean(sign * change < 0) <= _FALLS
        for sign in (1, -1)
    )


def without_count(X: Float, roles: Roles) -> tuple[Float, Bool]:
    """Difference a counter: its levels relative to the mean of the preceding window.

    Returns
    -------
    X : array of shape (n, d), float64
    is_orphan : array of shape (n,), bool
        Windows without a preceding one, whose levels are not valid.
    """
    freed = X.copy()
    freed[:, roles.levels] -= (X[:, roles.mean] - X[:, roles.diff_mean])[:, None]
    return freed, (X[:, roles.diff_mean] == 0) & (X[:, roles.change] != 0)


def hour_levels(levels: Float, hours: Int) -> Float:
    """Compute the deviation of each hour's median from the overall median.

    Parameters
    ----------
    levels : array of shape (n, L), float64
    hours : array of shape (n,), int64

    Returns
    -------
    array of shape (L, 24), float64
        Shrunk towards 0 where an hour has few windows.
    """
    counts = np.bincount(hours, minlength=HOURS)
    first = np.cumsum(counts) - counts
    low = np.minimum(first + np.maximum(counts - 1, 0) // 2, hours.size - 1)
    high = np.minimum(first + counts // 2, hours.size - 1)
    weight = np.where(counts >= _LEAST_OF_AN_HOUR, counts / (counts + _SHRINKAGE), 0.0)
    result = np.empty((levels.shape[1], HOURS))
    for number, level in enumerate(levels.T):
        ordered = level[np.lexsort((level, hours))]
        result[number] = (0.5 * (ordered[low] + ordered[high]) - np.median(level)) * weight
    return result


def follows_time_of_day(levels: Float, start_us: Int, folds: Sequence[tuple[slice, Int]]) -> Bool:
    """Mark the levels whose deviation the hour explains substantially, on held-out windows.

    Parameters
    ----------
    levels : array of shape (n, L), float64
    start_us : array of shape (n,), int64
        When the windows start, in microseconds since the epoch, rising.
    folds : sequence of (slice, array of int64)
        Held-out rows, and the rows that the hours' levels are computed from.

    Returns
    -------
    array of shape (L,), bool
        All False for less than two days.
    """
    if start_us.size == 0 or start_us[-1] - start_us[0] < _LEAST_DAYS * HOURS * _HOUR_US:
        return np.zeros(levels.shape[1], np.bool_)
    hours = hour_of(start_us)
    everything = slice(0, len(levels)), np.arange(len(levels))
    # What does not help on its own training windows does not help on others.
    if not _helps(levels, hours, [everything]).any():
        return np.zeros(levels.shape[1], np.bool_)
    return _helps(levels, hours, folds)


def _helps(levels: Float, hours: Int, folds: Sequence[tuple[slice, Int]]) -> Bool:
    left, whole = np.zeros(levels.shape[1]), np.zeros(levels.shape[1])
    for held_out, rest in folds:
        deviation = levels[held_out] - np.median(levels[rest], axis=0)
        whole += np.abs(deviation).sum(axis=0)
        of_hour = hour_levels(levels[rest], hours[rest])
        left += np.abs(deviation - of_hour[:, hours[held_out]].T).sum(axis=0)
    helps: Bool = left < _WORTHWHILE * whole
    return helps
