"""Split readings into runs of one series and window, over which features are reduced."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.windows.history import History, is_other

_NAMES = pa.schema([("device", pa.string()), ("sensor", pa.string())])
# Readings of a run from which NumPy's reduceat finds extremes faster.
LONG = 16


@dataclass(frozen=True)
class Runs:
    """Readings split into runs of one series and one window: n readings, m runs.

    Attributes
    ----------
    times : array of shape (n,), int64
        Microseconds since the epoch.
    values : array of shape (n,), float64
    starts : array of shape (m,), int64
        Index of the first reading of each run.
    series : array of shape (m,), int64
        Index of each run's series (a sensor and device), ascending.
    window : array of shape (m,), int64
        Index of each run's window since the epoch.
    stored : History, optional
        Windows of these series before the readings.
    """

    times: Int
    values: Float
    starts: Int
    series: Int
    window: Int
    stored: History | None = None

    @cached_property
    def count(self) -> Int:
        """Readings in each run, shape (m,)."""
        return np.diff(self.starts, append=self.values.size)

    @cached_property
    def run_of_reading(self) -> Int:
        """The run of each reading, shape (n,)."""
        return np.repeat(np.arange(self.starts.size), self.count)

    @cached_property
    def mean(self) -> Float:
        """Mean of each run, shape (m,)."""
        return self.sum(self.values) / self.count

    @cached_property
    def deviation(self) -> Float:
        """Each reading minus the mean of its run, shape (n,)."""
        return self.values - np.repeat(self.mean, self.count)

    @cached_property
    def low(self) -> Float:
        """Smallest reading of each run, shape (m,)."""
        return self.extreme(np.minimum)

    @cached_property
    def high(self) -> Float:
        """Largest reading of each run, shape (m,)."""
        return self.extreme(np.maximum)

    @cached_property
    def history(self) -> History:
        """The runs as windows, among the stored ones."""
        none = np.zeros(self.starts.size, bool)
        own = History(self.series, self.window, self.count, self.mean, self.low, self.high, none)
        return own if self.stored is None else self.stored.followed_by(own)

    def sum(self, x: Float) -> Float:
        """Sum over each run, shape (m,)."""
        return np.add.reduceat(x, self.starts) if self.starts.size else np.zeros(0)

    def extreme(self, ufunc: np.ufunc) -> Float:
        """Reduce each run by ``np.minimum`` or ``np.maximum``, shape (m,)."""
        if self.starts.size == 0:
            return np.zeros(0)
        places = self._by_place
        found = ufunc.reduceat(self.values, self.starts) if places is None else ufunc.reduce(places, axis=0)
        # Whether -0.0 or 0.0 is found would depend on their positions in the array.
        return found + 0.0

    @cached_property
    def _by_place(self) -> Float | None:
        """The first readings of all runs, then the second ones and so on, shape (longest, m).

        Shorter runs repeat their last reading. None where runs are long or too unequal:
        ``reduceat`` is slow in starting a run, not in reducing it.
        """
        longest, m = int(self.count.max()), self.starts.size
        if longest > LONG or longest * m > 2 * self.values.size:
            return None
        places = np.empty((longest, m))
        reading, last = self.starts.copy(), self.starts + self.count - 1
        for row in places:
            np.take(self.values, reading, out=row, mode="clip")
            reading += 1
            np.minimum(reading, last, out=reading)
        return places

    @cached_property
    def sorted_values(self) -> Float:
        """The readings, sorted by value within each run, shape (n,)."""
        return self.values[np.lexsort((self.values, self.run_of_reading))]


def cut_runs(readings: pa.Table, window_us: int) -> tuple[pa.Table, Runs]:
    """Split readings into runs of one series and window, sorted by sensor, device and time.

    Parameters
    ----------
    readings : pyarrow.Table
        Columns timestamp (µs, UTC), device, sensor and value, in any order; sorted readings, or a few
        concatenated sorted tables, take less time, and so do texts as dictionaries.
    window_us : int
        Length of a window in microseconds.

    Returns
    -------
    series : pyarrow.Table
        Columns device and sensor, sorted by sensor, then device (UTF-8 bytes), indexed by ``Runs.series``.
    runs : Runs
    """
    names, series, order = _number_series(readings)
    times, values = to_numpy(readings["timestamp"]), to_numpy(readings["value"])
    if order is not None:
        series, times, values = series[order], times[order], values[order]
    if not np.all((times[1:] >= times[:-1]) | (series[1:] != series[:-1])):
        order = np.lexsort((times, series))
        series, times, values = series[order], times[order], values[order]
    window = np.floor_divide(times, window_us)
    is_start = np.ones(times.size, bool)
    is_start[1:] = (series[1:] != series[:-1]) | (window[1:] != window[:-1])
    starts = np.flatnonzero(is_start)
    return names, Runs(times, values, starts, series[starts], window[starts])


def without_short_runs(runs: Runs, min_readings: int) -> Runs:
    """Drop runs with fewer readings."""
    keep = runs.count >= min_readings
    reading = np.repeat(keep, runs.count)
    count = runs.count[keep]
    return Runs(
        runs.times[reading],
        runs.values[reading],
        np.cumsum(count) - count,
        runs.series[keep],
        runs.window[keep],
        runs.stored,
    )


def _number_series(readings: pa.Table) -> tuple[pa.Table, Int, Int | None]:
    """Return the sorted series, each row's index among them, and the rows' order by it; None if sorted."""
    # A series' rows are mostly adjacent: its name is read once, not once a row.
    named = readings.select(["device", "sensor"]).combine_chunks()
    columns = [
        column.combine_chunks() if column.num_chunks else strings([]) for column in named.itercolumns()
    ]
    n = named.num_rows
    is_first = np.ones(n, bool)
    if n > 1:
        is_first[1:] = is_other(named["device"]) | is_other(named["sensor"])
    starts = np.flatnonzero(is_first)
    device, sensor = (_ranks(one.take(to_arrow(starts))) for one in columns)
    _, first, number = np.unique(
        sensor * (device.max(initial=0) + 1) + device, return_index=True, return_inverse=True
    )
    of_row = np.repeat(number, np.diff(starts, append=n))
    names = named.take(to_arrow(starts[first])).cast(_NAMES)
    is_sorted = bool(np.all(number[1:] > number[:-1]))
    return names, of_row, None if is_sorted else np.argsort(of_row, kind="stable")


def _ranks(texts: pa.Array) -> Int:
    """Rank texts as UTF-8 bytes, shape (n,); equal ones have equal ranks."""
    encoded = texts.dictionary_encode()
    by_name = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(by_name), np.int64)
    rank[to_numpy(by_name)] = np.arange(len(by_name))
    return rank[to_numpy(encoded.indices)]
