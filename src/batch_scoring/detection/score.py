"""Score windows with a sensor's models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import Scores
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.warm_up import is_warming_up
from batch_scoring.tables.arrays import Bool, Float, Int, UInt
from batch_scoring.tables.arrow_arrays import constant, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import PREDICTIONS, TIMESTAMP, feature_columns
from batch_scoring.windows.features import feature_matrix, require_features


def predict(
    windows: pa.Table,
    model: FleetModel,
    model_version: str,
    n_threads: int | None = None,
    fingerprints: UInt | None = None,
) -> pa.Table:
    """Score the windows of one sensor with the models of its devices.

    Parameters
    ----------
    windows : pyarrow.Table
        Schema ``windows_schema(features)`` with at least the model's features; one sensor, any order.
    model : FleetModel
    model_version : str
        Recorded in every prediction.
    n_threads : int, optional
        Default: the cores this process may use.
    fingerprints : array of shape (n,), uint64, optional
        :func:`window_fingerprints` of these windows, if already computed.

    Returns
    -------
    pyarrow.Table
        Schema PREDICTIONS, in the order of ``windows``, without the windows of devices that have no model and
        those with a feature that is not finite.
        ``is_anomaly`` is ``score < threshold``, whatever the detector. Of the combined detector,
        ``score`` is log10 of the tail probability of the window (an upper estimate),
        ``severity = max(0, threshold - score)`` is in decades beyond the threshold, at most 100, and
        ``contributions`` of an anomaly are the decades that each feature alone would give.
        Of the one-class SVM, ``score`` is scikit-learn's, and see ``one_class_svm.severity``.
        ``top_feature`` is the feature farthest from its median, or from its mean, in spreads, or ``mean``
        where all readings are off, and
        ``top_value``, ``expected``, ``lower`` and ``upper`` are of it.
        ``evidence`` ranks windows; see ``incidents``.
        ``warming_up`` are the windows of models trained on less than ``model.info.warm_up_seconds``.

    Raises
    ------
    InputError
        When sensor or length of the windows differ from the model's, or a feature is missing.
    """
    require_match(windows, model.info)
    if fingerprints is None:
        fingerprints = window_fingerprints(windows)
    known, versions = positions(windows["device"], model.devices), constant(model_version, len(model.devices))
    return predict_known(windows, known, model, versions, fingerprints, n_threads)[0]


def predict_known(
    windows: pa.Table,
    known: Int,
    model: FleetModel,
    versions: pa.Array,
    fingerprints: UInt,
    n_threads: int | None = None,
) -> tuple[pa.Table, Bool]:
    """Score windows whose models are known: of one sensor, or of several whose models are alike.

    Parameters
    ----------
    windows : pyarrow.Table
        With the model's features and length; in any order.
    known : array of shape (n,), int64
        Row of each window's model; -1 for windows that are not scored.
    model : FleetModel
        Several sensors' models are joined by :meth:`FleetModel.join`.
    versions : pyarrow.Array of string
        Version of each model.
    fingerprints : array of shape (n,), uint64
    n_threads : int, optional

    Returns
    -------
    predictions : pyarrow.Table
        See :func:`predict`.
    is_scored : array of shape (n,), bool
        Which windows they are of.
    """
    is_scored = (known >= 0) & _are_finite(windows, model)
    rows = np.flatnonzero(is_scored)
    # The kernel needs the rows of a model adjacent, as they are in a stored partition.
    order = None if (np.diff(known[rows]) >= 0).all() else np.argsort(known[rows], kind="stable")
    if order is not None or rows.size < known.size:
        rows = rows if order is None else rows[order]
        known, fingerprints = known[rows], fingerprints[rows]
        windows = windows.take(to_arrow(rows))
    X = feature_matrix(windows, model.info.features)
    scores = model.detector.score_windows(X, to_numpy(windows["window_start"]), known, model.rows, n_threads)
    is_young = _are_warming_up(model)[known]
    calibrated = pa.nulls(len(X), TIMESTAMP)
    if model.calibrated is not None:
        calibrated = model.calibrated.take(to_arrow(known))
    version = versions.take(to_arrow(known))
    predictions = _predictions(windows, X, scores, is_young, model, version, fingerprints, calibrated)
    if order is not None:
        predictions = predictions.take(to_arrow(np.argsort(rows, kind="stable")))
    return predictions, is_scored


def window_fingerprints(windows: pa.Table) -> UInt:
    """Compute a fingerprint of each window's keys and values, shape (n,); it changes with the window."""
    columns = ["device", "window_start", "window_end", "count", *feature_columns(windows)]
    return row_fingerprints(windows, columns)


