"""Fit, guard and calibrate the one-class SVM: scikit-learn's StandardScaler and OneClassSVM.

Each device's fit is exactly scikit-learn's. Guards handle data that a one-class SVM cannot, and the
threshold keeps to a false-alarm rate on unseen data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batch_scoring.detection.detectors.base import (
    FitParameters,
    FittedModel,
    ModelRows,
    Scores,
    Series,
    row_offsets,
)
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.detection.detectors.svm_solver import mean_and_scale, solve
from batch_scoring.detection.kernel import decision_function, score_rows
from batch_scoring.detection.kernel.rbf_models import RbfModels
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.schemas import MODELS

# Below this the solver has fewer than two whole support vectors to move and stops at its start:
# with nu = 1e-4 on 299 rows it flagged every reading of 4 of the 15 sensors of the 2018 reference.
MIN_NU_TIMES_ROWS = 2.0

# Relative tolerance for a constant series: means of equal readings differ in the last digits.
CONSTANT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class RbfModel:
    """One fitted model; attributes are columns of the fleet model's table.

    Attributes
    ----------
    mean, scale : array of shape (d,), float64
    gamma, nu, rho, threshold, train_flag_rate : float
    support_vectors : array of shape (n_sv, d), float64
        In scaled units.
    dual_coef : array of shape (n_sv,), float64
    notes : tuple of str
        Remarks on this fit.
    is_constant : bool
        Whether the series never changed in training.
    """

    mean: Float
    scale: Float
    gamma: float
    nu: float
    rho: float
    support_vectors: Float
    dual_coef: Float
    threshold: float = 0.0
    train_flag_rate: float = 0.0
    notes: tuple[str, ...] = ()
    is_constant: bool = False

    def score(self, X: Float) -> Float:
        """Compute scikit-learn's decision function of raw features (n, d); lower is more abnormal."""
        one = RbfModels(
            mean=self.mean[None],
            scale=self.scale[None],
            gamma=np.array([self.gamma]),
            rho=np.array([self.rho]),
            sv_offsets=np.array([0, len(self.dual_coef)]),
            support_vectors=self.support_vectors,
            dual_coef=self.dual_coef,
        )
        # The process of a core fits; more threads would compete for it.
        return decision_function(one, X, np.array([0, len(X)]), n_threads=1)

    def as_fitted(self, own: Mapping[str, Any] | None = None) -> FittedModel:
        """Convert to a row, with columns added by another detector."""
        names = ("mean", "scale", "gamma", "nu", "rho", "support_vectors", "dual_coef")
        columns = {name: getattr(self, name) for name in names} | dict(own or {})
        return FittedModel(columns, self.threshold, self.train_flag_rate, self.notes, self.is_constant)


class OneClassSvm:
    """Scores are scikit-learn's ``decision_function``; see :func:`severity`."""

    name = "one_class_svm"
    schema = MODELS
    states_tail_probability = False

    def check(self, parameters: FitParameters) -> None:
        """Accept all parameters."""

    def fit(self, series: Series, parameters: FitParameters) -> FittedModel:
        """Fit, calibrate and check the model of one device."""
        return fit_device(series.X, parameters, series.features).as_fitted()

    def list_sizes(self, models: ModelRows) -> Mapping[str, int | Int]:
        """Return the lengths of mean, scale and support vectors."""
        return svm_list_sizes(models)

    def needs_time_of_day(self, models: ModelRows) -> bool:
        """Return False."""
        return False

    def score_windows(
        self, X: Float, start_us: Int, known: Int, models: ModelRows, n_threads: int | None = None
    ) -> Scores:
        """Score windows by scikit-learn's decision function; see ``Detector.score_windows``."""
        score, top = score_rows(rbf_models(models), X, row_offsets(known, models.table.num_rows), n_threads)
        threshold, rho = (models.numbers(name)[known] for name in ("threshold", "rho"))
        outside = np.divide(-score, rho, out=np.zeros_like(score), where=rho > 0)
        severe = severity(score, threshold, rho)
        return Scores(score, threshold, severe, top, evidence=np.maximum(outside, 0.0))


