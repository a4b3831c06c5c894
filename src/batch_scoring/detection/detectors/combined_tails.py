"""Compute decades of tail probability for windows of many models of the combined detector.

A decade is a factor of ten: the unit of −log10 of a tail probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from batch_scoring.detection.detectors.levels import Levels
from batch_scoring.detection.detectors.preprocessing import (
    COUNTER,
    HOURS,
    SLOTS,
    Roles,
    slot_of,
    without_count,
)
from batch_scoring.detection.detectors.tail_curves import (
    decades,
    excess_at,
    tail_decades_of,
    value_at,
    with_light_tails,
)
from batch_scoring.tables.arrays import Float, Int

# Of models of the former fit: the SVM counts up to one decade, and the distance adds a fifth of its own.
_FORMER_SVM_DECADES, _FORMER_OF_DISTANCE = 1.0, 0.2
# One normal window in a hundred is farther from the median than what is called usual.
_USUAL_DECADES = 2.0
# A step back leads from a mean this many spreads from the median to one that nine windows in ten are within.
_FAR, _NEAR = 6.0, 1.6449
# Versions of the fit: since the first, decades are summed up and steps back count; since the second, steps
# back from far away do not.
SUMMED, SETTLING = 2, 3
# Numbers of the combined curve.
N_BOTH = 5

# The only zone of models fitted before there was another.
UTC_ONLY = ("UTC",)


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
    of_hour : array of shape (s, L, 48), float64
        Offset of each level in each hour of a working day, and of a day of the weekend.
    version : array of shape (m,), int64
        Of the fit: which steps of the mean back to its usual level are normal.
    zone : array of shape (m,), int64
        Position of the time zone of the model's hours in ``zones``.
    zones : tuple of str
        IANA names.
    levels : Levels or None
        Of models without a season; None where no model has any.
    """

    kind: Int
    center: Float
    spread: Float
    season: Int
    of_hour: Float
    version: Int
    zone: Int
    zones: tuple[str, ...] = UTC_ONLY
    levels: Levels | None = None

    def part(self, some: slice) -> CombinedModels:
        """Slice the models without copying."""
        own = (self.kind[some], self.center[some], self.spread[some], self.season[some])
        levels = None if self.levels is None else self.levels.part(some)
        return CombinedModels(*own, self.of_hour, self.version[some], self.zone[some], self.zones, levels)

    def usual(self, X: Float, model: Int, column: Int, roles: Roles) -> tuple[Float, Float]:
        """Return the center and spread of one feature of each window in its state, both of shape (n,).

        Parameters
        ----------
        X : array of shape (n, d), float64
            Windows as aggregated.
        model, column : array of shape (n,), int64
            The model of each window, and the feature.
        roles : Roles
        """
        center, spread = self.center[model, column], self.spread[model, column]
        if self.levels is not None:
            rows = np.flatnonzero(self.levels.place[model] >= 0)
            place, state = self.levels.of(X[rows], model[rows], roles)
            center[rows] = self.levels.center[place, state, column[rows]]
            spread[rows] = self.levels.spread[place, state, column[rows]]
        return center, spread

    def level_offsets(self, start_us: Int, model: Int) -> Float:
        """Return what the hour adds to each level at these times, shape (n, L).

        Parameters
        ----------
        start_us : array of shape (n,), int64
            Microseconds since the epoch.
        model : array of shape (n,), int64
            Models with a season.
        """
        slot = np.empty(start_us.size, np.int64)
        zone = self.zone[model]
        for place in np.unique(zone):
            rows = zone == place
            slot[rows] = slot_of(start_us[rows], self.zones[place])
        offsets: Float = self.of_hour[self.season[model], :, slot]
        return offsets


@dataclass(frozen=True)
class Curves:
    """Tail curves of m models; see ``tail_curves``.

    Attributes
    ----------
    distance, svm : array of shape (m, 11), float64
        Curves of the largest ``log(1 + z)``, and of ``-score / rho``.
    both : array of shape (m, 5), float64
        Combined curve: start of the tail, its scale, the decades there, a margin, and the tail's shape.
    is_former : array of shape (m,), bool
        Models of the former fit, in which the SVM counts up to one decade.
    """

    distance: Float
    svm: Float
    both: Float
    is_former: Any

    def part(self, some: slice) -> Curves:
        """Slice the curves without copying."""
        return Curves(self.distance[some], self.svm[some], self.both[some], self.is_former[some])


@dataclass(frozen=True)
class Decades:
    """How rare n windows are.

    Attributes
    ----------
    calibrated : array of shape (n,), float64
        −log10 of the tail probability, estimated from above.
    evidence : array of shape (n,), float64
        Decades of the distance and of the SVM added up; not below 0.
    """

    calibrated: Float
    evidence: Float


