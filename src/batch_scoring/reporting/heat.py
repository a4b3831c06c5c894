"""Count windows and anomalous windows by series and cell of time, for the heat map."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.tables.arrays import Int

# More columns than this are too narrow to see on a page.
MAX_CELLS = 90
_MINUTE, _HOUR, DAY_SECONDS = 60, 3600, 86400
CELL_SECONDS = (
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 4, 6, 8, 12)),
    *(DAY_SECONDS * n for n in (1, 2, 4, 7, 14, 28, 56, 112, 224, 448, 896, 1792, 3584, 7168)),
)


def choose_length(span_seconds: float, at_most: int, at_least_seconds: float) -> int:
    """Choose the shortest round length, in seconds, that divides a span into at most a number of pieces.

    Examples
    --------
    >>> choose_length(14 * 86400, 90, 300) / 3600
    4.0
    """
    fits = (s for s in CELL_SECONDS if s >= at_least_seconds and span_seconds / s <= at_most)
    return next(fits, max(CELL_SECONDS[-1], int(at_least_seconds)))


def first_of_runs(numbers: Int) -> Int:
    """Find where equal neighbours begin, shape (n_runs,).

    Examples
    --------
    >>> first_of_runs(np.array([7, 7, 3, 7])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.append(True, np.diff(numbers) != 0))[: numbers.size]


class HeatGrid:
    """Counts of some series, a row each, by cell of time.

    Parameters
    ----------
    n_series : int
    start, end : int
        Microseconds since the epoch, half-open; the cells cover it.
    cell : timedelta
        Cells are aligned to the epoch.

    Attributes
    ----------
    first : int
        Number of the first cell since the epoch.
    windows, anomalies : array of int64, shape (n_series, n_cells)
    """

    def __init__(self, n_series: int, start: int, end: int, cell: timedelta) -> None:
        self.cell = cell
        self.first = start // (cell // MICROSECOND)
        shape = n_series, (max(end, start + 1) - 1) // (cell // MICROSECOND) - self.first + 1
        self.windows, self.anomalies = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, row: Int, start: Int, windows: Int, anomalies: Int) -> None:
        """Add counts to the cells of some rows and times; those of other rows are left out."""
        there = np.flatnonzero((row >= 0) & (row < len(self.windows)))
        if not there.size:
            return
        cell = start[there] // (self.cell // MICROSECOND) - self.first
        place = row[there] * self.windows.shape[1] + cell
        begins = first_of_runs(place)
        for counts, more in ((self.windows, windows), (self.anomalies, anomalies)):
            np.add.at(counts.reshape(-1), place[begins], np.add.reduceat(more[there], begins))
