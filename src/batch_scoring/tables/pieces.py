"""Cut a range of time into pieces of whole days, each with a bounded number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

DAY_US = 86_400_000_000
# A piece is longer than a day only where it holds fewer rows.
PIECE_ROWS = 2_000_000
# A file counts as this many at least: all files of a piece are open at once.
FILE_ROWS = PIECE_ROWS // 128


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
    overlapping: Counter[int] = Counter()
    beginning: Counter[int] = Counter()
    for first, last, n in extents:
        rows = max(n, FILE_ROWS)
        beginning[first // DAY_US] += rows
        overlapping.update(dict.fromkeys(range(first // DAY_US, last // DAY_US + 1), rows))
    start = min((one[0] for one in extents), default=0)
    end = max((one[1] for one in extents), default=0) + 1
    pieces: list[tuple[int, int]] = []
    held = 0
    for day in sorted(overlapping):
        piece = (max(day * DAY_US, start), min((day + 1) * DAY_US, end))
        if pieces and pieces[-1][1] == piece[0] and held + beginning[day] <= PIECE_ROWS:
            held += beginning[day]
            pieces[-1] = (pieces[-1][0], piece[1])
        else:
            held = overlapping[day]
            pieces.append(piece)
    return pieces
