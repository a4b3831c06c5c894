"""Windows before new readings, as they were stored: features that look back need no earlier reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import distinct, positions, to_arrow, to_numpy
from batch_scoring.tables.schemas import windows_schema

_LEVELS = ("mean", "min", "max")
# What is read of a stored window; null where the features lack it.
STORED = pa.schema(field for field in windows_schema(_LEVELS) if field.name != "window_end")


@dataclass(frozen=True)
class History:
    """Windows of some series, k of them, sorted by series and window.

    Attributes
    ----------
    series, window, count : array of shape (k,), int64
        Index of the series, index of the window since the epoch, and number of readings.
    mean, low, high : array of shape (k,), float64
        Mean, smallest and largest reading.
    is_stored : array of shape (k,), bool
    """

    series: Int
    window: Int
    count: Int
    mean: Float
    low: Float
    high: Float
    is_stored: Bool

    def followed_by(self, later: History) -> History:
        """Insert other windows of the same series."""
        both = [np.concatenate(pair) for pair in zip(vars(self).values(), vars(later).values(), strict=True)]
        order = np.lexsort((both[1], both[0]))
        return History(*(column[order] for column in both))


def looked_at(stored: pa.Table) -> pa.Table:
    """Keep the stored windows that a feature of a later one may look at: of most series the last alone.

    Before it stay the windows of one value that it ends, if its readings are all equal, too, and the window
    before them, which ends such a run.

    Parameters
    ----------
    stored : pyarrow.Table
        The columns of STORED, sorted by sensor, device and window_start; texts may be dictionaries.
    """
    n = stored.num_rows
    if not n:
        return stored
    is_last = np.append(is_other(stored["sensor"]) | is_other(stored["device"]), True)
    low, high = (to_numpy(stored[name], null=np.nan) for name in ("min", "max"))
    varied = np.cumsum(~(low == high))
    # As many windows of several values up to here as up to the series' last: none follows.
    ends = np.flatnonzero(is_last)
    of_last = np.repeat(varied[ends], np.diff(ends, prepend=-1))
    return stored.filter(to_arrow(is_last | (varied == of_last)))


def is_other(texts: pa.ChunkedArray) -> Bool:
    """Mark the rows whose text the next row has not, shape (n - 1,)."""
    column = texts.combine_chunks()
    if pa.types.is_dictionary(column.type):
        return np.diff(to_numpy(column.indices)) != 0
    found: Bool = to_numpy(pc.not_equal(column[1:], column[:-1]))
    return found


def read_history(stored: pa.Table, series: pa.Table, window_us: int) -> History:
    """Convert stored windows to a history; those of other series are left out.

    Parameters
    ----------
    stored : pyarrow.Table
        Schema STORED.
    series : pyarrow.Table
        Columns device and sensor, sorted by sensor, then device (UTF-8 bytes).
    window_us : int
        Length of a window in microseconds.
    """
    sensors, devices = (distinct(series[name]) for name in ("sensor", "device"))

    def keys(rows: pa.Table) -> Int:
        sensor, device = positions(rows["sensor"], sensors), positions(rows["device"], devices)
        return np.where((sensor < 0) | (device < 0), -1, sensor * len(devices) + device)

    known = keys(series)
    number = np.minimum(np.searchsorted(known, keys(stored)), max(known.size - 1, 0))
    is_known = known[number] == keys(stored) if known.size else np.zeros(stored.num_rows, bool)
    stored = stored.filter(to_arrow(is_known))
    mean, low, high = (to_numpy(stored[name], null=np.nan) for name in _LEVELS)
    return History(
        number[is_known],
        to_numpy(stored["window_start"]) // window_us,
        to_numpy(stored["count"]).astype(np.int64),
        *(mean, low, high),
        np.ones(stored.num_rows, bool),
    )