def rbf_models(models: ModelRows, n_features: int | None = None) -> RbfModels:
    """Convert the columns of the one-class SVM, over all features or some, to flat arrays for the kernel."""
    d = len(models.features) if n_features is None else n_features
    return RbfModels(
        mean=models.values("mean").reshape(-1, d),
        scale=models.values("scale").reshape(-1, d),
        gamma=models.numbers("gamma"),
        rho=models.numbers("rho"),
        sv_offsets=models.offsets("dual_coef"),
        support_vectors=models.values("support_vectors").reshape(-1, d),
        dual_coef=models.values("dual_coef"),
    )


def svm_list_sizes(models: ModelRows, n_features: int | None = None) -> dict[str, int | Int]:
    """Return the lengths of the one-class SVM's lists; a support vector has one number a feature."""
    d = len(models.features) if n_features is None else n_features
    return {"mean": d, "scale": d, "support_vectors": np.diff(models.offsets("dual_coef")) * d}


def severity(score: Float, threshold: Float, rho: Float) -> Float:
    """Compute the severity of scores: 0 at the threshold, 1 far from all support vectors.

    ``(threshold - score) / (threshold + rho)``, clipped to [0, 1]. ``score + rho`` is a sum of
    kernel values with positive weights, so ``-rho`` is the lowest possible score.

    Parameters
    ----------
    score, threshold, rho : arrays of one shape, float64

    Examples
    --------
    >>> severity(np.array([0.2, -0.05, -0.1]), np.zeros(3), np.full(3, 0.1)).tolist()
    [0.0, 0.5, 1.0]
    """
    room = threshold + rho
    share = np.divide(threshold - score, room, out=np.zeros_like(score), where=room > 0)
    clipped: Float = np.clip(share, 0.0, 1.0)
    return clipped


def fit_device(X: Float, parameters: FitParameters, features: Sequence[str] = ()) -> RbfModel:
    """Fit, calibrate and check the model of one device.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Finite features of the training windows, in the order of time; n >= min_windows.
    parameters : FitParameters
    features : sequence of str, optional
        Names of the columns.

    Returns
    -------
    RbfModel

    Raises
    ------
    ValueError
        When scikit-learn cannot fit, or its model has no inside.
    """
    unchanged = is_constant(X)
    # Runs of equal values are as long as there is history: they change in a constant series, too.
    judged = Roles.of(features).of_svm if features else np.arange(X.shape[1])
    if unchanged[judged].all():
        model = constant_model(X)
        model.scale[np.setdiff1d(np.arange(X.shape[1]), judged)] = np.inf
    else:
        model = fit_thinned_svm(X, parameters)
        if unchanged.any():
            note = f"{unchanged.sum()} of {unchanged.size} features do not change in training"
            model = replace(model, notes=(*model.notes, note))
        if parameters.threshold == "calibrated":
            model = calibrate(X, model, parameters)
    flagged = float(np.mean(model.score(X) < model.threshold))
    return replace(model, train_flag_rate=flagged)


