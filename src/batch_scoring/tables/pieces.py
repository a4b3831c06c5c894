"""Cut a range of time into pieces of whole days, each with a bounded number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

DAY_US = 86_400_000_000
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
    if not extents:
        return []
    firsts, lasts, rows = np.array(extents, np.int64).T

    def is_small(start: int, stop: int) -> bool:
        inside = (lasts >= start) & (firsts < stop)
        return bool(rows[inside].sum() <= PIECE_ROWS and np.count_nonzero(inside) <= PIECE_FILES)

    first, end = int(firsts.min()), int(lasts.max()) + 1
    cuts = [first, *range((first // DAY_US + 1) * DAY_US, end, DAY_US), end]
    pieces: list[tuple[int, int]] = []
    for start, stop in pairwise(cuts):
        if not ((lasts >= start) & (firsts < stop)).any():
            continue
        if pieces and pieces[-1][1] == start and is_small(pieces[-1][0], stop):
            pieces[-1] = (pieces[-1][0], stop)
        else:
            pieces.append((start, stop))
    return pieces
