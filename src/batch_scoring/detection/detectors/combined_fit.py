"""Fit the combined detector of one device and calibrate it on held-out windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from batch_scoring.detection.detectors.base import FitParameters, Series
from batch_scoring.detection.detectors.combined_tails import (
    SETTLING,
    CombinedModels,
    Curves,
    calibrated_decades,
    distance_at,
)
from batch_scoring.detection.detectors.held_out import Part, Training, reach
from batch_scoring.detection.detectors.levels import Stays, as_list, comes_to, find_levels
from batch_scoring.detection.detectors.one_class_svm import (
    RbfModel,
    blocks,
    constant_model,
    is_constant,
    tolerance,
)
from batch_scoring.detection.detectors.preprocessing import (
    CONSTANT,
    COUNTER,
    KINDS,
    PLAIN,
    SLOTS,
    Roles,
    find_seasonality,
    has_steady_trend,
    is_counter,
    is_state,
    without_count,
)
from batch_scoring.detection.detectors.stays import usual_stays
from batch_scoring.detection.detectors.tail_curves import N_KNOTS, decades, fit_curve, fit_shape
from batch_scoring.tables.arrays import Float, Int

# If blocks of time differ in their share of rare windows, so may the next one: the margin is one standard
# error, over the blocks, of the share of windows rarer than one in fifty.
_MARGIN_AT = -np.log10(0.02)
# A constant that changes by a billionth is an anomaly; one that doubles is three decades worse.
_DECADES_OF_CONSTANT = 3.0
# A run of equal values is an anomaly when it is longer by this factor than the longest of training. In fleets
# without faults none was twice as long.
_STUCK = 3.0
# A series is idle at times, and may stand still, if one training window in a hundred has such a run. In the
# simulated fleets 6 was the most.
_IDLE, _IDLE_SHARE = 8, 0.01
# Levels are kept that halve what is usual of held-out windows.
_NARROWER = 0.5
# Readings are few distinct ones where less than this share of the held-out scores differ.
_FEW_DISTINCT = 0.1


@dataclass(frozen=True)
class CombinedColumns:
    """Columns of a model's row that the combined detector adds to those of its SVM."""

    kind: str
    center: Float
    spread: Float
    time_of_day: Float
    levels: Float
    may_stay: Float
    distance_curve: Float
    svm_curve: Float
    curve: Float
    time_zone: str
    fit_version: int = SETTLING


def fit_combined(series: Series, parameters: FitParameters) -> tuple[RbfModel, CombinedColumns]:
    """Fit and calibrate the combined detector of one device.

    Parameters
    ----------
    series : Series
        At least ``parameters.min_windows`` windows.
    parameters : FitParameters

    Returns
    -------
    model : RbfModel
        scikit-learn's, of the preprocessed windows; its ``threshold`` is log10 of the share of
        windows that may be flagged. ``train_flag_rate`` is the share of training windows flagged
        when held out.
    own : CombinedColumns

    Raises
    ------
    ValueError
        When scikit-learn cannot fit, its model has no inside, or the windows of a counter do not follow
        each other.
    """
    X, start_us, zone = series.X, series.start_us, parameters.timezone
    roles = Roles.of(series.features)
    # Runs of equal values are as long as there is history: they change in a constant series, too.
    if is_constant(X[:, roles.of_svm]).all():
        return _constant(X, roles, parameters)
    notes: tuple[str, ...] = ()
    is_count, n_following = is_counter(X, roles), np.count_nonzero(np.diff(start_us) == series.window_us)
    is_linked = n_following >= parameters.min_windows
    if is_count and not is_linked:
        raise ValueError(
            "set a longer aggregate.window: a counter is known by its step from the window before, which "
            f"{len(X) - n_following:,} of {len(X):,} windows lack"
        )
    is_trend = is_linked and roles.has_previous_mean and has_steady_trend(X[:, roles.mean], start_us)
    kind = COUNTER if is_count or is_trend else PLAIN
    counted = X
    if kind == COUNTER:
        counted, is_orphan = without_count(X, roles)
        X, counted, start_us = X[~is_orphan], counted[~is_orphan], start_us[~is_orphan]
        notes += (f"{'counter' if is_count else 'trend'}: its levels are taken from the window before",)
    folds = list(blocks(len(X), parameters))
    held_out = [rows for rows, _ in folds]
    found = find_seasonality(counted[:, roles.levels], start_us, folds, zone)
    by_feature = np.ascontiguousarray(counted.T)
    training = Training(X, by_feature, start_us, series.window_us, roles, kind, found, parameters)
    training, parts = _at_levels(training, held_out)
    found = training.season
    if training.stays is not None:
        notes += (f"{training.stays.low.size} levels, such as off and on: each measured by itself",)
    if found is not None:
        named = ", ".join(series.features[place] for place in roles.levels[found.is_seasonal])
        weekend = " and the weekend" if found.n_slots == SLOTS else ""
        notes += (f"time of day{weekend} taken out of {named}",)
    whole, treated = training.usual(slice(0, 0), found.of_slot if found else None)
    model = training.svm(treated)
    ratio, z, counts = training.held_out(parts)
    if np.unique(ratio).size < _FEW_DISTINCT * ratio.size:
        # Held-out windows of few distinct readings tie, and those of the whole model elsewhere: all of these
        # may lie beyond all of those. So each counts by the model that finds it rarer.
        seen, its_z = training.seen(held_out, whole, model)
        ratio, z = np.minimum(ratio, seen), np.maximum(z, its_z)
    center, spread = whole.center[0], whole.spread[0]
    curves, rare = _calibrate(ratio, z, counts)
    rate = parameters.rate
    if rate * rare.size < 1:
        notes += (f"{rare.size:,} windows do not show one in {1 / rate:,.0f}: the threshold is extrapolated",)
    if roles.run >= 0:
        _judge_runs(training, whole, distance_at(np.array([-np.log10(rate)]), curves)[0])
    own = CombinedColumns(
        KINDS[kind],
        center,
        spread,
        found.of_slot.ravel() if found else np.zeros(0),
        np.zeros(0) if whole.levels is None else as_list(whole.levels),
        np.zeros(0) if training.stays is None else _usual_stays(training, training.stays),
        curves.distance[0],
        curves.svm[0],
        curves.both[0],
        zone,
    )
    flagged = float(np.mean(rare > -np.log10(rate)))
    notes += model.notes
    return replace(model, threshold=np.log10(rate), train_flag_rate=flagged, notes=notes), own


