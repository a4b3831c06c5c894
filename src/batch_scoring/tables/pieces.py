"""Cut a range of time into pieces of whole days, each with a bounded number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

DAY_US = 86_400_000_000
# A piece is longer than a day only where it holds fewer rows.
PIECE_ROWS = 2_000_000


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
    if not extents:
        return []
    first, end = min(one[0] for one in extents), max(one[1] for one in extents) + 1
    cuts = [first, *range((first // DAY_US + 1) * DAY_US, end, DAY_US), end]
    pieces: list[tuple[int, int]] = []
    for start, stop in pairwise(cuts):
        if not _rows(extents, start, stop):
            continue
        joined = pieces[-1][0] if pieces else start
        if pieces and pieces[-1][1] == start and _rows(extents, joined, stop) <= PIECE_ROWS:
            pieces[-1] = (joined, stop)
        else:
            pieces.append((start, stop))
    return pieces


def _rows(extents: Sequence[tuple[int, int, int]], start: int, end: int) -> int:
    return sum(rows for first, last, rows in extents if last >= start and first < end)
