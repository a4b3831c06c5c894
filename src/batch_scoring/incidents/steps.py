"""Tell whether an incident is a step to another level that lasts, or looks like a change of unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints

NEW_NORMAL = "lasting; if it is the new normal, accept it"
CHANGE_OF_UNIT = "looks like a change of unit"
_SERIES = ("sensor", "device")
# A step is there at once: the level of the hour after it is off by this share of what it is later, or more.
_AT_ONCE = 0.5
# The level stays: over the last quarter it is off by no less, and no more, than these shares of the first.
_STAYS = (1 / 3, 3.0)
# Windows of the incident that are anomalous.
_DENSE = 0.8
# A unit makes of the day before what came after the step, to within this share of the difference, and of the
# hour before what came in the hour after; and all but a tenth of what came after lies where it did before,
# give or take a tenth of the range.
_EXACT, _ABOUT, _INSIDE, _MARGIN = 0.1, 0.25, 0.9, 0.1


@dataclass(frozen=True)
class Unit:
    """A change of unit: ``after = factor * before + offset``."""

    name: str
    factor: float
    offset: float = 0.0

    def miss(self, before: Float, after: Float) -> Float:
        """Compute how far a converted value is off, in the finer of both units.

        In the coarser one whatever is near 0 would be a hundredth of anything: a wind that falls asleep.
        """
        found: Float = np.abs(self.factor * before + self.offset - after) * max(1.0, 1.0 / self.factor)
        return found


_PAIRS = (
    ("°C", "°F", 1.8, 32.0),
    ("°C", "K", 1.0, 273.15),
    ("K", "°F", 1.8, -459.67),
    ("mm", "inch", 1 / 25.4, 0.0),
    ("kPa", "psi", 0.1450377, 0.0),
    ("bar", "psi", 14.50377, 0.0),
    ("m/s", "km/h", 3.6, 0.0),
)
UNITS = (
    *(Unit(f"{a} → {b}", factor, offset) for a, b, factor, offset in _PAIRS),
    *(Unit(f"{b} → {a}", 1 / factor, -offset / factor) for a, b, factor, offset in _PAIRS),
    *(Unit(f"× {n}", float(n)) for n in (10, 100, 1000)),
    *(Unit(f"÷ {n}", 1 / n) for n in (10, 100, 1000)),
)


def may_be_steps(incidents: pa.Table) -> Bool:
    """Mark the open incidents that have lasted an hour or longer, and are anomalous nearly all of the time.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS.
    """
    start, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    marked: Bool = are(incidents["state"], "open") & (end - start >= HOUR_US)
    return marked


def describe_steps(incidents: pa.Table, windows: pa.Table, after_us: int) -> list[str]:
    """Describe the steps among incidents, in their order; empty for what is none.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, one a series.
    windows : pyarrow.Table
        sensor, device, window_start, window_end and value of the predictions around their starts: from
        :func:`lag_us` before to ``after_us`` after.
    after_us : int
        A level lasts that is there as long, microseconds.
    """
    texts = [""] * incidents.num_rows
    series = _series_of(incidents, windows, np.full(incidents.num_rows, after_us), after_us)
    if series is None:
        return texts
    begin, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    is_dense = _are_dense(incidents, windows)
    unit = np.where(is_dense, series.unit(), -1)
    lasts = is_dense & (end - begin >= after_us) & (series.is_level() | (unit >= 0))
    for number in np.flatnonzero(lasts | (unit >= 0)).tolist():
        what = [f"{CHANGE_OF_UNIT}, {UNITS[unit[number]].name}"] if unit[number] >= 0 else []
        texts[number] = "; ".join([*what, *([NEW_NORMAL] if lasts[number] else [])])
    return texts


def may_be_of_unit(incidents: pa.Table) -> Bool:
    """Mark the closed incidents that may be a change of unit: an hour or longer, or steps; shape (n,)."""
    length = to_numpy(incidents["end"]) - to_numpy(incidents["start"])
    found: Bool = are(incidents["state"], "closed") & ((length >= HOUR_US) | _have_steps(incidents))
    return found


def units_of(incidents: pa.Table, windows: pa.Table) -> list[str | None]:
    """Name the change of unit that each incident looks like, in their order; None where it is none.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, as :func:`may_be_of_unit` marks them.
    windows : pyarrow.Table
        As of :func:`describe_steps`, from a day before the start of each to an hour after its end.
    """
    names: list[str | None] = [None] * incidents.num_rows
    keys, start = row_fingerprints(incidents, _SERIES), to_numpy(incidents["start"])
    # The first incident of each series together, then the second, and so on.
    order = np.lexsort((start, keys))
    is_first = np.append(True, keys[order][1:] != keys[order][:-1])[: keys.size]
    turn = np.arange(keys.size) - np.maximum.accumulate(np.where(is_first, np.arange(keys.size), 0))
    for one in range(int(turn.max(initial=-1)) + 1):
        rows = order[turn == one]
        some = incidents.take(to_arrow(rows))
        is_step = _have_steps(some)
        reach = (
            to_numpy(some["end"])
            - to_numpy(some["start"])
            + np.where(np.isfinite(to_numpy(some["step"], null=np.nan)), HOUR_US, 0)
        )
        series = _series_of(some, windows, np.minimum(reach, DAY_US), DAY_US)
        if series is None:
            continue
        unit = np.where(is_step | _are_dense(some, windows), series.unit(), -1)
        for place in np.flatnonzero(unit >= 0).tolist():
            names[rows[place]] = UNITS[unit[place]].name
    return names


def lag_us(after_us: int) -> int:
    """Return how long before a step is looked at: whole days, for the time of day."""
    return -(-after_us // DAY_US) * DAY_US


def _series_of(incidents: pa.Table, windows: pa.Table, reach: Int, after_us: int) -> _Series | None:
    """Return the values around the start of each incident, up to as long after it; None without any."""
    value = to_numpy(windows["value"], null=np.nan)
    windows, value = windows.filter(to_arrow(np.isfinite(value))), value[np.isfinite(value)]
    keys = row_fingerprints(incidents, _SERIES)
    order = np.argsort(keys)
    if not keys.size or not value.size:
        return None
    own = row_fingerprints(windows, _SERIES)
    row = order[np.minimum(np.searchsorted(keys[order], own), keys.size - 1)]
    since = to_numpy(windows["window_start"]) - to_numpy(incidents["start"])[row]
    mine = (own == keys[row]) & (since >= -lag_us(after_us)) & (since < reach[row])
    return _Series(row[mine], since[mine], value[mine], keys.size, after_us) if mine.any() else None


def _have_steps(incidents: pa.Table) -> Bool:
    """Mark the incidents that are a step, or a pair of steps: their windows need not be anomalous."""
    found: Bool = np.any(
        [np.isfinite(to_numpy(incidents[name], null=np.nan)) for name in ("step", "shift")], 0
    )
    return found


def _are_dense(incidents: pa.Table, windows: pa.Table) -> Bool:
    """Mark the incidents that are anomalous nearly all of the time."""
    first = windows.slice(0, 1)
    length = int((to_numpy(first["window_end"]) - to_numpy(first["window_start"]))[0])
    span = to_numpy(incidents["end"]) - to_numpy(incidents["start"])
    found: Bool = to_numpy(incidents["n_windows"]) * length >= _DENSE * span
    return found


class _Series:
    """The values of n series around their steps, as arrays over all windows.

    Parameters
    ----------
    row : array of shape (m,), int64
        The series of each window.
    since : array of shape (m,), int64
        When it starts, microseconds after the step.
    value : array of shape (m,), float64
    n : int
    after_us : int
    """

    def __init__(self, row: Int, since: Int, value: Float, n: int, after_us: int) -> None:
        self.row, self.since, self.value, self.n, self.after_us = row, since, value, n, after_us
        self.before = self._median((since < 0) & (since >= -HOUR_US))
        self.then = self._median((since >= 0) & (since < HOUR_US))
        # The value at the same time of day before, where there is a window of it.
        self.usual = self._of_some_days_before()

    def is_level(self) -> Bool:
        """Mark the series that stepped at once to a level that stays, beside that of the days before."""
        since, after_us = self.since, self.after_us
        away = self.value - self.usual
        known = (since >= 0) & np.isfinite(away)
        quarter = after_us // 4
        jump = self.then - self.before
        total = self._median(known, away)
        first = self._median(known & (since < quarter), away)
        last = self._median(known & (since >= after_us - quarter), away)
        with np.errstate(divide="ignore", invalid="ignore"):
            stays = last / first
        is_step = (jump * total > 0) & (np.abs(jump) >= _AT_ONCE * np.abs(total))
        return is_step & (stays >= _STAYS[0]) & (stays <= _STAYS[1])

    def unit(self) -> Int:
        """Return the number of the unit that explains the step best, shape (n,); -1 where none does."""
        low, high = self._extremes(self.since < 0)
        margin = _MARGIN * (high - low)
        best, found = np.full(self.n, _EXACT), np.full(self.n, -1)
        jump = np.abs(self.then - self.before)
        usual = self.usual
        known = (self.since >= 0) & (self.since < self.after_us // 4) & np.isfinite(usual)
        away = self._median(known, np.abs(self.value - usual))
        after = self.since >= 0
        row, value = self.row[after], self.value[after]
        n_after = np.bincount(row, minlength=self.n)
        for number, unit in enumerate(UNITS):
            with np.errstate(divide="ignore", invalid="ignore"):
                wrong = self._median(known, unit.miss(usual, self.value)) / away
                wrong_at_once = unit.miss(self.before, self.then) / jump
            back = (value - unit.offset) / unit.factor
            is_inside = (back >= (low - margin)[row]) & (back <= (high + margin)[row])
            n_inside = np.bincount(row[is_inside], minlength=self.n)
            better = (
                (wrong < best) & (wrong_at_once < _ABOUT) & (n_inside >= _INSIDE * n_after) & (n_after > 0)
            )
            best, found = np.where(better, wrong, best), np.where(better, number, found)
        return found

    def _of_some_days_before(self) -> Float:
        """Return the value of each window as many days before as are compared, NaN where there is none."""
        order, lag = np.lexsort((self.since, self.row)), lag_us(self.after_us)
        span = 4 * lag
        keys = (self.row * span + self.since + 2 * lag)[order]
        wanted = self.row * span + self.since + lag
        place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        return np.where(keys[place] == wanted, self.value[order][place], np.nan)

    def _median(self, rows: Bool, values: Float | None = None) -> Float:
        """Return the median of each series over some windows, shape (n,); NaN without one."""
        row, value = self.row[rows], (self.value if values is None else values)[rows]
        order = np.lexsort((value, row))
        value, count = value[order], np.bincount(row, minlength=self.n)
        first = np.cumsum(count) - count
        low, high = first + (count - 1) // 2, first + count // 2
        padded = np.append(value, np.nan)
        known = count > 0
        return np.where(
            known, (padded[np.where(known, low, -1)] + padded[np.where(known, high, -1)]) / 2, np.nan
        )

    def _extremes(self, rows: Bool) -> tuple[Float, Float]:
        low, high = np.full(self.n, np.inf), np.full(self.n, -np.inf)
        np.minimum.at(low, self.row[rows], self.value[rows])
        np.maximum.at(high, self.row[rows], self.value[rows])
        return low, high
