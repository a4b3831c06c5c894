"""Fit the models of one sensor's devices, on all cores; one bad device never stops the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.fleet.model import MODELS, FleetInfo, FleetModel
from batch_scoring.fleet.one_class_svm import FitParameters, RbfModel, fit_device
from batch_scoring.fleet.tables import STATUS
from batch_scoring.fleet.windows import feature_matrix

Float = NDArray[np.float64]

Progress = Callable[[int], None]


@dataclass(frozen=True)
class _Device:
    """One device's part of the sorted windows, and what became of it."""

    name: str
    rows: slice
    usable: NDArray[np.int64]


def fit_fleet(
    windows: pa.Table,
    features: Sequence[str],
    parameters: FitParameters,
    n_threads: int | None = None,
    progress: Progress = lambda done: None,
) -> tuple[FleetModel | None, pa.Table]:
    """Fit one model a device.

    Parameters
    ----------
    windows : pyarrow.Table
        Training windows of one sensor, schema ``windows_schema(features)``; at least one row.
    features : sequence of str
        The features to train on, in this order.
    parameters : FitParameters
    n_threads : int, optional
        Default: the cores this process may use. Each fit runs on one thread.
    progress : callable, optional
        Called with the number of devices done, from the calling thread.

    Returns
    -------
    model : FleetModel or None
        A row for each device that could be fitted; None when there was none.
    status : pyarrow.Table
        Schema STATUS, one row for each device of ``windows``, sorted by device: ``ok``,
        ``constant``, ``too_few_windows``, ``bad_features`` (no finite window at all) or ``fit_failed``.
        ``n_windows`` counts the usable training windows, ``n_anomalies`` those flagged.

    Raises
    ------
    InputError
        When the windows lack one of the features.
    """
    windows = windows.sort_by([("device", "ascending"), ("window_start", "ascending")]).combine_chunks()
    X = feature_matrix(windows, features)
    devices = list(_devices(windows, np.asarray(np.isfinite(X).all(axis=1))))
    n_threads = n_threads or len(os.sched_getaffinity(0))
    outcomes: dict[str, RbfModel | str] = {}
    for device, outcome in _fit_all(X, devices, parameters, n_threads):
        outcomes[device.name] = outcome
        progress(len(outcomes))
    sensor = windows["sensor"][0].as_py()
    status = _status_table(sensor, devices, outcomes, parameters)
    fitted = [device for device in devices if isinstance(outcomes[device.name], RbfModel)]
    if not fitted:
        return None, status
    seconds = (windows["window_end"][0].value - windows["window_start"][0].value) / 1e6
    info = FleetInfo(sensor, tuple(features), seconds, _library_versions())
    return FleetModel.build(_model_table(windows, fitted, outcomes), info), status


def _devices(windows: pa.Table, finite: NDArray[np.bool_]) -> Iterator[_Device]:
    encoded = windows["device"].combine_chunks().dictionary_encode()
    edges = np.flatnonzero(np.diff(encoded.indices.to_numpy(), prepend=-1, append=-1))
    for name, start, end in zip(encoded.dictionary.to_pylist(), edges[:-1], edges[1:], strict=True):
        yield _Device(name, slice(start, end), start + np.flatnonzero(finite[start:end]))


def _fit_all(
    X: Float, devices: Iterable[_Device], parameters: FitParameters, n_threads: int
) -> Iterator[tuple[_Device, RbfModel | str]]:
    from threadpoolctl import threadpool_limits

    # The largest first: fitting is quadratic, and a long one at the end would leave cores idle.
    ordered = sorted(devices, key=lambda device: -device.usable.size)
    # libsvm works without the interpreter's lock, so threads do, and share X without a copy.
    with threadpool_limits(1), ThreadPoolExecutor(n_threads) as pool:
        yield from zip(ordered, pool.map(lambda device: _fit(X, device, parameters), ordered), strict=True)


def _fit(X: Float, device: _Device, parameters: FitParameters) -> RbfModel | str:
    """The model, or why there is none."""
    if device.usable.size < parameters.min_windows:
        return "too_few_windows" if device.usable.size else "bad_features"
    try:
        return fit_device(X[device.usable], parameters)
    except Exception as error:  # whatever one device's data does, the others must be fitted
        return f"fit_failed: {type(error).__name__}: {error}"


def _status_table(
    sensor: str, devices: list[_Device], outcomes: dict[str, RbfModel | str], parameters: FitParameters
) -> pa.Table:
    rows = []
    for device in devices:
        outcome, usable = outcomes[device.name], device.usable.size
        bad = device.rows.stop - device.rows.start - usable
        notes = [f"{bad} windows with a feature that is not finite were left out"] if bad else []
        anomalies = 0
        if isinstance(outcome, RbfModel):
            status = "constant" if any(note.startswith("constant") for note in outcome.notes) else "ok"
            anomalies = round(outcome.train_flag_rate * usable)
            notes += outcome.notes
        else:
            status, _, reason = outcome.partition(": ")
            if status == "too_few_windows":
                notes.insert(0, f"{usable} usable windows, train.fit.min_windows is {parameters.min_windows}")
            elif reason:
                notes.insert(0, reason)
        rows.append((device.name, sensor, "train", status, usable, anomalies, "; ".join(notes)))
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), STATUS, strict=True)],
        schema=STATUS,
    )


def _model_table(windows: pa.Table, fitted: list[_Device], outcomes: dict[str, RbfModel | str]) -> pa.Table:
    models = [model for device in fitted if isinstance(model := outcomes[device.name], RbfModel)]
    first = pa.array([device.usable[0] for device in fitted])
    last = pa.array([device.usable[-1] for device in fitted])
    columns = {
        "device": [device.name for device in fitted],
        "n_train": [device.usable.size for device in fitted],
        "trained_from": windows["window_start"].take(first),
        "trained_to": windows["window_end"].take(last),
        **{name: [getattr(m, name) for m in models] for name in ("nu", "gamma", "rho", "threshold")},
        "train_flag_rate": [m.train_flag_rate for m in models],
        **{
            name: [getattr(m, name).ravel() for m in models]
            for name in ("mean", "scale", "support_vectors", "dual_coef")
        },
    }
    return pa.table({name: columns[name] for name in MODELS.names}, schema=MODELS)


def _library_versions() -> dict[str, str]:
    return {name: version(name) for name in ("numpy", "scikit-learn", "batch_scoring")}
