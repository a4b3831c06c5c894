"""Compute robust centers and spreads of features."""

from __future__ import annotations

import numpy as np

from batch_scoring.tables.arrays import Float

# Nine deviations in ten of a normal distribution are within as many standard deviations. A spread from the
# outer windows makes features of heavy and light tails comparable: by the median deviation, a feature that
# changes in bursts drowned the spikes of the others.
_SHARE, _OF_NORMAL = 0.9, 1.6449
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
    last = by_feature.shape[1] - 1
    center = 0.5 * (by_feature[:, last // 2] + by_feature[:, (last + 1) // 2])
    place = int(np.ceil(_SHARE * last))
    deviation = np.partition(np.abs(by_feature - center[:, None]), place, axis=1)[:, place]
    left_out = int(np.ceil(_OUTSIDE / 2 * last))
    inner = by_feature[:, left_out : last + 1 - left_out].std(axis=1)
    spread = np.maximum(deviation / _OF_NORMAL, _OF_STD * inner)
    # Only the most extreme windows change.
    spread = np.where(spread > 0, spread, X.std(axis=0))
    return center, np.maximum(spread, _SMALLEST)
