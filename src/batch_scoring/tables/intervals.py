"""Match windows with labelled time intervals by overlap, using binary search."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from batch_scoring.tables.arrays import Bool, Float, Int


@dataclass(frozen=True)
class Timeline:
    """Windows of many series (n in all), sorted by series and start; no overlaps within a series.

    Attributes
    ----------
    series : array of shape (n,), int64
        The number of each window's series; not negative.
    start, end : array of shape (n,), int64
        Half-open, ``[start, end)``, microseconds since the epoch, UTC.
    """

    series: Int
    start: Int
    end: Int


@dataclass(frozen=True)
class Spans:
    """Row ranges of a timeline, m of them: rows ``first[i]`` up to, not including, ``last[i]``.

    Attributes
    ----------
    first, last : array of shape (m,), int64
        Equal where a range is empty.
    """

    first: Int
    last: Int

    @property
    def size(self) -> Int:
        """Rows of each range, shape (m,)."""
        return self.last - self.first

    def cover(self, n: int) -> Bool:
        """Mark the rows, of n, that lie in any range, shape (n,)."""
        change = np.zeros(n + 1, np.int64)
        np.add.at(change, self.first, 1)
        np.add.at(change, self.last, -1)
        inside: Bool = np.cumsum(change[:-1]) > 0
        return inside

    def have(self, flags: Bool) -> Bool:
        """Mark the ranges with a flagged row, shape (m,)."""
        before = np.concatenate([[0], np.cumsum(flags)])
        found: Bool = before[self.last] > before[self.first]
        return found

    def share(self, flags: Bool) -> Float:
        """Compute the share of flagged rows of each range, shape (m,); 0 where it is empty."""
        before = np.concatenate([[0], np.cumsum(flags)])
        flagged: Float = (before[self.last] - before[self.first]) / np.maximum(self.size, 1)
        return flagged

    def first_flagged(self, flags: Bool) -> Int:
        """Find the first flagged row of each range, shape (m,); -1 where there is none."""
        rows = np.append(np.flatnonzero(flags), flags.size)
        following = rows[np.searchsorted(rows[:-1], self.first)]
        return np.where(following < self.last, following, -1)


def overlapping(windows: Timeline, series: Int, start: Int, end: Int) -> Spans:
    """Find the windows that each interval overlaps.

    Parameters
    ----------
    windows : Timeline
    series, start, end : array of shape (m,), int64
        Intervals ``[start, end)`` of a series, in any order. The range is empty for an empty
        interval, a series without windows, or series -1.

    Examples
    --------
    >>> hours = Timeline(np.zeros(3, int), np.array([0, 10, 20]), np.array([10, 20, 30]))
    >>> spans = overlapping(hours, np.array([0, 0]), np.array([5, 10]), np.array([11, 10]))
    >>> spans.first.tolist(), spans.last.tolist()
    ([0, 1], [2, 1])
    """
    # Times become positions among the windows' edges: series and position make one small number.
    edges = np.unique(np.concatenate([windows.start, windows.end]))
    n = edges.size + 1
    ends = windows.series * n + np.searchsorted(edges, windows.end)
    starts = windows.series * n + np.searchsorted(edges, windows.start)
    first = np.searchsorted(ends, series * n + np.searchsorted(edges, start, "right"))
    last = np.searchsorted(starts, series * n + np.searchsorted(edges, end, "left"))
    return Spans(first, np.where(end > start, np.maximum(first, last), first))


def slices(series: Int, n_series: int) -> list[slice]:
    """Return the rows of each series, numbered from 0; rows are sorted by series."""
    edges = np.searchsorted(series, np.arange(n_series + 1)).tolist()
    return [slice(first, last) for first, last in pairwise(edges)]


def runs(windows: Timeline, flags: Bool) -> Spans:
    """Find runs of adjacent flagged windows: each begins where the one before it ends."""
    follows = np.zeros(flags.size, bool)
    follows[1:] = (windows.series[1:] == windows.series[:-1]) & (windows.start[1:] == windows.end[:-1])
    flagged_before = np.zeros(flags.size, bool)
    flagged_before[1:] = flags[:-1]
    begins = flags & ~(follows & flagged_before)
    first = np.flatnonzero(begins)
    run = np.cumsum(begins)[flags] - 1
    return Spans(first, first + np.bincount(run, minlength=first.size))


def joined(series: Int, start: Int, end: Int, touching: bool) -> Int:
    """Number intervals so that overlapping ones of a series, directly or by others, share a number.

    Parameters
    ----------
    series, start, end : array of shape (m,), int64
        Intervals ``[start, end)``, in any order.
    touching : bool
        Whether an interval that begins where another ends is joined to it.

    Returns
    -------
    array of shape (m,), int64
        Numbers from 0 on, rising with series and start.
    """
    order = np.lexsort((end, start, series))
    series, start, end = series[order], start[order], end[order]
    # The latest end so far in the series; a later series always has larger numbers.
    ends, place = np.unique(end, return_inverse=True)
    latest = np.maximum.accumulate(series * ends.size + place)
    before = ends[latest[:-1] - series[:-1] * ends.size] if end.size else end
    apart = start[1:] > before if touching else start[1:] >= before
    numbers = np.zeros(order.size, np.int64)
    numbers[order[1:]] = np.cumsum((series[1:] != series[:-1]) | apart)
    return numbers


def without(
    intervals: tuple[Any, Int, Int, Int], cut_series: Int, cut_start: Int, cut_end: Int
) -> tuple[Any, Int, Int, Int]:
    """Subtract intervals from others; an interval cut in the middle becomes two.

    Parameters
    ----------
    intervals : tuple of arrays of shape (m,)
        Data rows of the intervals, series, start, end.
    cut_series, cut_start, cut_end : array of shape (k,), int64
        The intervals to subtract, few.

    Returns
    -------
    tuple of arrays
        The remaining intervals, without empty ones.
    """
    row, series, start, end = intervals
    for one, begin, stop in zip(cut_series.tolist(), cut_start.tolist(), cut_end.tolist(), strict=True):
        hit = (series == one) & (start < stop) & (end > begin)
        # The part before the cut stays in its place, the part after it is added.
        after = hit & (end > stop)
        added = row[after], series[after], np.full(after.sum(), stop), end[after]
        kept = row, series, start, np.where(hit, np.minimum(end, begin), end)
        row, series, start, end = (np.concatenate(pair) for pair in zip(kept, added, strict=True))
        left = start < end
        row, series, start, end = row[left], series[left], start[left], end[left]
    return row, series, start, end
