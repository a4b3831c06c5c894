"""Find the time at which a share of a sensor's windows has passed, each device with the same weight.

By windows, not by the calendar: one reading of a clock that was never set, decades ago, is one window. Each
device weighs the same, so that one with a much longer history than the others does not push the end of the
training to before they began. A device with too few windows for a model counts for nothing: one that has
sent for an hour would push the end of the training of the others to that hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import positions, to_numpy


def last_start_of_share(
    read: Callable[[], Iterable[pa.Table]], first: int, share: float, at_least: int = 1
) -> int | None:
    """Return the start of the last window of the share; None where no window starts at ``first`` or later.

    Parameters
    ----------
    read : callable
        Returns the windows, columns ``device`` and ``window_start``, in batches; it is called twice, so that
        no more than a batch is held.
    first : int
        Windows that start before do not count, µs since the epoch.
    share : float
        Above 0 and up to 1: of the windows of each device, the mean over the devices.
    at_least : int
        Devices with fewer windows do not count, unless all have fewer.
    """
    counted = [_of_devices(part, first) for part in read()]
    counts = pa.concat_tables([part for part in counted if part.num_rows] or counted[:1]) if counted else None
    if counts is None or not counts.num_rows:
        return None
    total = counts.group_by("device").aggregate([("n", "sum")])
    devices, n = total["device"].combine_chunks(), to_numpy(total["n_sum"])
    weights_of = np.where((n >= at_least) | (n.max() < at_least), 1.0 / n, 0.0)
    starts, weights = [], []
    for part in read():
        start = to_numpy(part["window_start"])
        kept = start >= first
        weight = weights_of[np.maximum(positions(part["device"], devices), 0)]
        distinct, place = np.unique(start[kept], return_inverse=True)
        starts.append(distinct)
        weights.append(np.bincount(place, weight[kept], distinct.size))
    return last_of_share(np.concatenate(starts), np.concatenate(weights), share)


def last_of_share(starts: Int, weights: Float, share: float) -> int:
    """Return the last start at which no more than a share of the weight has passed; at least the first one.

    Parameters
    ----------
    starts : array of shape (n,), int64
        At least one; in any order, repeated or not.
    weights : array of shape (n,), float64

    Examples
    --------
    >>> last_of_share(np.array([0, 10, 20, 30]), np.ones(4), 0.75)
    20
    """
    distinct, place = np.unique(starts, return_inverse=True)
    passed = np.cumsum(np.bincount(place, weights))
    # Sums of fractions: what differs by rounding is the same.
    n_inside = int(np.searchsorted(passed, share * passed[-1] * (1 + 1e-9), "right"))
    return int(distinct[max(n_inside, 1) - 1])


def _of_devices(part: pa.Table, first: int) -> pa.Table:
    kept = to_numpy(part["window_start"]) >= first
    devices = part["device"] if kept.all() else part["device"].filter(pa.array(kept))
    counts = devices.value_counts()
    return pa.table({"device": counts.field("values"), "n": counts.field("counts")})
