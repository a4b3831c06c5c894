"""Fit the combined detector of one device and calibrate it on held-out windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from batch_scoring.detection.detectors.base import FitParameters, Series
from batch_scoring.detection.detectors.center_and_spread import center_and_spread
from batch_scoring.detection.detectors.combined_tails import CombinedModels, Curves, mix, tail_decades, treat
from batch_scoring.detection.detectors.one_class_svm import (
    RbfModel,
    blocks,
    constant_model,
    fit_svm,
    is_constant,
    thin,
    tolerance,
)
from batch_scoring.detection.detectors.preprocessing import (
    CONSTANT,
    COUNTER,
    HOURS,
    KINDS,
    PLAIN,
    Roles,
    follows_time_of_day,
    hour_levels,
    hour_of,
    is_counter,
    without_count,
)
from batch_scoring.detection.detectors.tail_curves import N_KNOTS, decades, fit_curve
from batch_scoring.tables.arrays import Bool, Float, Int

# If blocks of time differ in their share of rare windows, so may the next one: the margin is one standard
# error, over the blocks, of the share of windows rarer than one in fifty.
_MARGIN_AT = -np.log10(0.02)
# A constant that changes by a billionth is an anomaly; one that doubles is three decades worse.
_DECADES_OF_CONSTANT = 3.0


@dataclass(frozen=True)
class CombinedColumns:
    """Columns of a model's row that the combined detector adds to those of its SVM."""

    kind: str
    center: Float
    spread: Float
    time_of_day: Float
    distance_curve: Float
    svm_curve: Float
    curve: Float


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
        When scikit-learn cannot fit, or its model has no inside.
    """
    rows = thin(len(series.X), parameters.max_train_windows)
    notes: tuple[str, ...] = ()
    if rows.size < len(series.X):
        notes = (f"trained on {rows.size:,} of {len(series.X):,} windows",)
    X, start_us = series.X[rows], series.start_us[rows]
    roles = Roles.of(series.features)
    if is_constant(X).all():
        return _constant(X, roles, parameters, notes)
    kind = COUNTER if is_counter(X, roles) else PLAIN
    counted = X
    if kind == COUNTER:
        counted, is_orphan = without_count(X, roles)
        X, counted, start_us = X[~is_orphan], counted[~is_orphan], start_us[~is_orphan]
        notes += ("counter: its levels are taken from the window before",)
    folds = list(blocks(len(X), parameters))
    hours = hour_of(start_us)
    seasonal = follows_time_of_day(counted[:, roles.levels], start_us, folds)
    if seasonal.any():
        named = ", ".join(series.features[place] for place in roles.levels[seasonal])
        notes += (f"time of day taken out of {named}",)
    fits = _Fits(X, counted, start_us, hours, series.window_us, roles, kind, seasonal)
    whole, treated = fits.model(np.arange(len(X)))
    model = fit_svm(treated, parameters)
    ratio, z, counts = fits.held_out(folds, parameters)
    curves, rare = _calibrate(ratio, z, counts)
    rate = parameters.rate
    if rate * rare.size < 1:
        notes += (f"{rare.size} windows do not show one in {1 / rate:,.0f}: the threshold is extrapolated",)
    own = CombinedColumns(
        KINDS[kind],
        whole.center[0],
        whole.spread[0],
        whole.of_hour.ravel(),
        curves.distance[0],
        curves.svm[0],
        curves.both[0],
    )
    flagged = float(np.mean(rare > -np.log10(rate)))
    notes += model.notes
    return replace(model, threshold=np.log10(rate), train_flag_rate=flagged, notes=notes), own


@dataclass(frozen=True)
class _Fits:
    """Windows of a device, to be fitted as a whole and with each block of time held out."""

    X: Float
    counted: Float
    start_us: Int
    hours: Int
    window_us: int
    roles: Roles
    kind: int
    seasonal: Bool

    def model(self, rows: Int) -> tuple[CombinedModels, Float]:
        """Fit median, spread and hours of some rows; also return the rows without these hours."""
        of_hour = self._of_hour(rows)
        freed = self.counted[rows]
        if len(of_hour):
            freed[:, self.roles.levels] -= of_hour[0][:, self.hours[rows]].T
        center, spread = center_and_spread(freed)
        season = np.zeros(1, np.int64) if len(of_hour) else np.full(1, -1)
        return CombinedModels(np.full(1, self.kind), center[None], spread[None], season, of_hour), freed

    def held_out(
        self, folds: Sequence[tuple[slice, Int]], parameters: FitParameters
    ) -> tuple[Float, Float, Int]:
        """Return ``score / rho`` and largest z of held-out rows, by models of the others, and fold sizes."""
        ratios, distances = [], []
        for held_out, rest in folds:
            model, treated = self.model(rest)
            svm = fit_svm(treated, parameters)
            n = held_out.stop - held_out.start
            freed, z = treat(
                self.X[held_out], self.start_us[held_out], self.window_us, np.array([n]), model, self.roles
            )
            ratios.append(svm.score(freed) / svm.rho)
            distances.append(z.max(axis=0))
        counts = np.array([ratio.size for ratio in ratios], np.int64)
        return np.concatenate(ratios), np.concatenate(distances), counts

    def _of_hour(self, rows: Int) -> Float:
        if not self.seasonal.any():
            return np.zeros((0, self.seasonal.size, HOURS))
        levels = hour_levels(self.counted[np.ix_(rows, self.roles.levels)], self.hours[rows])
        return np.where(self.seasonal[:, None], levels, 0.0)[None]


def _calibrate(ratio: Float, z: Float, counts: Int) -> tuple[Curves, Float]:
    """Fit a device's curves, and return the decades of its held-out windows, shape (n,)."""
    n = np.array([ratio.size], np.int64)
    log_z = np.log1p(z)
    distance, svm = fit_curve(log_z)[None], fit_curve(-ratio)[None]
    mixed = mix(decades(distance, n, log_z), decades(svm, n, -ratio))
    both = fit_curve(mixed)
    begin, excess, top = both[N_KNOTS - 1], both[-2], both[-1]
    curves = Curves(distance, svm, np.array([[begin, excess, top, 0.0]]))
    rare = tail_decades(z[None], ratio, n, curves)
    shares = np.add.reduceat(rare > _MARGIN_AT, np.cumsum(counts) - counts) / counts
    margin = 0.0
    if shares.size > 1 and shares.any():
        margin = float(np.log10(1 + shares.std(ddof=1) / (shares.mean() * np.sqrt(shares.size))))
    curves.both[0, 3] = margin
    return curves, rare - margin


def _constant(
    X: Float, roles: Roles, parameters: FitParameters, notes: tuple[str, ...]
) -> tuple[RbfModel, CombinedColumns]:
    """Build the model of a constant series: any other level is an anomaly, worse with distance."""
    model = constant_model(X)
    at_once = -np.log10(parameters.rate)
    watched = roles.levels if roles.levels.size else np.arange(X.shape[1])
    # The step back to the constant is not an anomaly.
    spread = np.full(X.shape[1], np.inf)
    spread[watched] = np.maximum(tolerance(X), np.finfo(np.float64).tiny)[watched]
    distance = np.append(np.linspace(0, np.log(2), N_KNOTS), [_DECADES_OF_CONSTANT, at_once])
    # Beyond the SVM's range: -score / rho is at most 1.
    svm = np.append(np.linspace(2, 3, N_KNOTS), [1.0, 1.0])
    begin = float(mix(np.array([at_once]), np.zeros(1))[0])
    curve = np.array([begin, begin / at_once / np.log(10), at_once, 0.0])
    own = CombinedColumns(KINDS[CONSTANT], X.mean(axis=0), spread, np.zeros(0), distance, svm, curve)
    return replace(model, threshold=-at_once, notes=notes + model.notes), own
