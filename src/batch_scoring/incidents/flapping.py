"""Find incidents that flap: the same sensor of a device is unusual again, shift after shift."""

from __future__ import annotations

import numpy as np

from batch_scoring.incidents.stretches import group_stretches
from batch_scoring.tables.arrays import Int


def join_flaps(group: Int, series: Int, start: Int, end: Int, within_us: int) -> Int:
    """Return for each group the first of the groups that flap with it, shape (n_groups,).

    Groups flap together where a series of both is unusual again within a time, or where both flap with a
    third one.

    Parameters
    ----------
    group, series, start, end : array of shape (n,), int64
        Incidents, of the groups 0 … n_groups - 1; times in microseconds.
    within_us : int
        Longest time from the end of an incident to the start of the next one, microseconds.

    Examples
    --------
    >>> group, series = np.array([0, 1, 1, 2, 3]), np.array([7, 7, 8, 8, 7])
    >>> start = np.array([0, 20, 21, 40, 90])
    >>> join_flaps(group, series, start, start + 5, 20).tolist()
    [0, 0, 0, 3]
    """
    label = np.arange(group.max(initial=-1) + 1)
    order = np.lexsort((start, series))
    chain = group_stretches(series[order], start[order], end[order], within_us)
    group = group[order]
    while chain.size:
        # The first group of each chain, and of these the first for each group, until nothing changes.
        first = np.full(chain[-1] + 1, label.size)
        np.minimum.at(first, chain, label[group])
        better = label.copy()
        np.minimum.at(better, group, first[chain])
        if np.array_equal(better, label):
            break
        label = better
    return label
