"""Difference counters, remove hour-of-day seasonality and tell states from measurements.

The kind of a series is derived from its training windows: *constant*, *counter* (always rises, or has a
steady trend), or *plain*. Hour-of-day seasonality is modelled only where it helps on held-out windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batch_scoring.core.moments import HOUR_US
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.local_time import local_us
from batch_scoring.windows.features import NEVER_NEGATIVE

HOURS = 24
# The hours of a working day, followed by those of a Saturday or Sunday.
SLOTS = 2 * HOURS
_DAY_US = HOURS * HOUR_US
# 1970-01-01 was a Thursday, three days after a Monday.
_WEEKDAY_OF_EPOCH, _SATURDAY = 3, 5
LEVELS = ("mean", "min", "max")
RUN = "equal_run"
_OF_LEVEL = frozenset({"std", "range", "min", "max", "first", "last"})
KINDS = ("plain", "counter", "constant")
PLAIN, COUNTER, CONSTANT = range(3)

# A counter practically never falls, once in a hundred times that it rises. It may stand still while the
# machine does, but rises in a tenth of the windows, and in 30 of them.
_FALLS, _RISES, _LEAST_RISES = 0.01, 0.1, 30
# A trend is steady when 95 windows in 100 are within this share of its whole way from a straight line: of
# random walks one in 170 is, of the metrics of servers none.
_STEADY, _WITHIN = 0.125, 0.95
# Seasonality is removed where that leaves less than this share of the deviation.
_WORTHWHILE = 0.9
# An hour observed on one day only says nothing about the time of day.
_LEAST_DAYS = 2
# An hour's level is shrunk to that of the day, with the weight of 2 windows; it needs at least 3 windows.
_SHRINKAGE, _LEAST_OF_AN_HOUR = 2.0, 3
# A signal of so few values, or one that mostly repeats itself, is a state: it may stay for any time.
_STATES, _REPEATS = 10, 0.5


@dataclass(frozen=True)
class Roles:
    """Columns with a special role; -1 where the features lack one.

    Attributes
    ----------
    levels : array of int64
        Features that are levels of the signal: mean, min, max.
    mean, change, diff_mean : int
    low, high : int
        Lowest and highest reading, ``min`` and ``max``.
    run : int
        Length of the longest run of equal values, ``equal_run``.
    of_svm : array of int64
        Features that the one-class SVM sees: all but ``run``.
    has_floor : array of shape (d,), bool
        Features that are never below 0.
    of_level : array of shape (d,), bool
        Features that say less than the mean where all readings of a window are off.
    """

    levels: Int
    mean: int
    change: int
    diff_mean: int
    low: int
    high: int
    run: int
    of_svm: Int
    has_floor: Bool
    of_level: Bool

    @classmethod
    def of(cls, features: Sequence[str]) -> Roles:
        """Find the roles among features."""
        place = {name: number for number, name in enumerate(features)}
        mean, change, diff_mean = (place.get(name, -1) for name in ("mean", "change", "diff_mean"))
        low, high, run = (place.get(name, -1) for name in ("min", "max", RUN))
        levels = [place[name] for name in LEVELS if name in place]
        of_svm = [number for name, number in place.items() if name != RUN]
        has_floor, of_level = (
            np.array([name in names for name in features], np.bool_) for names in (NEVER_NEGATIVE, _OF_LEVEL)
        )
        named = (np.array(levels, np.int64), mean, change, diff_mean, low, high, run)
        return cls(*named, np.array(of_svm, np.int64), has_floor, of_level)

    @property
    def place_of_mean(self) -> int:
        """Position of the mean among the levels."""
        return int(np.flatnonzero(self.levels == self.mean)[0])

    @property
    def has_previous_mean(self) -> bool:
        """Whether the mean of the preceding window follows from the features."""
        return self.mean >= 0 and self.diff_mean >= 0

    @property
    def shows_levels(self) -> bool:
        """Whether the features tell a window at a level from one that changes between two."""
        return self.has_previous_mean and min(self.change, self.low, self.high) >= 0


def slot_of(time_us: Int, zone: str = "UTC") -> Int:
    """Compute the hour of the day, plus 24 on Saturdays and Sundays, as clocks in a time zone show it.

    Parameters
    ----------
    time_us : array of shape (n,), int64
        Microseconds since the epoch, UTC.
    zone : str
        IANA name.

    Examples
    --------
    >>> saturday = np.array([1_767_999_600_000_000])  # 2026-01-09T23:00Z
    >>> slot_of(saturday).tolist(), slot_of(saturday, "Europe/Berlin").tolist()
    ([23], [24])
    """
    local = local_us(time_us, zone)
    is_weekend = (local // _DAY_US + _WEEKDAY_OF_EPOCH) % 7 >= _SATURDAY
    slot: Int = (local // HOUR_US) % HOURS + HOURS * is_weekend
    return slot


def is_state(X: Float, roles: Roles) -> bool:
    """Whether a series takes a few values only, or mostly repeats itself; then it may stay as it is.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Training windows, with ``equal_run``.
    """
    if roles.has_previous_mean and np.mean(np.diff(X[:, roles.mean]) == 0) >= _REPEATS:
        return True
    extremes = roles.levels[roles.levels != roles.mean]
    return bool(extremes.size) and np.unique(X[:, extremes]).size <= _STATES


def is_counter(X: Float, roles: Roles) -> bool:
    """Whether the series only rises, or only falls, from window to window and within them, or stands still.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Training windows.
    """
    if not roles.has_previous_mean or roles.change < 0:
        return False
    # From each window to the next one there is: `diff_mean` is 0 for one that does not follow another.
    step, change = np.diff(X[:, roles.mean]), X[:, roles.change]
    rises = [np.count_nonzero(moves > 0) for moves in (step, -step, change, -change)]
    return any(
        rises[up] >= max(_RISES * len(X), _LEAST_RISES)
        and all(rises[down] <= _FALLS * rises[up] for down in (1 - up, 3 - up))
        for up in (0, 1)
    )


def has_steady_trend(mean: Float, start_us: Int) -> bool:
    """Whether a level falls or rises along a straight line, as that of a battery, with little beside it.

    It leaves the range of its training in the same way, on every device, and nothing is wrong with it.

    Parameters
    ----------
    mean : array of shape (n,), float64
        Means of the training windows.
    start_us : array of shape (n,), int64
        When they start.

    Examples
    --------
    >>> hours = np.arange(100)
    >>> has_steady_trend(90.0 - hours // 12, hours), has_steady_trend(90.0 - hours % 12, hours)
    (True, False)
    """
    time = start_us - start_us.mean()
    time /= np.ptp(time)
    level = mean - mean.mean()
    way = (time @ level) / (time @ time)
    off = np.quantile(np.abs(level - way * time), _WITHIN)
    return bool(way != 0 and off <= _STEADY * abs(way))


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


def hour_levels(levels: Ordered, rows: Bool) -> tuple[Float, Float]:
    """Compute the deviation of each slot's median from the overall median.

    Parameters
    ----------
    levels : Ordered
        L levels.
    rows : array of shape (n,), bool
        The windows that count, one at least.

    Returns
    -------
    of_slot : array of shape (L, n_slots), float64
        Shrunk towards 0 where a slot has few windows.
    medians : array of shape (L,), float64
        Of all of these windows.
    """
    counts = np.bincount(levels.slots[rows], minlength=levels.n_slots)
    first = np.cumsum(counts) - counts
    n = int(counts.sum())
    low = np.minimum(first + np.maximum(counts - 1, 0) // 2, n - 1)
    high = np.minimum(first + counts // 2, n - 1)
    weight = np.where(counts >= _LEAST_OF_AN_HOUR, counts / (counts + _SHRINKAGE), 0.0)
    medians = levels.medians(rows)
    ordered = levels.by_slot(rows)
    middle = 0.5 * (ordered[:, low] + ordered[:, high])
    return (middle - medians[:, None]) * weight, medians


class Ordered:
    """L levels of n windows, each sorted once: medians of many subsets are then a selection.

    Parameters
    ----------
    levels : array of shape (n, L), float64
    slots : array of shape (n,), int64
        The slot of each window, below ``n_slots``.
    n_slots : int
    by_value : array of shape (L, n), int64, optional
        The order of each level's values, if already computed.
    """

    def __init__(self, levels: Float, slots: Int, n_slots: int, by_value: Int | None = None) -> None:
        self.slots, self.n_slots = slots, n_slots
        by_level = np.ascontiguousarray(levels.T)
        self.by_value = by_value = np.argsort(by_level, axis=1) if by_value is None else by_value
        # Short integers are sorted by radix, in a tenth of the time.
        by_slot = np.argsort(slots.astype(np.int8)[by_value], axis=1, kind="stable")
        self._orders = by_value, np.take_along_axis(by_value, by_slot, axis=1)
        self._sorted = [np.take_along_axis(by_level, order, axis=1) for order in self._orders]

    def medians(self, rows: Bool) -> Float:
        """Return the median of each level over these rows, shape (L,)."""
        chosen = self._select(0, rows)
        last = chosen.shape[1] - 1
        middle: Float = 0.5 * (chosen[:, last // 2] + chosen[:, (last + 1) // 2])
        return middle

    def by_slot(self, rows: Bool) -> Float:
        """Return the values of these m rows, by slot and ascending within each, shape (L, m)."""
        return self._select(1, rows)

    def _select(self, place: int, rows: Bool) -> Float:
        order, values = self._orders[place], self._sorted[place]
        chosen: Float = values[rows[order]].reshape(len(values), -1)
        return chosen


@dataclass(frozen=True)
class Seasonality:
    """What the hour adds to the levels of a series.

    Attributes
    ----------
    slots : array of shape (n,), int64
        Of each training window; below ``n_slots``.
    n_slots : int
        24, or 48 where the weekend has hours of its own.
    is_seasonal : array of shape (L,), bool
        The levels that it is removed from.
    of_slot : array of shape (L, n_slots), float64
        What each slot adds, computed from all windows; 0 for the other levels.
    of_folds : tuple of array of shape (L, n_slots), float64
        The same without each block of time that is held out.
    """

    slots: Int
    n_slots: int
    is_seasonal: Bool
    of_slot: Float
    of_folds: tuple[Float, ...]


def find_seasonality(
    levels: Float, start_us: Int, folds: Sequence[tuple[slice, Int]], zone: str
) -> Seasonality | None:
    """Find out whether the hour explains a substantial part of the deviation on held-out windows.

    It has to on all blocks of time together and on the newest one alone: what the hour no longer explains
    would raise alarms from now on. The weekend gets hours of its own where that explains as much again.

    Parameters
    ----------
    levels : array of shape (n, L), float64
    start_us : array of shape (n,), int64
        When the windows start, in microseconds since the epoch, rising.
    folds : sequence of (slice, array of int64)
        Held-out rows, and the rows that the hours' levels are computed from; the newest is the last.
    zone : str
        IANA time zone of the hours.

    Returns
    -------
    Seasonality or None
        None where no level has any, and for less than two days.
    """
    if start_us.size == 0 or start_us[-1] - start_us[0] < _LEAST_DAYS * HOURS * HOUR_US:
        return None
    slots = slot_of(start_us, zone)
    by_hour = Ordered(levels, slots % HOURS, HOURS)
    # What does not help on its own training windows does not help on others.
    everything = [(slice(0, len(levels)), np.arange(len(levels)))]
    whole_of_all, left_of_all, _ = _left(levels, by_hour, everything)
    if not (left_of_all < _WORTHWHILE * whole_of_all).any():
        return None
    whole, left, of_folds = _left(levels, by_hour, folds)
    helps: Bool = np.all(left < _WORTHWHILE * whole, axis=0)
    if _has_weekends(slots, start_us):
        by_slot = Ordered(levels, slots, SLOTS, by_hour.by_value)
        _, left_by_slot, _ = _left(levels, by_slot, everything)
        if (left_by_slot < _WORTHWHILE * np.where(helps, left_of_all, whole_of_all)).any():
            _, left_by_slot, of_weekends = _left(levels, by_slot, folds)
            helps_more: Bool = np.all(left_by_slot < _WORTHWHILE * np.where(helps, left, whole), axis=0)
            if helps_more.any():
                return _seasonality(by_slot, np.logical_or(helps, helps_more), of_weekends)
    return _seasonality(by_hour, helps, of_folds) if helps.any() else None


def _seasonality(levels: Ordered, is_seasonal: Bool, of_folds: Sequence[Float]) -> Seasonality:
    of_slot, _ = hour_levels(levels, np.ones(levels.slots.size, np.bool_))
    kept = [np.where(is_seasonal[:, None], one, 0.0) for one in (of_slot, *of_folds)]
    return Seasonality(levels.slots, levels.n_slots, is_seasonal, kept[0], tuple(kept[1:]))


def _has_weekends(slots: Int, start_us: Int) -> bool:
    """Whether there are windows of two weekends and of the days between."""
    weeks = start_us[slots >= HOURS] // (7 * HOURS * HOUR_US)
    return bool(weeks.size) and bool(weeks[-1] > weeks[0])


def _left(
    levels: Float, ordered: Ordered, folds: Sequence[tuple[slice, Int]]
) -> tuple[Float, Float, list[Float]]:
    """Sum the absolute deviations of held-out levels, with and without slots: all folds, and the newest.

    Returns
    -------
    whole, left : array of shape (2, L), float64
    of_folds : list of array of shape (L, n_slots), float64
        What each slot adds, without each block.
    """
    whole, left = np.zeros((2, 2, levels.shape[1]))
    of_folds = []
    for held_out, rest in folds:
        rows = np.zeros(len(levels), np.bool_)
        rows[rest] = True
        of_slot, medians = hour_levels(ordered, rows)
        deviation = levels[held_out] - medians
        whole[1] = np.abs(deviation).sum(axis=0)
        left[1] = np.abs(deviation - of_slot.T[ordered.slots[held_out]]).sum(axis=0)
        whole[0] += whole[1]
        left[0] += left[1]
        of_folds.append(of_slot)
    return whole, left, of_folds
