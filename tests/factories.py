"""Small fleets for tests: readings, windows and models in a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit import fit_windows, fleet_info
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.tables.schemas import MODELS, READINGS, windows_schema

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
START_US = int(START.timestamp() * 1e6)


def make_readings(
    minutes: list[float], values: list[float], device: str = "d1", sensor: str = "s"
) -> pa.Table:
    """Readings of one device, so many minutes after START."""
    n = len(minutes)
    times = [START_US + round(minute * MINUTE_US) for minute in minutes]
    columns = {"timestamp": times, "device": [device] * n, "sensor": [sensor] * n, "value": values}
    return pa.table(columns).cast(READINGS)


def make_windows(
    X: NDArray[np.float64],
    devices: list[str] | None = None,
    sensor: str = "s",
    features: list[str] | None = None,
    window_us: int = 5 * MINUTE_US,
    start_us: int = START_US,
) -> pa.Table:
    """One window a row of X; the windows of each device follow each other from START on."""
    X = np.atleast_2d(np.asarray(X, float))
    devices = devices or ["d1"] * len(X)
    names = features or (["mean", *(f"f{i}" for i in range(1, X.shape[1]))])
    seen: dict[str, int] = {}
    start = []
    for device in devices:
        start.append(start_us + seen.setdefault(device, 0) * window_us)
        seen[device] += 1
    columns = [
        pa.array(start, pa.int64()),
        pa.array([s + window_us for s in start], pa.int64()),
        pa.array(devices, pa.string()),
        pa.array([sensor] * len(X), pa.string()),
        pa.array([5] * len(X), pa.int32()),
        *(pa.array(X[:, i]) for i in range(X.shape[1])),
    ]
    schema = windows_schema(names)
    return pa.table([c.cast(f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def make_model(
    devices: list[str], sensor: str = "s", features: tuple[str, ...] = ("mean",), threshold: float = 0.0
) -> FleetModel:
    """Models that call a window normal while every feature is within about 0.8 of 0."""
    d, n = len(features), len(devices)
    columns = {
        "device": devices,
        "n_train": [100] * n,
        "trained_from": [START] * n,
        "trained_to": [START] * n,
        "nu": [0.1] * n,
        "gamma": [1.0] * n,
        "rho": [0.5] * n,
        "mean": [[0.0] * d] * n,
        "scale": [[1.0] * d] * n,
        "support_vectors": [[0.0] * d] * n,
        "dual_coef": [[1.0]] * n,
        "threshold": [threshold] * n,
        "train_flag_rate": [0.01] * n,
    }
    return FleetModel.build(pa.table(columns, schema=MODELS), FleetInfo(sensor, features, 300.0, {}))


def fit_fleet(
    windows: pa.Table, features: Sequence[str], parameters: FitParameters
) -> tuple[FleetModel | None, pa.Table]:
    """Fit one model a device; the model is None when no device could be fitted."""
    fitted = fit_windows(windows, features, parameters)
    if fitted.models.num_rows == 0:
        return None, fitted.status
    length_us = windows["window_end"][0].value - windows["window_start"][0].value
    info = fleet_info(windows["sensor"][0].as_py(), features, length_us, parameters.detector)
    return FleetModel.build(fitted.models, info), fitted.status
