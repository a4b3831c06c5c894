"""Join stretches of time that overlap or lie close together, many series at once."""

from __future__ import annotations

import numpy as np

from batch_scoring.tables.arrays import Float, Int


def group_stretches(series: Int, start: Int, end: Int, slack: int) -> Int:
    """Number the group of each stretch from 0.

    Parameters
    ----------
    series, start, end : array of shape (n,), int64
        Sorted by series and start; times in microseconds.
    slack : int
        Stretches of a series at most this far apart are of one group, microseconds.

    Examples
    --------
    >>> group_stretches(np.array([0, 0, 0, 1]), np.array([0, 2, 9, 9]), np.array([6, 4, 10, 10]), 2).tolist()
    [0, 0, 1, 2]
    """
    # Ranks among all times, shifted so that each series' follow those of the series before.
    places = np.unique(np.concatenate([start, end + slack]), return_inverse=True)[1]
    shift = series * places.size
    begin, until = places[: start.size] + shift, places[start.size :] + shift
    is_new = np.append(True, begin[1:] > np.maximum.accumulate(until)[:-1])[: start.size]
    return np.cumsum(is_new) - 1


def join_stretches(series: Int, start: Int, end: Int, slack: int) -> tuple[Int, Int, Int]:
    """Join the stretches of each series that lie at most ``slack`` apart.

    Returns
    -------
    series, start, end : array of shape (m,), int64
        Sorted by series and start; no two stretches of a series overlap.
    """
    if series.size == 0:
        return series, start, end
    order = np.lexsort((start, series))
    series, start, end = series[order], start[order], end[order]
    group = group_stretches(series, start, end, slack)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return series[first], start[first], np.maximum.reduceat(end, first)


def deepest_stretches(
    owner: Int, start: Int, end: Int, born: tuple[Int, Int], gone: Int, share: float
) -> tuple[Int, Int, Int]:
    """Find when at least a share of an owner's members lie in a stretch of their own.

    Parameters
    ----------
    owner, start, end : array of shape (n,), int64
        The stretches of members, each of one owner; those of one member do not overlap.
    born : (array of shape (m,), array of shape (m,))
        The owner of each member, and since when it counts, at most until it is gone.
    gone : array of shape (m,), int64
        When each member ceases to count.
    share : float
        More than 0 and at most 1.

    Returns
    -------
    owner, start, end : array of shape (k,), int64
        Sorted by owner and start.

    Examples
    --------
    >>> stretches = np.array([0, 0]), np.array([2, 4]), np.array([6, 9])
    >>> deepest_stretches(*stretches, (np.array([0, 0]), np.array([0, 0])), np.array([10, 10]), 1.0)
    (array([0]), array([4]), array([6]))
    """
    mother, since = born
    owners = np.concatenate([owner, owner, mother, mother])
    times = np.concatenate([start, end, since, gone])
    ones, no_ones = np.ones(owner.size, np.int64), np.zeros(since.size, np.int64)
    deeper = np.concatenate([ones, -ones, no_ones, no_ones])
    more = np.concatenate([0 * ones, 0 * ones, no_ones + 1, no_ones - 1])
    order = np.lexsort((times, owners))
    owners, times = owners[order], times[order]
    depth, members = np.cumsum(deeper[order]), np.cumsum(more[order])
    # What holds from each moment to the next; moments with several events have it at the last of them.
    is_last = np.append((np.diff(owners) != 0) | (np.diff(times) != 0), True)[: owners.size]
    owners, times, depth, members = (some[is_last] for some in (owners, times, depth, members))
    is_deep = (members > 0) & (depth >= share * members)
    until = np.append(times[1:], gone.max(initial=0))
    return join_stretches(owners[is_deep], times[is_deep], until[is_deep], 0)


def overlap(owner: Int, start: Int, end: Int, others: tuple[Int, Int, Int]) -> Int:
    """Sum up how long each stretch overlaps the stretches of the same owner among others, shape (n,).

    Parameters
    ----------
    owner, start, end : array of shape (n,), int64
    others : (owner, start, end)
        Sorted by owner and start; those of one owner do not overlap.
    """
    if not others[0].size:
        return np.zeros(owner.size, np.int64)
    return _covered_before(owner, end, others) - _covered_before(owner, start, others)


def _covered_before(owner: Int, time: Int, others: tuple[Int, Int, Int]) -> Int:
    theirs, begin, until = others
    total = np.append(0, np.cumsum(until - begin))
    # The number of stretches that begin before the time, those of earlier owners among them.
    places = np.unique(np.concatenate([begin, time]), return_inverse=True)[1]
    keys, wanted = theirs * places.size + places[: begin.size], owner * places.size + places[begin.size :]
    n = np.searchsorted(keys, wanted)
    last = np.maximum(n - 1, 0)
    is_inside = (n > 0) & (theirs[last] == owner)
    beyond = np.where(is_inside, np.maximum(until[last] - time, 0), 0)
    covered: Int = total[n] - beyond
    return covered


def expand(first: Int, until: Int) -> tuple[Int, Int]:
    """Number the rows of n ranges ``[first, until)``, one range after the other.

    Returns
    -------
    of, row : array of shape (m,), int64
        The range of each, from 0, and the row.

    Examples
    --------
    >>> expand(np.array([4, 7, 7]), np.array([6, 7, 8]))
    (array([0, 0, 2]), array([4, 5, 7]))
    """
    size = until - first
    of = np.repeat(np.arange(size.size), size)
    return of, np.arange(of.size) - (np.cumsum(size) - size)[of] + first[of]


def usual_length(series: Int, start: Int, end: Int, length: Int, memory: int, rank: int, lags: int) -> Float:
    """Return the length that a stretch of its series usually has, as far as was known when it began.

    Parameters
    ----------
    series, start, end, length : array of shape (n,), int64
        Sorted by series and start.
    memory : int
        Stretches that ended earlier than this before are forgotten, microseconds.
    rank : int
        The usual length is that of the ``rank``-th longest, and 0 where there are fewer.
    lags : int
        Number of earlier stretches that are looked at.

    Returns
    -------
    array of shape (n,), float64

    Examples
    --------
    >>> start, length = np.array([0, 10, 20, 30]), np.array([3, 1, 2, 4])
    >>> usual_length(np.zeros(4, np.int64), start, start + length, length, 100, rank=3, lags=60).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    longest = np.zeros((rank, series.size))
    for lag in range(1, min(lags, series.size - 1) + 1):
        is_known = (series[lag:] == series[:-lag]) & (end[:-lag] > start[lag:] - memory)
        if not is_known.any():
            break
        longest[0, lag:] = np.maximum(longest[0, lag:], np.where(is_known, length[:-lag], 0))
        longest.sort(axis=0)
    return longest[0] if series.size else np.zeros(0)
