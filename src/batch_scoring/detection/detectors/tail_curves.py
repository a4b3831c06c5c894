"""Estimate tail probabilities of values in decades: empirical body, and a tail that is extrapolated.

A decade is a factor of ten: 2.0 means that one normal value in a hundred is as large. Beyond the largest
tenth, or the largest 75 values, the curve goes on as the tail of an exponential distribution, which excesses
over a high threshold approach (peaks over threshold, Pickands 1975; a generalised Pareto distribution of
shape 0, fitted by its mean). So values far beyond all training windows have a finite estimate, and ten times
rarer is one more.

An exponential tail puts one question's decades beside another's. What they come to together is calibrated, by
a tail whose shape is fitted, too: bounded where the windows say so. An exponential one would be ten times too
cautious at one in 2,016 there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from batch_scoring.tables.arrays import Float, Int

# Knots of the body, evenly spaced in decades from 0 to where the tail begins; then its slope and beginning.
N_KNOTS = 9
N_NUMBERS = N_KNOTS + 2
_QUARTER = (N_KNOTS - 1) // 4
TAIL_SHARE = 0.1
# Enough for the mean; with more windows the tail begins farther out, with less extrapolation.
_LEAST_IN_TAIL, _MOST_IN_TAIL = 20, 75
_SMALLEST = 1e-9
# A calibrated tail rises at most this many times as steeply as the straight line to its beginning. What few
# distinct readings come to ties: their mean excess is next to nothing, and a hair beyond had no end.
_STEEPEST = 20.0
# Bounds of the shape: never heavier than exponential, as a single wild value among the training windows must
# not make every later one usual; at -0.5 the probability falls with the square of the distance to the end.
_SHAPES = (-0.5, 0.0)
# A shape nearer to 0 bends a tail by less than the digits that are left.
_STRAIGHT = -1e-9
# Decades of the tail after which it goes on as an exponential one: a value beyond the end of a bounded tail
# has a finite estimate, and farther is rarer.
_CURVED_DECADES = 3.0
_LN10 = float(np.log(10))


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
    n_tail = int(n_in_tail(np.array([n]))[0])
    last = ordered[n - n_tail - 1]
    excess = max(float(ordered[n - n_tail :].mean() - last), _SMALLEST)
    decades_at_last = -np.log10(n_tail / n)
    place = (1 - 10.0 ** (-decades_at_last * np.linspace(0, 1, N_KNOTS))) * (n - 1)
    low = place.astype(np.int64)
    knots = ordered[low] + (place - low) * (ordered[np.minimum(low + 1, n - 1)] - ordered[low])
    knots[-1] = last
    return np.concatenate([np.maximum.accumulate(np.minimum(knots, last)), [excess, decades_at_last]])


def n_in_tail(n: Int) -> Int:
    """Return how many of the largest of n values make the tail, shape (m,).

    Examples
    --------
    >>> n_in_tail(np.array([30, 100, 500, 5000])).tolist()
    [15, 20, 50, 75]
    """
    wanted = np.minimum(np.ceil(TAIL_SHARE * n).astype(np.int64), _MOST_IN_TAIL)
    return np.maximum(wanted, np.minimum(_LEAST_IN_TAIL, n // 2))


def fit_shape(values: Float) -> Float:
    """Fit the tail of a curve, and its shape; see :func:`fit_shapes`.

    Parameters
    ----------
    values : array of shape (n,), float64
        As of :func:`fit_curve`.

    Returns
    -------
    array of shape (4,), float64
    """
    n = np.array([values.size])
    return fit_shapes(np.sort(values)[None, values.size - n_in_tail(n)[0] - 1 :], n)[0]


def fit_shapes(largest: Float, n: Int) -> Float:
    """Fit the tails of m series from their largest values.

    By probability-weighted moments (Hosking & Wallis 1987), which exist in closed form and are better than
    maximum likelihood below 500 excesses. The shape is estimated from above, by its standard error: the rates
    asked for lie where a tail that is bounded too soon has ended. The mean gives the scale then.

    Parameters
    ----------
    largest : array of shape (m, k), float64
        The k largest values of each, in ascending order; k is more than :func:`n_in_tail` of any.
    n : array of shape (m,), int64
        Number of values of each, 2 or more.

    Returns
    -------
    array of shape (m, 4), float64
        Where the tail begins, its scale, the decades there, and its shape, from -0.5 to 0.
    """
    size, found = n_in_tail(n), np.empty((n.size, 4))
    # One size after the other: with padding, the last bit of a sum would depend on the other series.
    for one in np.unique(size).tolist():
        rows = size == one
        found[rows] = _fit_tails(largest[rows, -one - 1 :], n[rows])
    return found


def _fit_tails(largest: Float, n: Int) -> Float:
    """Fit tails of one size: the columns after the first."""
    begin, tail, size = largest[:, 0], largest[:, 1:], largest.shape[1] - 1
    decades_at_begin = -np.log10(size / n)
    least = np.maximum(begin / (decades_at_begin * _LN10 * _STEEPEST), _SMALLEST)
    mean = np.maximum(tail.mean(axis=1) - begin, least)
    weight = (size - 0.65 - np.arange(size)) / size
    lower = (weight * (tail - begin[:, None])).mean(axis=1)
    shape = np.clip(2 - mean / np.maximum(mean - 2 * lower, _SMALLEST), *_SHAPES)
    shape = np.minimum(shape + _standard_error(shape, size), _SHAPES[1])
    return np.column_stack([begin, mean * (1 - shape), decades_at_begin, shape])


def _standard_error(shape: Float, size: int) -> Float:
    """Compute the standard error of a shape fitted to ``size`` excesses (Hosking & Wallis 1987)."""
    variance = (1 - shape) * (2 - shape) ** 2 * (1 - shape + 2 * shape**2)
    variance /= (1 - 2 * shape) * (3 - 2 * shape) * size
    error: Float = np.sqrt(variance)
    return error


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


def value_at(curves: Float, wanted: Float) -> Float:
    """Compute the smallest value of each curve that is as rare as wanted, the inverse of :func:`decades`.

    Parameters
    ----------
    curves : array of shape (m, 11), float64
    wanted : array of shape (m,), float64
        Decades, above 0.

    Examples
    --------
    >>> curve = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, np.log10(np.e), 1.0]])
    >>> value_at(np.repeat(curve, 2, axis=0), np.array([0.5, 2.0])).round(12).tolist()
    [4.0, 9.0]
    """
    knots, excess, top = curves[:, :N_KNOTS], curves[:, -2], curves[:, -1]
    share = np.clip(np.divide(wanted, top, out=np.ones_like(wanted), where=top > 0), 0.0, 1.0)
    place = share * (N_KNOTS - 1)
    low = np.minimum(place.astype(np.int64), N_KNOTS - 2)
    row = np.arange(len(curves))
    body = knots[row, low] + (place - low) * (knots[row, low + 1] - knots[row, low])
    value: Float = body + np.maximum(wanted - top, 0.0) * excess * _LN10
    return value


def with_light_tails(curves: Float) -> Float:
    """Return the curves with tails that rise no faster than the last quarter of their bodies.

    The mean excess follows a single wild value among the training windows; the knots do not.

    Parameters
    ----------
    curves : array of shape (m, 11), float64

    Examples
    --------
    >>> with_light_tails(np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 99.0, 4.0]]))[0, -2:].round(3).tolist()
    [0.869, 4.0]
    """
    light = curves.copy()
    rise = curves[:, N_KNOTS - 1] - curves[:, N_KNOTS - 1 - _QUARTER]
    over = curves[:, -1] * _QUARTER / (N_KNOTS - 1) * _LN10
    light[:, -2] = np.minimum(curves[:, -2], rise / over)
    return light


def tail_decades_of(excess: Float, scale: Float, shape: Float) -> Float:
    """Compute the decades that a generalised Pareto tail adds, shape (n,).

    Parameters
    ----------
    excess : array of shape (n,), float64
        Values less the beginning of the tail, not negative.
    scale, shape : array of shape (n,), float64
        Of :func:`fit_shape`.

    Examples
    --------
    >>> tail_decades_of(np.array([1.0, 1.9, 1.95]), np.ones(3), np.array([0.0, -0.5, -0.5])).round(3).tolist()
    [0.434, 2.602, 3.006]
    """
    added = excess / (scale * _LN10)
    bent = np.flatnonzero((shape < _STRAIGHT) & (excess > 0))
    if bent.size:
        its_shape, y = shape[bent], added[bent] * _LN10
        end = _end_of_curve(its_shape)
        inner = np.log1p(its_shape * np.minimum(y, end)) / (its_shape * _LN10)
        added[bent] = inner + np.maximum(y - end, 0.0) / _LN10
    return added


def excess_at(wanted: Float, scale: Float, shape: Float) -> Float:
    """Compute the excess at which each tail has added the wanted decades, the inverse of the above."""
    bent = np.where(shape < _STRAIGHT, shape, -1.0)
    curved = np.minimum(wanted, _CURVED_DECADES) * _LN10
    curved = np.where(shape < _STRAIGHT, np.expm1(bent * curved) / bent, curved)
    excess: Float = scale * (curved + np.maximum(wanted - _CURVED_DECADES, 0.0) * _LN10)
    return excess


def _end_of_curve(shape: Float) -> Float:
    """Return where tails of a negative shape leave their curve, in scales."""
    end: Float = (10.0 ** (_CURVED_DECADES * shape) - 1) / shape
    return end