def treat(
    X: Float, start_us: Int, window_us: int, counts: Int, models: CombinedModels, roles: Roles
) -> tuple[Float, Float]:
    """Difference counters, take out hours and levels, and measure the distance from the median.

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
    X : array of shape (n, d'), float64
        Input of the one-class SVM: all features but the length of equal runs.
    z : array of shape (d, n), float64
        Distances from the median, in spreads, not negative; by feature, as they are used.
    """
    model = np.repeat(np.arange(counts.size), counts)
    freed = X
    counted = np.flatnonzero(models.kind[model] == COUNTER)
    orphans = counted[:0]
    if counted.size:
        freed = X.copy()
        freed[counted], is_orphan = without_count(X[counted], roles)
        orphans = counted[is_orphan]
    seasonal = np.flatnonzero(models.season[model] >= 0)
    if seasonal.size:
        freed = X.copy() if freed is X else freed
        levels = models.level_offsets(start_us[seasonal], model[seasonal])
        freed[np.ix_(seasonal, roles.levels)] -= levels
    if models.levels is not None and (leveled := np.flatnonzero(models.levels.place[model] >= 0)).size:
        freed = X.copy() if freed is X else freed
        own = model[leveled]
        place, state = models.levels.of(X[leveled], own, roles)
        freed[leveled] = models.levels.moved(X[leveled], place, state, models.center[own], models.spread[own])
    if orphans.size:
        known = np.append(roles.levels, roles.diff_mean)
        freed[np.ix_(orphans, known)] = models.center[np.ix_(model[orphans], known)]
    z = np.empty((X.shape[1], len(X)))
    for feature, distance in enumerate(z):
        np.subtract(freed[:, feature], np.repeat(models.center[:, feature], counts), out=distance)
        # A short run of equal values is no news.
        (np.maximum(distance, 0.0, out=distance) if feature == roles.run else np.abs(distance, out=distance))
        with np.errstate(over="ignore"):  # of a series that was always 0, anything else is infinitely far
            np.divide(distance, np.repeat(models.spread[:, feature], counts), out=distance)
    if roles.has_previous_mean:
        step_back = _steps_back(X, z, start_us, window_us, model, models, roles)
        z[roles.diff_mean, step_back] = 0.0
        # The SVM of former models was fitted with them.
        settled = step_back[models.version[model[step_back]] >= SETTLING]
        if settled.size:
            freed = X.copy() if freed is X else freed
            freed[settled, roles.diff_mean] = models.center[model[settled], roles.diff_mean]
    return freed if roles.run < 0 else freed[:, roles.of_svm], z


def _steps_back(
    X: Float, z: Float, start_us: Int, window_us: int, model: Int, models: CombinedModels, roles: Roles
) -> Int:
    """Find the windows whose mean has come back to what is usual; returns rows.

    The step says where the window before was, not that this one is unusual. Back from far away only: of a
    level shift within the usual range the steps are all there is to see. For former models, all windows whose
    mean is nearer to its usual level than the one before.
    """
    # Of few windows the one before is looked at.
    is_asked = (z[roles.diff_mean] > _NEAR) & (z[roles.mean] <= _NEAR)
    is_former = models.version < SUMMED
    if is_former.any():
        is_asked |= is_former[model]
    rows = np.flatnonzero(is_asked)
    rows = rows[models.kind[model[rows]] != COUNTER]
    own = model[rows]
    center, spread = models.usual(X[rows], own, np.full(rows.size, roles.mean), roles)
    now = X[rows, roles.mean] - center
    before = now - X[rows, roles.diff_mean]
    seasonal = np.flatnonzero(models.season[own] >= 0)
    if seasonal.size:
        start, place = start_us[rows[seasonal]], roles.place_of_mean
        now[seasonal] -= models.level_offsets(start, own[seasonal])[:, place]
        before[seasonal] -= models.level_offsets(start - window_us, own[seasonal])[:, place]
    is_nearer = np.abs(before) > np.abs(now)
    is_far = np.abs(before) >= _FAR * spread
    found: Int = rows[is_nearer & (is_former[own] | is_far & (models.version[own] >= SETTLING))]
    return found


