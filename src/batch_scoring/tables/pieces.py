"""Cut a range of time into pieces of whole days, each of bounded size; join sparse ones by month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US

# A piece is longer than a day only where it holds fewer rows, in fewer files: they are open at once.
PIECE_ROWS, PIECE_FILES = 2_000_000, 128


def day_pieces(extents: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Cut the times of some files into pieces.

    Parameters
    ----------
    extents : sequence of (int, int, int)
        The first and the last time of each file, microseconds since the epoch, and its number of rows.

    Returns
    -------
    list of (int, int)
        ``[start, end)`` in order, cut at midnight (UTC), from the first time to the last one. A piece
        without a file is left out.

    Examples
    --------
    >>> hour = DAY_US // 24
    >>> day_pieces([(20 * hour, 30 * hour, 2_000_000), (31 * hour, 32 * hour, 1)]) == [
    ...     (20 * hour, DAY_US), (DAY_US, 32 * hour + 1)]
    True
    """
    # Of each day the rows and the number of the files that overlap it, and of the files that begin on it.
    overlapping, beginning = _Load(), _Load()
    for first, last, rows in extents:
        beginning.add(range(first // DAY_US, first // DAY_US + 1), rows)
        overlapping.add(range(first // DAY_US, last // DAY_US + 1), rows)
    start = min((one[0] for one in extents), default=0)
    end = max((one[1] for one in extents), default=0) + 1
    pieces: list[tuple[int, int]] = []
    rows = files = 0
    for day in sorted(overlapping.rows):
        piece = (max(day * DAY_US, start), min((day + 1) * DAY_US, end))
        more = (rows + beginning.rows[day], files + beginning.files[day])
        if pieces and pieces[-1][1] == piece[0] and more[0] <= PIECE_ROWS and more[1] <= PIECE_FILES:
            rows, files = more
            pieces[-1] = (pieces[-1][0], piece[1])
        else:
            rows, files = overlapping.rows[day], overlapping.files[day]
            pieces.append(piece)
    return pieces


def joined_by_month(
    parts: Iterable[tuple[int, Iterable[pa.Table]]], order: Sequence[str]
) -> Iterator[Iterator[pa.Table]]:
    """Join the rows of parts that start in one month (UTC); in memory, so for few rows a day.

    Parameters
    ----------
    parts : iterable of (int, iterable of pyarrow.Table)
        Each with its start, microseconds since the epoch; in order of time, and read in turn.
    order : sequence of str
        The columns by which the rows of a month are sorted.
    """
    for _, some in groupby(parts, key=lambda part: np.datetime64(part[0], "us").astype("M8[M]")):
        yield _sorted((rows for _, tables in some for rows in tables), order)


def _sorted(tables: Iterable[pa.Table], order: Sequence[str]) -> Iterator[pa.Table]:
    found = list(tables)
    if found:
        yield pa.concat_tables(found).sort_by([(name, "ascending") for name in order])


class _Load:
    """Rows and files by day."""

    def __init__(self) -> None:
        self.rows: Counter[int] = Counter()
        self.files: Counter[int] = Counter()

    def add(self, days: range, rows: int) -> None:
        self.rows.update(dict.fromkeys(days, rows))
        self.files.update(days)
