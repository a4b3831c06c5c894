"""Compute robust centers and spreads of features."""

from __future__ import annotations

import numpy as np

from batch_scoring.tables.arrays import Float

# Nine deviations in ten of a normal distribution are within as many standard deviations. A spread from the
# outer windows makes features of heavy and light tails comparable: by the median deviation, a feature that
# changes in bursts drowned the spikes of the others.
USUAL, NEARLY_ALL = (0.9, 1.6449), (0.99, 2.5758)
# A feature that is mostly constant and changes in bursts has a deviation of nearly 0: half of its standard
# deviation replaces it, without the most extreme windows, as a single one could dominate it.
_OF_STD, _OUTSIDE = 0.5, 0.01
_SMALLEST = 1e-12


def center_and_spread(X: Float, within: tuple[float, float] = USUAL) -> tuple[Float, Float]:
    """Compute the median and spread of each feature, both of shape (d,).

    Parameters
    ----------
    X : array of shape (n, d), float64
    within : (float, float)
        A share of the deviations, and how many standard deviations that share of a normal one is within.
    """
    share, of_normal = within
    by_feature = np.array(X.T, order="C")
    by_feature.sort(axis=1)
    last = by_feature.shape[1] - 1
    center = 0.5 * (by_feature[:, last // 2] + by_feature[:, (last + 1) // 2])
    spread = np.maximum(_deviation(by_feature, center, share) / of_normal, _OF_STD * _inner_std(by_feature))
    if not (spread > 0).all():
        # Only the most extreme windows change.
        spread = np.where(spread > 0, spread, X.std(axis=0))
    return center, np.maximum(spread, _SMALLEST)


def _deviation(ordered: Float, center: Float, share: float) -> Float:
    """Find the deviation that a share of the values stays within, of each row in ascending order.

    These are neighbours: of all runs of as many, theirs reaches least far. So there is nothing
    left to sort.

    Examples
    --------
    >>> _deviation(np.array([[0.0, 1.0, 2.0, 3.0, 9.0]]), np.array([2.0]), 0.9).tolist()
    [7.0]
    """
    last = ordered.shape[1] - 1
    place = int(np.ceil(share * last))
    below = center[:, None] - ordered[:, : last + 1 - place]
    above = ordered[:, place:] - center[:, None]
    farthest: Float = np.maximum(below, above).min(axis=1)
    return farthest


def _inner_std(ordered: Float) -> Float:
    """Compute the standard deviation of each row in ascending order, without the most extreme values."""
    last = ordered.shape[1] - 1
    left_out = int(np.ceil(_OUTSIDE / 2 * last))
    inner: Float = ordered[:, left_out : last + 1 - left_out].std(axis=1)
    return inner