def require_match(windows: pa.Table, info: FleetInfo) -> None:
    """Check that windows of one sensor can be scored with its models.

    Raises
    ------
    InputError
        When sensor or length of the windows differ from the models', or a feature is missing.
    """
    first = windows.slice(0, 1)
    sensor = first["sensor"][0].as_py() if first.num_rows else info.sensor
    if sensor != info.sensor:
        raise InputError(f"the windows are of sensor {sensor!r}, the model of {info.sensor!r}")
    lengths = (to_numpy(first["window_end"]) - to_numpy(first["window_start"])) / 1e6
    for length in lengths[lengths != info.window_seconds]:
        raise InputError(
            f"sensor {sensor!r}: the windows are {length:g} s long, its models were trained on windows of "
            f"{info.window_seconds:g} s; train again, or aggregate with the same window"
        )
    require_features(windows, info.features)


def _predictions(
    windows: pa.Table,
    X: Float,
    scores: Scores,
    is_young: Bool,
    model: FleetModel,
    version: pa.Array,
    fingerprints: UInt,
    calibrated: pa.Array,
) -> pa.Table:
    n = windows.num_rows
    is_anomaly = scores.score < scores.threshold
    columns = [  # in the order of PREDICTIONS: a swap of two columns of one type would go unnoticed
        *(windows[name] for name in ("window_start", "window_end", "device", "sensor")),
        windows["mean"] if "mean" in windows.column_names else pa.nulls(n, pa.float64()),
        to_arrow(scores.score),
        to_arrow(scores.threshold),
        to_arrow(is_anomaly),
        to_arrow(scores.severity),
        strings(model.info.features).take(to_arrow(scores.top)),
        _contributions(is_anomaly, scores.contributions, model.info.features),
        version,
        to_arrow(fingerprints.view(np.int64)),
        to_arrow(scores.severity if scores.evidence is None else scores.evidence),
        *_expected_range(X, scores),
        to_arrow(is_young),
        calibrated,
        pa.nulls(n, pa.string()),  # the rule that decided, filled by `plant.rules`
        _hours(scores.may_stay, n),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTIONS)


def _are_warming_up(model: FleetModel) -> Bool:
    """Mark the devices whose model is warming up; how long an imported one was trained is not known."""
    trained_from, trained_to = (model.table[name] for name in ("trained_from", "trained_to"))
    is_known = to_numpy(pc.is_valid(trained_from)) & to_numpy(pc.is_valid(trained_to))
    cycle = timedelta(seconds=model.info.warm_up_seconds)
    return is_known & is_warming_up(to_numpy(trained_from), to_numpy(trained_to), cycle)


def _expected_range(X: Float, scores: Scores) -> Iterator[pa.Array]:
    """Yield value, expected value, lower and upper bound of the most unusual feature; null without one."""
    yield to_arrow(X[np.arange(len(X)), scores.top])
    found, nothing = scores.expected, pa.nulls(len(X), pa.float64())
    for numbers in (found.expected, found.lower, found.upper) if found else ():
        # No scalar of Python: Arrow imports pandas to see whether it is one of pandas'.
        yield pc.if_else(to_arrow(np.isfinite(numbers)), to_arrow(numbers), nothing)
    if found is None:
        yield from [nothing] * 3


def _hours(may_stay: Float | None, n: int) -> pa.Array:
    nothing = pa.nulls(n, pa.float64())
    return (
        nothing
        if may_stay is None
        else pc.if_else(to_arrow(~np.isnan(may_stay)), to_arrow(may_stay), nothing)
    )


def _contributions(is_anomaly: Bool, parts: Float | None, features: Sequence[str]) -> pa.Array:
    """Build a map from feature to decades for each window; empty for normal windows."""
    if parts is None:
        parts, is_anomaly = np.zeros((0, len(features))), np.zeros_like(is_anomaly)
    d = len(features)
    offsets = np.zeros(is_anomaly.size + 1, np.int32)
    np.cumsum(is_anomaly * d, out=offsets[1:])
    names = strings(features).take(to_arrow(np.tile(np.arange(d), len(parts))))
    return pa.MapArray.from_arrays(to_arrow(offsets), names, to_arrow(parts.ravel()))


def _are_finite(windows: pa.Table, model: FleetModel) -> Bool:
    """Mark the windows with finite features of the model; column by column, since rows are short."""
    finite = np.ones(windows.num_rows, np.bool_)
    for name in model.info.features:
        finite &= np.isfinite(to_numpy(windows[name]))
    return finite
