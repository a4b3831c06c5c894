"""Compute robust centers and spreads of features, and detect windows returning to normal."""

from __future__ import annotations

import numpy as np

from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.tables.arrays import Bool, Float

# Standard deviation of a normal distribution in units of its median absolute deviation.
_OF_NORMAL = 1.4826
# A feature that is mostly constant and changes in bursts has a deviation of nearly 0: half of its standard
# deviation replaces it, without the most extreme windows, as a single one could dominate it.
_OF_STD, _OUTSIDE = 0.5, 0.01
_SMALLEST = 1e-12


def center_and_spread(X: Float) -> tuple[Float, Float]:
    """Compute the median and spread of each feature, both of shape (d,).

    Parameters
    ----------
    X : array of shape (n, d), float64
    """
    by_feature = np.sort(X.T, axis=1)
    center = _middle(by_feature)
    deviation = _middle(np.sort(np.abs(by_feature - center[:, None]), axis=1))
    last = by_feature.shape[1] - 1
    left_out = int(np.ceil(_OUTSIDE / 2 * last))
    inner = by_feature[:, left_out : last + 1 - left_out].std(axis=1)
    spread = np.maximum(_OF_NORMAL * deviation, _OF_STD * inner)
    # Only the most extreme windows change.
    spread = np.where(spread > 0, spread, X.std(axis=0))
    return center, np.maximum(spread, _SMALLEST)


def is_recovering(
    X: Float, center_of_mean: Float, of_hour: Float, of_hour_before: Float, roles: Roles
) -> Bool:
    """Mark windows whose mean returns to its usual level, so that their step is normal, shape (n,).

    Parameters
    ----------
    X : array of shape (n, d), float64
        As aggregated.
    center_of_mean, of_hour, of_hour_before : arrays of shape (n,), float64
        Median of the mean, and its offsets in the hours of the window and the preceding one.
    """
    mean = X[:, roles.mean] - center_of_mean
    result: Bool = np.abs(mean - X[:, roles.diff_mean] - of_hour_before) > np.abs(mean - of_hour)
    return result


def _middle(ordered: Float) -> Float:
    n = ordered.shape[1]
    middle: Float = 0.5 * (ordered[:, (n - 1) // 2] + ordered[:, n // 2])
    return middle
