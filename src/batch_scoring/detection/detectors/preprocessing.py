"""Difference counters, remove hour-of-day seasonality and tell states from measurements.

The kind of a series is derived from its training windows: *constant*, *counter* (always rises), or
*plain*. Hour-of-day seasonality is modelled only where it helps on held-out windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from batch_scoring.tables.arrays import Bool, Float, Int

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

HOURS = 24
# The hours of a working day, followed by those of a Saturday or Sunday.
SLOTS = 2 * HOURS
_HOUR_US = 3_600_000_000
_DAY_US = HOURS * _HOUR_US
# 1970-01-01 was a Thursday, three days after a Monday.
_WEEKDAY_OF_EPOCH, _SATURDAY = 3, 5
# Time zones change their offset on a quarter of an hour.
_QUARTER_US = _HOUR_US // 4
LEVELS = ("mean", "min", "max")
RUN = "equal_run"
KINDS = ("plain", "counter", "constant")
PLAIN, COUNTER, CONSTANT = range(3)

# A counter practically never falls, once in a hundred times that it rises. It may stand still while the
# machine does, but rises in a tenth of the windows, and in 30 of them.
_FALLS, _RISES, _LEAST_RISES = 0.01, 0.1, 30
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
    run : int
        Length of the longest run of equal values, ``equal_run``.
    of_svm : array of int64
        Features that the one-class SVM sees: all but ``run``.
    """

    levels: Int
    mean: int
    change: int
    diff_mean: int
    run: int
    of_svm: Int

    @classmethod
    def of(cls, features: Sequence[str]) -> Roles:
        """Find the roles among features."""
        place = {name: number for number, name in enumerate(features)}
        mean, change, diff_mean, run = (place.get(name, -1) for name in ("mean", "change", "diff_mean", RUN))
        levels = [place[name] for name in LEVELS if name in place]
        of_svm = [number for name, number in place.items() if name != RUN]
        return cls(np.array(levels, np.int64), mean, change, diff_mean, run, np.array(of_svm, np.int64))

    @property
    def place_of_mean(self) -> int:
        """Position of the mean among the levels."""
        return int(np.flatnonzero(self.levels == self.mean)[0])

    @property
    def has_previous_mean(self) -> bool:
        """Whether the mean of the preceding window follows from the features."""
        return self.mean >= 0 and self.diff_mean >= 0


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
    local = time_us
    if zone != "UTC":
        quarters, place = np.unique(time_us // _QUARTER_US, return_inverse=True)
        local = time_us + np.array([_offset_us(zone, one) for one in quarters.tolist()], np.int64)[place]
    is_weekend = (local // _DAY_US + _WEEKDAY_OF_EPOCH) % 7 >= _SATURDAY
    slot: Int = (local // _HOUR_US) % HOURS + HOURS * is_weekend
    return slot


@lru_cache(maxsize=100_000)
def _offset_us(zone: str, quarter: int) -> int:
    """Return the offset of a zone from UTC in a quarter of an hour since the epoch, microseconds."""
    from datetime import UTC, datetime

    offset = datetime.fromtimestamp(quarter * (_QUARTER_US // 1_000_000), UTC).astimezone(_zone(zone))
    return round(offset.utcoffset().total_seconds() * 1e6)  # type: ignore[union-attr]


@lru_cache
def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def is_state(X: Float, roles: Roles) -> bool:
    """Whether a series takes a few values only, or mostly repeats itself; then it may stay as it is.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Training windows, with ``equal_run``.
    """
    if roles.diff_mean >= 0 and np.mean(X[:, roles.diff_mean] == 0) >= _REPEATS:
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
    step, change = X[:, roles.diff_mean], X[:, roles.change]
    rises = [np.count_nonzero(moves > 0) for moves in (step, -step, change, -change)]
    return any(
        rises[up] >= max(_RISES * len(X), _LEAST_RISES)
        and all(rises[down] <= _FALLS * rises[up] for down in (1 - up, 3 - up))
        for up in (0, 1)
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


def hour_levels(
    levels: Sequence[Ordered], slots: Int, rows: Bool, n_slots: int, medians: Float | None = None
) -> Float:
    """Compute the deviation of each slot's median from the overall median.

    Parameters
    ----------
    levels : sequence of Ordered
        L levels.
    slots : array of shape (n,), int64
        The slot of each window, below ``n_slots``.
    rows : array of shape (n,), bool
        The windows that count.
    n_slots : int
    medians : array of shape (L,), float64, optional
        Of these rows, if already computed.

    Returns
    -------
    array of shape (L, n_slots), float64
        Shrunk towards 0 where a slot has few windows.
    """
    counts = np.bincount(slots[rows], minlength=n_slots)
    first = np.cumsum(counts) - counts
    n = int(counts.sum())
    low = np.minimum(first + np.maximum(counts - 1, 0) // 2, n - 1)
    high = np.minimum(first + counts // 2, n - 1)
    weight = np.where(counts >= _LEAST_OF_AN_HOUR, counts / (counts + _SHRINKAGE), 0.0)
    result = np.empty((len(levels), n_slots))
    for number, level in enumerate(levels):
        ordered = level.by_slot(rows)
        middle = np.median(ordered) if medians is None else medians[number]
        result[number] = (0.5 * (ordered[low] + ordered[high]) - middle) * weight
    return result


class Ordered:
    """A level of n windows, sorted once by slot and value: medians of many subsets are then a selection.

    Attributes
    ----------
    values : array of shape (n,), float64
    """

    def __init__(self, values: Float, slots: Int) -> None:
        self.values = values
        by_value = np.argsort(values)
        # Short integers are sorted by radix, in a tenth of the time.
        self._order = by_value[np.argsort(slots[by_value].astype(np.int8), kind="stable")]
        self._sorted = values[self._order]

    def by_slot(self, rows: Bool) -> Float:
        """Return the values of these rows, by slot and ascending within each."""
        chosen: Float = self._sorted[rows[self._order]]
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
    """

    slots: Int
    n_slots: int
    is_seasonal: Bool

    def levels(self, levels: Sequence[Ordered], rows: Bool) -> Float:
        """Compute what each slot adds to each level, shape (L, n_slots); 0 for the others."""
        of_slot = hour_levels(levels, self.slots, rows, self.n_slots)
        return np.where(self.is_seasonal[:, None], of_slot, 0.0)


def find_seasonality(
    levels: Float, start_us: Int, folds: Sequence[tuple[slice, Int]], zone: str
) -> tuple[Seasonality, list[Ordered]] | None:
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
    (Seasonality, list of Ordered) or None
        None where no level has any, and for less than two days.
    """
    if start_us.size == 0 or start_us[-1] - start_us[0] < _LEAST_DAYS * HOURS * _HOUR_US:
        return None
    slots = slot_of(start_us, zone)
    hours = slots % HOURS
    by_hour = [Ordered(level, hours) for level in levels.T]
    # What does not help on its own training windows does not help on others.
    everything = slice(0, len(levels)), np.arange(len(levels))
    whole, left = _left(levels, by_hour, hours, HOURS, [everything])
    if not (left < _WORTHWHILE * whole).any():
        return None
    whole, left = _left(levels, by_hour, hours, HOURS, folds)
    helps: Bool = np.all(left < _WORTHWHILE * whole, axis=0)
    if _has_weekends(slots, start_us):
        by_slot = [Ordered(level, slots) for level in levels.T]
        _, left_by_slot = _left(levels, by_slot, slots, SLOTS, folds)
        usual = np.where(helps, left, whole)
        helps_more: Bool = np.all(left_by_slot < _WORTHWHILE * usual, axis=0)
        if helps_more.any():
            return Seasonality(slots, SLOTS, np.logical_or(helps, helps_more)), by_slot
    return (Seasonality(hours, HOURS, helps), by_hour) if helps.any() else None


def _has_weekends(slots: Int, start_us: Int) -> bool:
    """Whether there are windows of two weekends and of the days between."""
    weeks = start_us[slots >= HOURS] // (7 * HOURS * _HOUR_US)
    return bool(weeks.size) and bool(weeks[-1] > weeks[0])


def _left(
    levels: Float, ordered: Sequence[Ordered], slots: Int, n_slots: int, folds: Sequence[tuple[slice, Int]]
) -> tuple[Float, Float]:
    """Sum the absolute deviations of held-out levels, with and without slots: all folds, and the newest.

    Returns
    -------
    whole, left : array of shape (2, L), float64
    """
    whole, left = np.zeros((2, 2, levels.shape[1]))
    for held_out, rest in folds:
        rows = np.zeros(len(levels), np.bool_)
        rows[rest] = True
        medians = np.array([np.median(level[rows]) for level in levels.T])
        deviation = levels[held_out] - medians
        of_slot = hour_levels(ordered, slots, rows, n_slots, medians)
        whole[1] = np.abs(deviation).sum(axis=0)
        left[1] = np.abs(deviation - of_slot[:, slots[held_out]].T).sum(axis=0)
        whole[0] += whole[1]
        left[0] += left[1]
    return whole, left
