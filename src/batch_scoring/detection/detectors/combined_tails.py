"""Compute decades of tail probability for windows of many models of the combined detector.

A decade is a factor of ten: the unit of −log10 of a tail probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from batch_scoring.detection.detectors.center_and_spread import is_recovering
from batch_scoring.detection.detectors.preprocessing import COUNTER, HOURS, Roles, hour_of, without_count
from batch_scoring.detection.detectors.tail_curves import decades
from batch_scoring.tables.arrays import Float, Int

# An SVM's score is bounded, so it has no real tail: it counts up to one window in ten (at nu 0.1).
SVM_DECADES = 1.0
# The distance adds a fifth where both find a window rare, so it ranks windows that the SVM cannot.
_OF_DISTANCE = 0.2


@dataclass(frozen=True)
class CombinedModels:
    """Median, spread and hours of m models over d features, L of them levels.

    Attributes
    ----------
    kind : array of shape (m,), int64
        Positions in ``preprocessing.KINDS``.
    center, spread : array of shape (m, d), float64
    season : array of shape (m,), int64
        Position of the model's hours in ``of_hour``; -1 without seasonality.
    of_hour : array of shape (s, L, 24), float64
        Offset of each level in each hour of the day, UTC.
    """

    kind: Int
    center: Float
    spread: Float
    season: Int
    of_hour: Float

    def part(self, some: slice) -> CombinedModels:
        """Slice the models without copying."""
        return CombinedModels(
            self.kind[some], self.center[some], self.spread[some], self.season[some], self.of_hour
        )


@dataclass(frozen=True)
class Curves:
    """Tail curves of m models; see ``tail_curves``.

    Attributes
    ----------
    distance, svm : array of shape (m, 11), float64
        Curves of the largest ``log(1 + z)``, and of ``-score / rho``.
    both : array of shape (m, 4), float64
        Combined curve: start of the tail, its mean excess, the decades there, and a margin.
    """

    distance: Float
    svm: Float
    both: Float

    def part(self, some: slice) -> Curves:
        """Slice the curves without copying."""
        return Curves(self.distance[some], self.svm[some], self.both[some])


def treat(
    X: Float, start_us: Int, window_us: int, counts: Int, models: CombinedModels, roles: Roles
) -> tuple[Float, Float]:
    """Difference counters, remove hour-of-day seasonality, and measure the distance from the median.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Windows as aggregated; rows of a model adjacent, in the order of the models.
    start_us : array of shape (n,), int64
        Start of the windows, microseconds since the epoch.
    window_us : int
    counts : array of shape (m,), int64
        Number of windows of each model.
    models : CombinedModels
    roles : Roles

    Returns
    -------
    X : array of shape (n, d), float64
        Input of the one-class SVM.
    z : array of shape (d, n), float64
        Distances from the median, in spreads, not negative; by feature, as they are used.
    """
    freed = X
    counted = np.flatnonzero(np.repeat(models.kind == COUNTER, counts))
    orphans = counted[:0]
    if counted.size:
        freed = X.copy()
        freed[counted], is_orphan = without_count(X[counted], roles)
        orphans = counted[is_orphan]
    season = np.repeat(models.season, counts)
    seasonal = np.flatnonzero(season >= 0)
    if seasonal.size:
        freed = X.copy() if freed is X else freed
        levels = models.of_hour[season[seasonal], :, hour_of(start_us[seasonal])]
        freed[np.ix_(seasonal, roles.levels)] -= levels
    if orphans.size:
        known = np.append(roles.levels, roles.diff_mean)
        usual = models.center[np.searchsorted(np.cumsum(counts), orphans, side="right")]
        freed[np.ix_(orphans, known)] = usual[:, known]
    z = np.empty((X.shape[1], len(X)))
    for feature, distance in enumerate(z):
        np.subtract(freed[:, feature], np.repeat(models.center[:, feature], counts), out=distance)
        np.abs(distance, out=distance)
        np.divide(distance, np.repeat(models.spread[:, feature], counts), out=distance)
    if roles.has_previous_mean:
        now, before = np.zeros(len(X)), np.zeros(len(X))
        if seasonal.size:
            of_mean = models.of_hour[season[seasonal], roles.place_of_mean]
            row = np.arange(seasonal.size)
            now[seasonal] = of_mean[row, hour_of(start_us[seasonal])]
            before[seasonal] = of_mean[row, hour_of(start_us[seasonal] - window_us)]
        usual_mean = np.repeat(models.center[:, roles.mean], counts)
        is_no_news = is_recovering(X, usual_mean, now, before, roles)
        is_no_news[counted] = False
        z[roles.diff_mean, is_no_news] = 0.0
    return freed, z


def tail_decades(z: Float, ratio: Float, counts: Int, curves: Curves) -> Float:
    """Estimate −log10 of the tail probability of each window, from above, shape (n,).

    Parameters
    ----------
    z : array of shape (d, n), float64
        Result of :func:`treat`.
    ratio : array of shape (n,), float64
        The SVM's ``score / rho`` of the preprocessed windows.
    counts : array of shape (m,), int64
    curves : Curves
    """
    distance = decades(curves.distance, counts, np.log1p(z.max(axis=0)))
    return _together(
        mix(distance, decades(curves.svm, counts, -ratio)), np.repeat(curves.both, counts, axis=0)
    )


def contributions(z: Float, counts: Int, curves: Curves) -> Float:
    """Estimate the decades of each window if only one feature were unusual, shape (n, d) of z's (d, n).

    The largest one is the window's own :func:`tail_decades`, except where the SVM leads: the remainder is
    then due to the unusual combination.
    """
    d, n = z.shape
    each = counts * d
    distance = decades(curves.distance, each, np.log1p(z).T.ravel())
    nothing = np.zeros_like(distance)
    both = np.repeat(curves.both, each, axis=0)
    return np.maximum(_together(mix(distance, nothing), both), 0.0).reshape(n, d)


def mix(distance: Float, svm: Float) -> Float:
    """Combine the decades of distance and SVM into one uncalibrated number."""
    return np.maximum(distance, np.minimum(svm, SVM_DECADES)) + _OF_DISTANCE * distance


def _together(mixed: Float, both: Float) -> Float:
    begin, excess, top, margin = both.T
    body = np.divide(mixed, begin, out=np.zeros_like(mixed), where=begin > 0)
    decades_of_both: Float = np.minimum(body, 1.0) * top - margin
    decades_of_both += np.maximum(mixed - begin, 0.0) / (excess * np.log(10))
    return decades_of_both


def hours_of_models(flat: Float, offsets: Int, n_levels: int) -> tuple[Int, Float]:
    """Build ``season`` and ``of_hour`` of :class:`CombinedModels` from a list column."""
    has: Any = np.diff(offsets) > 0
    season = np.where(has, np.cumsum(has) - 1, -1)
    return season, flat.reshape(-1, max(n_levels, 1), HOURS)
