"""Rows that are sorted on the disk: in runs, which are read back in step, a part of the order at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from batch_scoring.core.errors import MachineError
from batch_scoring.tables.arrays import Int

ROW = np.dtype([("series", np.int64), ("time", np.int64), ("value", np.float64)])

Rows: TypeAlias = NDArray[Any]
# The order of the numbers of some series, shape (n,).
RankOf = Callable[[Int], Int]


@dataclass(frozen=True)
class Run:
    """A file of sorted rows.

    Attributes
    ----------
    path : Path
        Rows of the type ``ROW``, by period, series and time.
    bounds : dict of int to (int, int)
        The first row of each period, and the one after its last.
    first, last : int
        The first and the last time, microseconds since the epoch.
    """

    path: Path
    bounds: dict[int, tuple[int, int]]
    first: int
    last: int

    def part(self, period: int) -> Part:
        """Return the rows of a period."""
        return Part(self.path, *self.bounds[period])


@dataclass(frozen=True)
class Part:
    """Some rows of a file, ``[start, stop)``."""

    path: Path
    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start

    def read(self) -> Rows:
        """Read them; raises MachineError where the file has become shorter."""
        rows = np.fromfile(self.path, ROW, self.n_rows, offset=self.start * ROW.itemsize)
        if rows.size < self.n_rows:
            raise MachineError(f"{self.path}: rows of this temporary file are gone; run again")
        return rows

    def mapped(self) -> Rows:
        """Map all rows of the file; what is looked at counts as memory of the process until they are gone."""
        return np.memmap(self.path, ROW, "r")


# Parts of several runs with the same range of series and time.
Piece = Sequence[Part]


def read_piece(piece: Piece) -> tuple[Int, Int, NDArray[np.float64]]:
    """Read the series, times and values of a piece, each of shape (n,).

    Columns apart from one another are sorted in half the time of rows.
    """
    columns = np.empty((len(ROW.names or ()), sum(part.n_rows for part in piece)), np.int64)
    done = 0
    for part in piece:
        columns[:, done : done + part.n_rows] = part.read().view(np.int64).reshape(part.n_rows, -1).T
        done += part.n_rows
    series, time, value = columns
    return series, time, value.view(np.float64)


def write_run(path: Path, series: Int, time: Int, value: NDArray[np.float64], period: Int) -> Run:
    """Write rows that are sorted by ``period``, series and time; each array of shape (n,)."""
    rows = np.empty(time.size, ROW)
    rows["series"], rows["time"], rows["value"] = series, time, value
    # NumPy's own `tofile` does not look at the error of its last 4 kB, as on a full disk.
    with path.open("wb") as file:
        file.write(rows.data)
    starts = [0, *(np.flatnonzero(period[1:] != period[:-1]) + 1).tolist()]
    bounds = zip(starts, [*starts[1:], time.size], strict=True)
    return Run(
        path, dict(zip(period[starts].tolist(), bounds, strict=True)), int(time.min()), int(time.max())
    )


def cut(runs: Sequence[Run], rank_of: RankOf, most: int) -> list[list[Piece]]:
    """Cut the rows of some runs into pieces, in the order of the rows.

    Parameters
    ----------
    runs : sequence of Run
    rank_of : callable
        Rows of a run are in this order of their series.
    most : int
        Rows of a piece. It has more only where rows are of one series and time.

    Returns
    -------
    list of list of Piece
        The pieces of each period.
    """
    periods = sorted({period for run in runs for period in run.bounds})
    return [
        _cut([run.part(period) for run in runs if period in run.bounds], rank_of, most) for period in periods
    ]


def _cut(parts: Sequence[Part], rank_of: RankOf, most: int) -> list[Piece]:
    """Cut at some rows of a sample: between two that follow each other a part has ``step`` rows or fewer."""
    if sum(part.n_rows for part in parts) <= most:
        return [parts]
    step = max(1, most // (2 * len(parts)))
    sample = np.concatenate([np.array(part.mapped()[part.start : part.stop : step]) for part in parts])
    rank, time = rank_of(sample["series"]), sample["time"]
    order = np.lexsort((time, rank))[len(parts) :: len(parts)]
    cuts = np.unique(np.stack((rank[order], time[order])), axis=1)
    bounds = [_places(part, rank_of, cuts) for part in parts]
    pieces = [
        [Part(part.path, *ends[n]) for part, ends in zip(parts, bounds, strict=True)]
        for n in range(cuts.shape[1] + 1)
    ]
    filled = ([part for part in piece if part.n_rows] for piece in pieces)
    return [piece for piece in filled if piece]


def _places(part: Part, rank_of: RankOf, cuts: Int) -> list[tuple[int, int]]:
    """Return where the rows of a part stand that are between two cuts, before the first or after the last.

    ``cuts`` has the shape (2, n): the ranks and times of the first rows behind each cut.
    """
    rows = part.mapped()
    low, high = np.full(cuts.shape[1], part.start), np.full(cuts.shape[1], part.stop)
    while (is_open := low < high).any():
        middle = (low + high)[is_open] // 2
        row, (rank, time) = np.array(rows[middle]), cuts[:, is_open]
        found = rank_of(row["series"])
        is_before = (found < rank) | ((found == rank) & (row["time"] < time))
        low[is_open] = np.where(is_before, middle + 1, low[is_open])
        high[is_open] = np.where(is_before, high[is_open], middle)
    return list(pairwise([part.start, *low.tolist(), part.stop]))
