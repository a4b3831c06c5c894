"""The interface of detectors and their registry: `combined`, `one_class_svm`, yours; the rest are parts.

To add one, follow docs/how-to/add-a-detector.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import pyarrow as pa

from batch_scoring.detection.detectors.base import (
    ExpectedRange,
    FitParameters,
    FittedModel,
    ModelRows,
    Scores,
    Series,
)
from batch_scoring.detection.detectors.combined import Combined
from batch_scoring.detection.detectors.one_class_svm import OneClassSvm
from batch_scoring.tables.arrays import Float, Int


class Detector(Protocol):
    """Fits one model a device, and scores windows of many devices with the rows of their models.

    Implemented by one class without state in a module of this package, and registered in ``DETECTORS``;
    ``docs/how-to/add-a-detector.md`` walks through one. Called by ``detection.fit`` (a series in, a row
    out), ``detection.score`` (rows and windows in, scores out) and ``detection.model`` (whether the rows
    fit the features). Promotion, monitoring and the model logged in MLflow ask it what its scores mean;
    nothing outside this package compares its name.

    The interface is here because only a row of numbers passes from a training to the scoring of a million
    devices elsewhere: arrays and Arrow columns, but no fitted estimators, pickles, files, clock, random
    state or names of devices. ``score_windows`` must score a window from that window and its model's row
    alone, to the same bits whatever other windows and models are scored with it, since shards and late
    readings are scored in different batches. Only ``fit`` may import scikit-learn.

    Attributes
    ----------
    name : str
        Value of ``train.fit.detector``; stored in every fleet model, so it never changes.
    schema : pyarrow.Schema
        The columns of a model's row: ``tables.schemas.MODEL_KEYS`` and its own.
    states_tail_probability : bool
        Whether score and threshold are log10 of a tail probability. Drift and promotion then derive each
        model's expected rate from its threshold.
    """

    name: str
    schema: pa.Schema
    states_tail_probability: bool

    def check(self, parameters: FitParameters) -> None:
        """Raise InputError, naming the setting, if the detector cannot fit with these parameters."""

    def fit(self, series: Series, parameters: FitParameters) -> FittedModel:
        """Fit and calibrate one device.

        Parameters
        ----------
        series : Series
            At least ``parameters.min_windows`` windows.
        parameters : FitParameters

        Raises
        ------
        Exception
            Any: the device's status is then ``fit_failed`` with its text; the other devices are fitted.
        """

    def list_sizes(self, models: ModelRows) -> Mapping[str, int | Int]:
        """Return the expected length of each list column, for all models or for each, shape (m,)."""

    def needs_time_of_day(self, models: ModelRows) -> bool:
        """Whether any of these models uses the hour in which a window starts."""

    def score_windows(
        self, X: Float, start_us: Int, known: Int, models: ModelRows, n_threads: int | None = None
    ) -> Scores:
        """Score windows.

        Parameters
        ----------
        X : array of shape (n, d), float64
            The models' features, finite; rows of a model adjacent, in the order of the models.
        start_us : array of shape (n,), int64
            When the windows start, in microseconds since the epoch.
        known : array of shape (n,), int64
            The model of each window, as its row in ``models``.
        models : ModelRows
        n_threads : int, optional
            Default: the cores this process may use.
        """


@runtime_checkable
class Recalibrates(Protocol):
    """A detector whose models have a ``curve`` that makes tail probabilities of ``evidence``.

    It can be fitted anew to windows scored since training, which changes no evidence.
    """

    def recalibrate(self, models: ModelRows, evidence: Float, counts: Int) -> Float:
        """Fit the curves of m models to their last windows.

        Parameters
        ----------
        models : ModelRows
            With the columns of ``RECALIBRATED`` at least.
        evidence : array of shape (n,), float64
            Of windows scored since training, in the order of the models.
        counts : array of shape (m,), int64
            Their number for each model, ``n_train`` at most.

        Returns
        -------
        array of shape (m, k), float64
            For the column ``curve``.
        """


@runtime_checkable
class StatesRange(Protocol):
    """A detector that knows between which values a feature usually stays."""

    def expected_range(
        self, X: Float, start_us: Int, known: Int, models: ModelRows, feature: str
    ) -> ExpectedRange:
        """Compute what a feature of n windows would normally be, in its own unit.

        Parameters
        ----------
        X, start_us, known
            See ``Detector.score_windows``; columns but those of ``mean``, ``min``, ``max``, ``change``,
            ``diff_mean`` and the feature may be NaN.
        models : ModelRows
            Without the columns ``support_vectors`` and ``dual_coef`` it will do.
        feature : str
            One of ``models.features``.
        """


@runtime_checkable
class HasKinds(Protocol):
    """A detector whose models measure in several ways, such as by levels, each with an order of its own."""

    def kinds(self, models: ModelRows) -> Int:
        """Number the way in which each of m models measures, shape (m,)."""


# The columns of models that a recalibration needs.
RECALIBRATED = (
    "device",
    "n_train",
    "trained_from",
    "trained_to",
    "threshold",
    "kind",
    "curve",
    "fit_version",
)

_ALL: tuple[Detector, ...] = (Combined(), OneClassSvm())
DETECTORS: dict[str, Detector] = {detector.name: detector for detector in _ALL}
