"""Fit the models of many devices in turn; a failure of one device never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.detectors.base import FitParameters, FittedModel, Series
from batch_scoring.detection.model import FleetInfo
from batch_scoring.detection.warm_up import WEEK
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import constant, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import MODEL_KEYS, STATUS
from batch_scoring.windows.features import feature_matrix

# Raise it when fits of the same windows with the same settings change: in a detector, its guards or its
# calibration. It is part of the fingerprint of a training, so that after an upgrade every sensor is trained
# again instead of silently keeping models of the former fit.
FIT_VERSION = 8

FitDevice = Callable[[Series, FitParameters], FittedModel]


@dataclass(frozen=True)
class Fitted:
    """Models and status of some devices.

    Attributes
    ----------
    models : pyarrow.Table
        The detector's schema, a row for each fitted device, sorted by device.
    status : pyarrow.Table
        Schema STATUS, one row for each device, sorted by device: ``ok``, ``constant``,
        ``too_few_windows``, ``bad_features`` (no finite window at all) or ``fit_failed``.
        ``n_windows`` counts the usable training windows, ``n_anomalies`` those flagged.
    n_windows : int
        All windows of these devices.
    """

    models: pa.Table
    status: pa.Table
    n_windows: int


@dataclass(frozen=True)
class _Device:
    """One device's part of the sorted windows: their number, and the usable rows."""

    name: str
    n_windows: int
    usable: Int


def fleet_info(
    sensor: str, features: Sequence[str], window_us: int, detector: str, warm_up: timedelta = WEEK
) -> FleetInfo:
    """Build the info shared by all models fitted now."""
    libraries = {name: version(name) for name in ("numpy", "scikit-learn", "batch_scoring")}
    return FleetInfo(
        sensor,
        tuple(features),
        window_us / 1e6,
        libraries,
        detector=detector,
        warm_up_seconds=warm_up.total_seconds(),
    )


def fit_windows(
    windows: pa.Table, features: Sequence[str], parameters: FitParameters, fit: FitDevice | None = None
) -> Fitted:
    """Fit one model a device, on one core.

    Parameters
    ----------
    windows : pyarrow.Table
        Training windows of one sensor, schema ``windows_schema(features)``, in any order; at least one row.
    features : sequence of str
        The features to train on, in this order.
    parameters : FitParameters
    fit : callable, optional
        Fits one device; default: the parameters' detector.

    Raises
    ------
    InputError
        When the windows lack one of the features.
    """
    devices, X, start, end = _sorted(windows, features)
    window_us = int(end[0] - start[0])
    detector = DETECTORS[parameters.detector]
    outcomes = [
        _fit(Series(X[rows], start[rows], window_us, tuple(features)), parameters, fit or detector.fit)
        for device in devices
        for rows in [device.usable]
    ]
    status = _status_table(windows["sensor"][0].as_py(), devices, outcomes, parameters)
    done = [
        (device, model) for device, model in zip(devices, outcomes, strict=True) if not isinstance(model, str)
    ]
    return Fitted(_model_table(done, start, end, detector.schema), status, windows.num_rows)


def _sorted(windows: pa.Table, features: Sequence[str]) -> tuple[list[_Device], Float, Int, Int]:
    """Return the sorted devices, and features, start and end of windows sorted by device and start."""
    names = windows["device"].unique()
    names = names.take(pc.array_sort_indices(names))
    place, start, end = (
        positions(windows["device"], names),
        *(to_numpy(windows[n]) for n in ("window_start", "window_end")),
    )
    X = feature_matrix(windows, features)
    order = np.lexsort((start, place))
    place, X, start, end = place[order], X[order], start[order], end[order]
    finite = np.asarray(np.isfinite(X).all(axis=1))
    edges = np.searchsorted(place, np.arange(len(names) + 1))
    devices = [
        _Device(name, int(after - first), first + np.flatnonzero(finite[first:after]))
        for name, (first, after) in zip(names.to_pylist(), pairwise(edges), strict=True)
    ]
    return devices, X, start, end


_Outcome = FittedModel | str


def _fit(series: Series, parameters: FitParameters, fit: FitDevice) -> _Outcome:
    """Fit one device; return its model, or the reason for its absence."""
    if len(series.X) < parameters.min_windows:
        return "too_few_windows" if len(series.X) else "bad_features"
    from sklearn import config_context

    try:
        # Settings and numbers have been checked, so scikit-learn need not check them at every fit.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return fit(series, parameters)
    except Exception as error:  # any failure of one device must not stop the others
        return f"fit_failed: {type(error).__name__}: {error}"


def _status_table(
    sensor: str, devices: list[_Device], outcomes: list[_Outcome], parameters: FitParameters
) -> pa.Table:
    texts, messages, anomalies = [], [], np.zeros(len(devices), np.int64)
    usable = np.array([device.usable.size for device in devices], np.int64)
    for place, (device, outcome) in enumerate(zip(devices, outcomes, strict=True)):
        bad = device.n_windows - device.usable.size
        notes = [f"{bad} windows with a feature that is not finite were left out"] if bad else []
        if not isinstance(outcome, str):
            status = "constant" if outcome.is_constant else "ok"
            anomalies[place] = round(outcome.train_flag_rate * device.usable.size)
            notes += outcome.notes
        else:
            status, _, reason = outcome.partition(": ")
            if status == "too_few_windows":
                reason = f"{usable[place]} usable windows, train.fit.min_windows is {parameters.min_windows}"
            notes = [reason, *notes] if reason else notes
        texts.append(status)
        messages.append("; ".join(notes))
    columns = {
        "device": strings([device.name for device in devices]),
        "sensor": constant(sensor, len(devices)),
        "stage": constant("train", len(devices)),
        "status": strings(texts),
        "n_windows": to_arrow(usable),
        "n_anomalies": to_arrow(anomalies),
        "message": strings(messages),
    }
    return pa.Table.from_arrays([columns[name] for name in STATUS.names], schema=STATUS)


def _model_table(
    fitted: list[tuple[_Device, FittedModel]], start: Int, end: Int, schema: pa.Schema
) -> pa.Table:
    devices, models = [device for device, _ in fitted], [model for _, model in fitted]
    first = np.array([device.usable[0] for device in devices], np.int64)
    last = np.array([device.usable[-1] for device in devices], np.int64)
    columns = {
        "device": strings([device.name for device in devices]),
        "n_train": to_arrow(np.array([device.usable.size for device in devices], np.int64)),
        "trained_from": to_arrow(start[first]),
        "trained_to": to_arrow(end[last]),
        "threshold": to_arrow(np.array([model.threshold for model in models], np.float64)),
        "train_flag_rate": to_arrow(np.array([model.train_flag_rate for model in models], np.float64)),
    }
    for field in schema:
        if field.name not in MODEL_KEYS.names:
            columns[field.name] = _column([model.columns[field.name] for model in models], field.type)
    return pa.Table.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return strings(values)
    if not pa.types.is_list(kind):
        return to_arrow(np.array(values, np.float64))
    arrays = [np.ravel(value) for value in values]
    offsets = np.zeros(len(arrays) + 1, np.int32)
    np.cumsum([array.size for array in arrays], out=offsets[1:])
    return pa.ListArray.from_arrays(to_arrow(offsets), to_arrow(np.concatenate([np.zeros(0), *arrays])))
