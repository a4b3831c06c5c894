"""Windows and a fleet model in, predictions and a status table out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_scoring.fleet.arrow_arrays import repeated, strings, to_arrow, to_numpy
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.kernel import scale_rows, score_scaled
from batch_scoring.fleet.model import FleetModel
from batch_scoring.fleet.tables import PREDICTIONS, STATUS
from batch_scoring.fleet.windows import feature_matrix

Float = NDArray[np.float64]
Int = NDArray[np.int64]


def score_fleet(
    windows: pa.Table, model: FleetModel, model_version: str, n_threads: int | None = None
) -> tuple[pa.Table, pa.Table]:
    """Score the windows of one sensor with the models of its devices.

    Parameters
    ----------
    windows : pyarrow.Table
        Schema ``windows_schema(features)`` with at least the model's features; one sensor, any order.
    model : FleetModel
    model_version : str
        Written into every prediction.
    n_threads : int, optional
        Default: the cores this process may use.

    Returns
    -------
    predictions : pyarrow.Table
        Schema PREDICTIONS, in the order of ``windows``, without the windows that cannot be scored.
        ``is_anomaly`` is ``score < threshold``; ``severity`` is 0 at the threshold and 1 where no
        support vector is anywhere near; ``top_feature`` has the largest ``|z|`` in scaled units.
    status : pyarrow.Table
        Schema STATUS, one row for each device of the windows or of the model, sorted by device:
        ``ok``, ``no_model``, ``no_data``, or ``bad_features`` when a window of the device has a
        feature that is not finite. ``n_windows`` counts predictions.

    Raises
    ------
    InputError
        When the windows are of another sensor or length than the model's, or lack a feature.
    """
    _require_match(windows, model)
    known = _model_of_row(windows["device"], model)
    X = feature_matrix(windows, model.info.features)
    rows = np.flatnonzero((known >= 0) & np.isfinite(X).all(axis=1))
    # The kernel wants the rows of a model side by side; a stored partition has them so already.
    grouped = rows[np.argsort(known[rows], kind="stable")]
    predicted = _score_rows(X[grouped], known[grouped], model, n_threads)
    predictions = _predictions(windows, grouped, predicted, model, model_version)
    if not np.array_equal(rows, grouped):
        predictions = predictions.take(to_arrow(np.argsort(grouped, kind="stable")))
    return predictions, fleet_status(windows, predictions, model)


def fleet_status(windows: pa.Table, predictions: pa.Table, model: FleetModel | None) -> pa.Table:
    """What became of each device of the windows or of the model.

    Parameters
    ----------
    windows : pyarrow.Table
        One sensor; at least one row where there is no model.
    predictions : pyarrow.Table
        Schema PREDICTIONS, of these windows.
    model : FleetModel or None
        None when the sensor has no model at all.

    Returns
    -------
    pyarrow.Table
        Schema STATUS, one row a device, sorted; see :func:`score_fleet`.
    """
    devices = windows["device"]
    modelled = model.devices if model else strings([])
    everyone = pc.unique(pa.chunked_array([*devices.chunks, modelled], pa.string()))
    everyone = everyone.take(pc.sort_indices(everyone))

    def count(which: pa.ChunkedArray) -> Int:
        index = to_numpy(pc.index_in(which, value_set=everyone))
        return np.bincount(index, minlength=len(everyone))

    finite = np.isfinite(feature_matrix(windows, model.info.features)).all(axis=1) if model else True
    has_model = to_numpy(pc.is_in(everyone, value_set=modelled))
    n_rows = count(devices)
    n_bad = count(devices.filter(to_arrow(np.broadcast_to(~np.asarray(finite), len(devices)))))
    cases = [~has_model, n_rows == 0, n_bad > 0]
    names = np.select(cases, ["no_model", "no_data", "bad_features"], "ok")
    texts = np.select(
        cases,
        [
            _texts(n_rows, "{} windows, but no model of this device; train it"),
            _texts(n_rows, "no window of this device in this range"),
            _texts(n_bad, "{} windows have a feature that is not finite and were not scored"),
        ],
        "",
    )
    sensor = model.info.sensor if model else windows["sensor"][0].as_py()
    columns = [
        everyone,
        repeated(sensor, len(everyone)),
        repeated("score", len(everyone)),
        strings(names.tolist()),
        to_arrow(count(predictions["device"])),
        to_arrow(count(predictions["device"].filter(predictions["is_anomaly"]))),
        strings(texts.tolist()),
    ]
    return pa.Table.from_arrays(columns, schema=STATUS)


def severity(score: Float, threshold: Float, rho: Float) -> Float:
    """How bad: 0 at the threshold or above, 1 where every support vector is infinitely far.

    ``(threshold - score) / (threshold + rho)``, clipped to [0, 1]. ``score + rho`` is a sum of
    kernel values with positive weights, so ``-rho`` is the lowest score there is.

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


def _require_match(windows: pa.Table, model: FleetModel) -> None:
    if windows.num_rows == 0:
        return
    sensor = windows["sensor"][0].as_py()
    if sensor != model.info.sensor:
        raise InputError(f"the windows are of sensor {sensor!r}, the model is of {model.info.sensor!r}")
    first = windows.slice(0, 1)
    length = int((to_numpy(first["window_end"]) - to_numpy(first["window_start"]))[0]) / 1e6
    if length != model.info.window_seconds:
        raise InputError(
            f"sensor {sensor!r}: the windows are {length:g} s long, its models were trained on windows of "
            f"{model.info.window_seconds:g} s; train again, or aggregate with the same window"
        )


def _model_of_row(devices: pa.ChunkedArray, model: FleetModel) -> Int:
    """The model of each row; -1 where the device has none."""
    return to_numpy(pc.index_in(devices, value_set=model.devices), null=-1).astype(np.int64)


def _score_rows(X: Float, known: Int, model: FleetModel, n_threads: int | None) -> tuple[Float, Int]:
    arrays = model.arrays()
    row_offsets = np.concatenate([[0], np.cumsum(np.bincount(known, minlength=arrays.gamma.size))])
    Z = scale_rows(arrays, X, known)
    return score_scaled(arrays, Z, row_offsets, n_threads), np.abs(Z).argmax(axis=1)


def _predictions(
    windows: pa.Table, rows: Int, predicted: tuple[Float, Int], model: FleetModel, model_version: str
) -> pa.Table:
    score, top = predicted
    index = _model_of_row(windows["device"].take(to_arrow(rows)), model)
    threshold = to_numpy(model.table["threshold"])[index]
    rho = to_numpy(model.table["rho"])[index]
    taken = windows.take(to_arrow(rows))
    features = strings(model.info.features)
    columns = [
        *(taken[name] for name in ("window_start", "window_end", "device", "sensor")),
        taken["mean"] if "mean" in taken.column_names else pa.nulls(rows.size, pa.float64()),
        to_arrow(score),
        to_arrow(threshold),
        to_arrow(score < threshold),
        to_arrow(severity(score, threshold, rho)),
        features.take(to_arrow(top)),
        repeated(model_version, rows.size),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTIONS)


def _texts(numbers: Int, text: str) -> NDArray[np.str_]:
    distinct, which = np.unique(numbers, return_inverse=True)
    return np.array([text.format(n) for n in distinct.tolist()])[which]