def _at_levels(training: Training, blocks: Sequence[slice]) -> tuple[Training, list[Part]]:
    """Measure the blocks by levels where that pays, else as they are.

    Not where the time of day tells at which level the machine is: then it also tells when it is not.
    """
    parts = training.parts(blocks)
    bounds = find_levels(training.X, training.roles) if training.kind == PLAIN else None
    if bounds is None:
        return training, parts
    without, of_mean = reach(parts, training.roles)
    if training.season is not None and of_mean < 0.5 * np.diff(0.5 * (bounds[0] + bounds[1])).min():
        return training, parts
    at_levels = replace(training, season=None, stays=Stays.of(training.X, *bounds, training.roles))
    measured = at_levels.parts(blocks)
    within, _ = reach(measured, training.roles)
    return (at_levels, measured) if within < _NARROWER * without else (training, parts)


def _usual_stays(training: Training, stays: Stays) -> Float:
    level = comes_to(training.X, stays.low[None], stays.high[None], training.roles)
    return usual_stays(level, training.start_us, training.window_us, stays.low.size)


def _judge_runs(training: Training, models: CombinedModels, limit: float) -> None:
    """Set the spread of the longest run, so that three times the longest of training is at the limit.

    The threshold lies half a reading above; where equal values are usual, beyond any. So at each level.
    """
    run, levels, stays = training.roles.run, models.levels, training.stays
    series, center, spread = [training.X], models.center, models.spread
    if levels is not None and stays is not None:
        series = [training.X[stays.state == state] for state in range(stays.longest.size)]
        spread[0, run] = 1.0
        center, spread = levels.center[0], levels.spread[0]
    for X, longest, its in zip(series, center[:, run], spread, strict=True):
        judged = training.kind != COUNTER and _may_stick(X, training.roles)
        its[run] = ((_STUCK - 1) * longest + 0.5) / limit if judged else np.inf


def _may_stick(X: Float, roles: Roles) -> bool:
    """Whether long runs of equal values are news in a series, or at one of its levels."""
    is_idle = len(X) == 0 or np.quantile(X[:, roles.run], 1 - _IDLE_SHARE) >= _IDLE
    return not is_idle and not is_state(X, roles)


def _calibrate(ratio: Float, z: Float, counts: Int) -> tuple[Curves, Float]:
    """Fit a device's curves, and return the decades of its held-out windows, shape (n,)."""
    n = np.array([ratio.size], np.int64)
    log_z = np.log1p(z)
    distance, svm = fit_curve(log_z)[None], fit_curve(-ratio)[None]
    evidence = decades(distance, n, log_z) + decades(svm, n, -ratio)
    begin, scale, top, shape = fit_shape(evidence)
    curves = Curves(distance, svm, np.array([[begin, scale, top, 0.0, shape]]), np.zeros(1, np.bool_))
    rare = calibrated_decades(evidence, n, curves.both)
    shares = np.add.reduceat(rare > _MARGIN_AT, np.cumsum(counts) - counts) / counts
    margin = 0.0
    if shares.size > 1 and shares.any():
        margin = float(np.log10(1 + shares.std(ddof=1) / (shares.mean() * np.sqrt(shares.size))))
    curves.both[0, 3] = margin
    return curves, rare - margin


def _constant(X: Float, roles: Roles, parameters: FitParameters) -> tuple[RbfModel, CombinedColumns]:
    """Build the model of a constant series: any other level is an anomaly, worse with distance."""
    model = constant_model(X[:, roles.of_svm])
    at_once = -np.log10(parameters.rate)
    watched = roles.levels if roles.levels.size else roles.of_svm
    # The step back to the constant is not an anomaly.
    spread = np.full(X.shape[1], np.inf)
    spread[watched] = np.maximum(tolerance(X[:, watched]), np.finfo(np.float64).tiny)
    distance = np.append(np.linspace(0, np.log(2), N_KNOTS), [_DECADES_OF_CONSTANT, at_once])
    # Beyond the SVM's range: -score / rho is at most 1.
    svm = np.append(np.linspace(2, 3, N_KNOTS), [1.0, 1.0])
    curve = np.array([at_once, 1 / np.log(10), at_once, 0.0, 0.0])
    own = CombinedColumns(
        KINDS[CONSTANT],
        X.mean(axis=0),
        spread,
        np.zeros(0),
        np.zeros(0),
        np.zeros(0),
        distance,
        svm,
        curve,
        parameters.timezone,
    )
    return replace(model, threshold=-at_once), own
