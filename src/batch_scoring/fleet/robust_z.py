"""How far each feature of a window lies from its median, in spreads, and what counts of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from batch_scoring.fleet.treatments import Roles

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

# The standard deviation of a normal distribution in its median absolute deviations.
_OF_NORMAL = 1.4826
# A feature that mostly stands still has a deviation of 0; half of its standard deviation stands in.
_OF_STD = 0.5
_SMALLEST = 1e-12


def center_and_spread(X: Float) -> tuple[Float, Float]:
    """The median of each feature, and its spread, both of shape (d,).

    Parameters
    ----------
    X : array of shape (n, d), float64
    """
    by_feature = np.ascontiguousarray(X.T)
    center = _middle(by_feature)
    deviation = _middle(np.abs(by_feature - center[:, None]))
    spread = np.maximum(_OF_NORMAL * deviation, _OF_STD * by_feature.std(axis=1))
    return center, np.maximum(spread, _SMALLEST)


def is_recovering(
    X: Float, center_of_mean: Float, of_hour: Float, of_hour_before: Float, roles: Roles
) -> Bool:
    """Windows whose mean comes back to its usual level: their step is no news, shape (n,).

    Parameters
    ----------
    X : array of shape (n, d), float64
        As aggregated.
    center_of_mean, of_hour, of_hour_before : arrays of shape (n,), float64
        The median of the mean, and what the hours of the window and of the one before add to it.
    """
    mean = X[:, roles.mean] - center_of_mean
    result: Bool = np.abs(mean - X[:, roles.diff_mean] - of_hour_before) > np.abs(mean - of_hour)
    return result


def _middle(rows: Float) -> Float:
    ordered = np.sort(rows, axis=1)
    n = ordered.shape[1]
    middle: Float = 0.5 * (ordered[:, (n - 1) // 2] + ordered[:, n // 2])
    return middle
