"""Tell young models, which have not seen a full week, from the others."""

from __future__ import annotations

from datetime import timedelta

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.tables.arrays import Bool, Int

# The cycle that machines and people live by; a shorter training has not seen all days of it.
WEEK = timedelta(days=7)


def is_warming_up(trained_from: Int, trained_to: Int, cycle: timedelta = WEEK) -> Bool:
    """Which models were trained on less than a cycle, shape (n,).

    Parameters
    ----------
    trained_from, trained_to : array of shape (n,), int64
        When the first training window starts and the last one ends, µs since the epoch.
    cycle : timedelta

    Examples
    --------
    >>> import numpy as np
    >>> day = 86_400_000_000
    >>> is_warming_up(np.array([0, 0]), np.array([6 * day, 7 * day])).tolist()
    [True, False]
    """
    young: Bool = trained_to - trained_from < cycle // MICROSECOND
    return young