def thin(n: int, at_most: int) -> Int:
    """Select at most ``at_most`` of n rows, evenly spaced and deterministic; returns indices.

    Examples
    --------
    >>> thin(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.arange(n) if n <= at_most else np.linspace(0, n - 1, at_most).round().astype(np.int64)


def fit_thinned_svm(X: Float, parameters: FitParameters, share: float = 1.0) -> RbfModel:
    """Fit the one-class SVM on at most ``max_train_windows`` rows, or a share of them; a note says so."""
    rows = thin(len(X), max(round(share * parameters.max_train_windows), parameters.min_windows))
    if rows.size == len(X):
        return fit_svm(np.ascontiguousarray(X), parameters)
    model = fit_svm(np.ascontiguousarray(X[rows]), parameters)
    note = f"the one-class SVM is fitted on {rows.size:,} of {len(X):,} windows"
    return replace(model, notes=(note, *model.notes))


def fit_svm(X: Float, parameters: FitParameters) -> RbfModel:
    """Fit scikit-learn's StandardScaler and OneClassSVM; threshold 0.

    ``nu`` is raised, and a note added, where ``nu · n`` is too small for the solver to move.
    """
    mean, scale = mean_and_scale(X)
    Z = (X - mean) / scale
    nu, notes = parameters.nu, []
    if nu * len(X) < MIN_NU_TIMES_ROWS:
        nu = min(1.0, MIN_NU_TIMES_ROWS / len(X))
        notes.append(f"nu raised from {parameters.nu:g} to {nu:.3g}: {len(X)} windows are few for it")
    gamma = _gamma(Z, parameters.gamma)
    svm = solve(Z, nu, gamma, parameters.tol)
    rho = -svm.intercept
    if not (np.isfinite(rho) and rho > 0):
        raise ValueError(f"the fitted one-class SVM has no inside (rho = {rho:g})")
    return RbfModel(
        mean=mean,
        scale=scale,
        gamma=gamma,
        nu=nu,
        rho=rho,
        support_vectors=np.ascontiguousarray(svm.support_vectors),
        dual_coef=svm.dual_coef,
        notes=tuple(notes),
    )


def constant_model(X: Float) -> RbfModel:
    """Build the model of a constant series: that value is normal, any other an anomaly.

    A fitted one-class SVM flags the constant it was trained on. This model has a single support
    vector at the constant and its boundary one tolerance away, ``score = 2^(-z²) - 1/2``, so the
    kernel needs no special case.
    """
    middle = X.mean(axis=0)
    return RbfModel(
        mean=middle,
        scale=np.maximum(tolerance(X), CONSTANT_TOLERANCE**2),
        gamma=float(np.log(2.0)),
        nu=1.0,
        rho=0.5,
        support_vectors=np.zeros((1, X.shape[1])),
        dual_coef=np.ones(1),
        notes=("constant in training: any other value is an anomaly",),
        is_constant=True,
    )


def calibrate(X: Float, model: RbfModel, parameters: FitParameters) -> RbfModel:
    """Set the threshold so that at most ``false_alarm_rate`` of unseen normal windows fall below it.

    Blocks of time are held out in turn and scored by a model of the rest. Adjacent windows are
    similar, so holding out single windows would be too optimistic. Scores grow with the number of
    training rows, hence the ratio ``score / rho`` is used.

    Parameters
    ----------
    X : array of shape (n, d), float64
        In the order of time.
    model : RbfModel
        Fitted on all of X.
    parameters : FitParameters
    """
    ratios = np.concatenate(
        [
            part.score(X[held_out]) / part.rho
            for held_out, rest in blocks(len(X), parameters)
            for part in [fit_thinned_svm(X[rest], parameters, rest.size / len(X))]
        ]
    )
    allowed = int(parameters.rate * ratios.size)
    threshold = float(np.sort(ratios)[allowed]) * model.rho
    notes = model.notes
    if parameters.rate * ratios.size < 1:
        notes += (
            f"{ratios.size} windows cannot resolve a false-alarm rate of {parameters.rate:g}; "
            f"expect about {1 / (ratios.size + 1):.2g}",
        )
    return replace(model, threshold=threshold, notes=notes)


def blocks(n: int, parameters: FitParameters) -> Iterator[tuple[slice, Int]]:
    """Yield held-out rows and training rows, for each held-out block of time.

    Examples
    --------
    >>> [(b.start, b.stop, rest.tolist()) for b, rest in blocks(4, FitParameters(calibration_blocks=2))]
    [(0, 2, [2, 3]), (2, 4, [0, 1])]
    """
    edges = np.linspace(0, n, min(parameters.calibration_blocks, n) + 1).astype(int)
    pairs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    for start, end in pairs if parameters.calibrate_on == "every_block" else pairs[-1:]:
        yield slice(start, end), np.concatenate([np.arange(start), np.arange(end, n)])


def _gamma(Z: Float, gamma: Any) -> float:
    """Resolve scikit-learn's ``gamma`` to a number."""
    if gamma == "scale":
        variance = float(Z.var())
        return 1.0 / (Z.shape[1] * variance) if variance > 0 else 1.0
    return 1.0 / Z.shape[1] if gamma == "auto" else float(gamma)


def is_constant(X: Float) -> Bool:
    """Mark the features that do not change, shape (d,)."""
    unchanged: Bool = np.ptp(X, axis=0) <= tolerance(X)
    return unchanged


def tolerance(X: Float) -> Float:
    """Compute the variation within which each feature counts as unchanged, shape (d,)."""
    size = np.abs(X).max(axis=0)
    return CONSTANT_TOLERANCE * np.maximum(size, size.max(initial=0.0))
