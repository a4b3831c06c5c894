"""Estimate tail probabilities of values in decades: empirical body and exponential tail.

A decade is a factor of ten: 2.0 means that one normal value in a hundred is as large. Beyond the largest
tenth, or the largest 75 values, the curve goes on as the tail of an exponential distribution, which excesses
over a high threshold approach (peaks over threshold, Pickands 1975; a generalised Pareto distribution of
shape 0, fitted by its mean). So values far beyond all training windows have a finite estimate, and ten times
rarer is one more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from batch_scoring.tables.arrays import Float, Int

# Knots of the body, evenly spaced in decades from 0 to where the tail begins; then its slope and beginning.
N_KNOTS = 9
N_NUMBERS = N_KNOTS + 2
TAIL_SHARE = 0.1
# Enough for the mean; with more windows the tail begins farther out, with less extrapolation.
_LEAST_IN_TAIL, _MOST_IN_TAIL = 20, 75
_SMALLEST = 1e-9


def fit_curve(values: Float) -> Float:
    """Fit the curve of the values of normal windows; larger values are rarer.

    Parameters
    ----------
    values : array of shape (n,), float64
        Of windows the model has not seen; n >= 2.

    Returns
    -------
    array of shape (11,), float64
        Nine knots, the mean excess over the last one, and the decades at the last one.
    """
    ordered = np.sort(values)
    n = ordered.size
    n_tail = max(min(int(np.ceil(TAIL_SHARE * n)), _MOST_IN_TAIL), min(_LEAST_IN_TAIL, n // 2))
    last = ordered[n - n_tail - 1]
    excess = max(float(ordered[n - n_tail :].mean() - last), _SMALLEST)
    decades_at_last = -np.log10(n_tail / n)
    place = (1 - 10.0 ** (-decades_at_last * np.linspace(0, 1, N_KNOTS))) * (n - 1)
    low = place.astype(np.int64)
    knots = ordered[low] + (place - low) * (ordered[np.minimum(low + 1, n - 1)] - ordered[low])
    knots[-1] = last
    return np.concatenate([np.maximum.accumulate(np.minimum(knots, last)), [excess, decades_at_last]])


def decades(curves: Float, counts: Int, values: Float) -> Float:
    """Compute −log10 of the tail probability of each value.

    Parameters
    ----------
    curves : array of shape (m, 11), float64
        Of :func:`fit_curve`.
    counts : array of shape (m,), int64
        Number of values of each curve; values are in the order of the curves.
    values : array of shape (n,), float64

    Returns
    -------
    array of shape (n,), float64
        0 up to the first knot, unbounded above, and non-decreasing in the value.

    Examples
    --------
    >>> curve = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, np.log10(np.e), 1.0]])
    >>> decades(curve, np.array([3]), np.array([-1.0, 4.0, 9.0])).round(12).tolist()
    [0.0, 0.5, 2.0]
    """

    def spread(numbers: Any) -> Float:
        return np.repeat(np.ascontiguousarray(numbers), counts)

    knots, excess, top = curves[:, :N_KNOTS], curves[:, -2], curves[:, -1]
    # Where two knots coincide, any value beyond both has passed the step.
    slopes = 1.0 / np.maximum(np.diff(knots, axis=1), np.finfo(np.float64).tiny)
    body = np.zeros(values.size)
    with np.errstate(over="ignore"):
        for knot in range(N_KNOTS - 1):
            step = values - spread(knots[:, knot])
            step *= spread(slopes[:, knot])
            body += np.clip(step, 0.0, 1.0, out=step)
    body *= spread(top / (N_KNOTS - 1))
    tail = values - spread(knots[:, -1])
    np.maximum(tail, 0.0, out=tail)
    tail /= spread(excess * np.log(10))
    body += tail
    return body
