"""Estimate a lower bound of the flag rate from alarms, that is, runs of flagged windows.

One disturbance flags many adjacent windows, so windows are not independent. Alarms nearly are: their
number is treated as a Poisson variable, and the windows of each as its size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from batch_scoring.tables.arrays import Bool, Float, Int

# One-sided, 99 %: one in a hundred devices within its budget is reported as over it by chance.
_Z = 2.3263478740408408


def begins_alarm(device: Int, is_flagged: Bool) -> Bool:
    """Mark the windows that begin a run of flagged ones, shape (n,).

    Parameters
    ----------
    device : array of shape (n,), int64
        The number of each window's device; windows sorted by device and start.
    is_flagged : array of shape (n,), bool

    Examples
    --------
    >>> begins_alarm(np.array([0, 0, 0, 1]), np.array([True, True, False, True])).tolist()
    [True, False, False, True]
    """
    goes_on = np.zeros(device.size, np.bool_)
    goes_on[1:] = (device[1:] == device[:-1]) & is_flagged[:-1]
    return is_flagged & ~goes_on


def least_rate(n_flagged: Any, n_alarms: Any, n_windows: Any) -> Float:
    """Compute the lower 99 % confidence bound of the flag rate.

    Parameters
    ----------
    n_flagged, n_alarms, n_windows : arrays of one shape, int64
        Flagged windows, their runs, and all windows. Without windows the bound is 0.

    Returns
    -------
    array of the same shape, float64
        The flag rate, times the lower bound of a Poisson variable's mean by its value: Wilson and
        Hilferty's cube (1931) approximates the chi-square quantile, a little low for one or two alarms.

    Examples
    --------
    >>> least_rate(np.array([100, 100]), np.array([1, 100]), np.array([1000, 1000])).round(3).tolist()
    [0.0, 0.078]
    """
    flagged, alarms, windows = (np.asarray(one, np.float64) for one in (n_flagged, n_alarms, n_windows))
    k = np.maximum(alarms, 1.0)
    share = np.maximum(1 - 1 / (9 * k) - _Z / (3 * np.sqrt(k)), 0.0) ** 3
    return np.divide(flagged, windows, out=np.zeros_like(flagged), where=windows > 0) * share