def tail_decades(z: Float, ratio: Float, counts: Int, curves: Curves) -> Decades:
    """Estimate how rare each window is.

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
    svm = decades(curves.svm, counts, -ratio)
    mixed = evidence = distance + svm
    if curves.is_former.any():
        former = np.maximum(distance, np.minimum(svm, _FORMER_SVM_DECADES)) + _FORMER_OF_DISTANCE * distance
        mixed = np.where(np.repeat(curves.is_former, counts), former, evidence)
    return Decades(calibrated_decades(mixed, counts, curves.both), evidence)


def contributions(z: Float, counts: Int, curves: Curves) -> Float:
    """Estimate the decades of each window if only one feature were unusual, shape (n, d) of z's (d, n).

    What the window has beyond the largest of them is due to the unusual combination, which the SVM sees.
    """
    d, n = z.shape
    each = counts * d
    distance = decades(curves.distance, each, np.log1p(z).T.ravel())
    alone = distance * np.repeat(_of_distance_alone(curves), each)
    return np.maximum(calibrated_decades(alone, each, curves.both), 0.0).reshape(n, d)


def distance_at(wanted: Float, curves: Curves) -> Float:
    """Compute the *z* that is as rare as wanted if the SVM finds nothing, shape (m,).

    Parameters
    ----------
    wanted : array of shape (m,), float64
        Calibrated decades, above 0.
    curves : Curves
    """
    return np.expm1(value_at(curves.distance, _decades_alone(wanted, curves)))


def usual_distance(wanted: Float, curves: Curves) -> Float:
    """Compute the *z* up to which a feature is usual, shape (m,).

    Where the distance alone is as rare as wanted lies beyond all training windows, and one wild window among
    them moves it a hundredfold. This is where one normal window in a hundred is, by the curve with a light
    tail; or that point, if it is nearer.

    Parameters
    ----------
    wanted : array of shape (m,), float64
        Calibrated decades, above 0.
    curves : Curves
    """
    usual = np.minimum(_decades_alone(wanted, curves), _USUAL_DECADES)
    return np.expm1(value_at(with_light_tails(curves.distance), usual))


def _decades_alone(wanted: Float, curves: Curves) -> Float:
    """Return the decades of the distance that are as rare as wanted if the SVM finds nothing."""
    mixed = evidence_at(wanted + curves.both[:, 3], curves.both)
    decades_alone: Float = mixed / _of_distance_alone(curves)
    return decades_alone


def evidence_at(wanted: Float, both: Float) -> Float:
    """Compute the evidence that has the wanted decades before the margin is taken off, shape (m,).

    Parameters
    ----------
    wanted : array of shape (m,), float64
        Decades, not negative.
    both : array of shape (m, 5), float64
        See :class:`Curves`.
    """
    begin, scale, top, _, shape = both.T
    share = np.divide(wanted, top, out=np.ones_like(wanted), where=top > 0)
    body: Float = np.clip(share, 0.0, 1.0) * begin
    return body + excess_at(np.maximum(wanted - top, 0.0), scale, shape)


def _of_distance_alone(curves: Curves) -> Any:
    return np.where(curves.is_former, 1 + _FORMER_OF_DISTANCE, 1.0)


def calibrated_decades(mixed: Float, counts: Int, both: Float) -> Float:
    """Calibrate decades of distance and SVM together: a straight body, and the fitted tail.

    Parameters
    ----------
    mixed : array of shape (n,), float64
    counts : array of shape (m,), int64
        Number of windows of each curve.
    both : array of shape (m, 5), float64
        See :class:`Curves`.
    """
    begin, top, margin = (np.repeat(both[:, place], counts) for place in (0, 2, 3))
    body = np.divide(mixed, begin, out=np.zeros_like(mixed), where=begin > 0)
    calibrated: Float = np.minimum(body, 1.0) * top - margin
    excess = mixed - begin
    rows = np.flatnonzero(excess > 0)
    own = np.repeat(np.arange(counts.size), counts)[rows]
    calibrated[rows] += tail_decades_of(excess[rows], both[own, 1], both[own, 4])
    return calibrated


def hours_of_models(flat: Float, offsets: Int, n_levels: int) -> tuple[Int, Float]:
    """Build ``season`` and ``of_hour`` of :class:`CombinedModels` from a list column.

    A list of 24 numbers a level is the same on every day of the week; one of 48 has a weekend of its own.
    """
    sizes: Any = np.diff(offsets)
    has = sizes > 0
    season = np.where(has, np.cumsum(has) - 1, -1)
    sizes, n_levels = sizes[has], max(n_levels, 1)
    of_hour = np.empty((sizes.size, n_levels, SLOTS))
    for n_slots in (HOURS, SLOTS):
        own = sizes == n_levels * n_slots
        numbers = flat[np.repeat(own, sizes)].reshape(-1, n_levels, n_slots)
        of_hour[own] = np.tile(numbers, (1, 1, SLOTS // n_slots))
    return season, of_hour
