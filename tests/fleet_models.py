"""Factories of small fleet models and trainings for the tests of publishing and tracking."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.model_file import FleetFile, write_models
from batch_scoring.registry.published import folder_of
from batch_scoring.tables.schemas import MODELS, STATUS
from batch_scoring.training.result import Training

FEATURES = ("mean", "std")

# Gone when the tests are.
_FILES = tempfile.TemporaryDirectory(prefix="batch_scoring_tests_")

# A pre-trained model in the open form, without its device and sensor.
OPEN_FORM = {
    "features": ["value"],
    "gamma": 0.01,
    "nu": 0.1,
    "mean": [12.0],
    "scale": [2.0],
    "support_vectors": [[1.5], [-1.5]],
    "dual_coef": [0.5, 0.5],
    "intercept": -0.9,
    "n_train": 299,
}


def sensor_folder(root: Path, sensor: str) -> Path:
    """The folder of a sensor's published model."""
    return Path(folder_of(root, sensor).path())


def in_file(model: FleetModel) -> FleetFile:
    """The models as the file that a training hands over."""
    with tempfile.NamedTemporaryFile(dir=_FILES.name, suffix=".arrow", delete=False) as file:
        write_models(file, model.info, [model])
    return FleetFile(Path(file.name))


def make_model(
    sensor: str = "vibration",
    devices: Sequence[str] = ("a", "b"),
    features: Sequence[str] = FEATURES,
    seed: int = 0,
) -> FleetModel:
    """Random models: each depends on the seed, the device and the number of features only."""
    rows = [_make_row(device, len(features), seed) for device in devices]
    info = FleetInfo(sensor, tuple(features), 300.0, {"scikit-learn": "1.9.1"})
    return FleetModel.build(pa.Table.from_pylist(rows, schema=MODELS), info)


def make_training(
    sensor: str = "vibration",
    devices: Sequence[str] = ("a", "b"),
    seed: int = 0,
    failed: Sequence[str] = (),
    base: FleetModel | None = None,
    **more: Any,
) -> Training:
    """A training of random models; its fingerprint is made of what it is made from."""
    model = make_model(sensor, devices, seed=seed)
    rows = [(device, "ok", 60, "") for device in devices]
    rows += [(device, "too_few_windows", 3, "3 windows, at least 60 are needed") for device in failed]
    status = pa.Table.from_pylist(
        [
            {"device": d, "sensor": sensor, "stage": "train", "status": s, "n_windows": n, "message": m}
            for d, s, n, m in rows
        ],
        schema=STATUS,
    )
    values = {
        "fingerprint": hashlib.sha256(f"{sensor} {devices} {seed}".encode()).hexdigest(),
        "parameters": {"nu": 0.1, "calibration": {"rate": 0.001}},
        "metrics": {"alarms": 0.5},
    }
    return Training(in_file(base.replace(model) if base else model), status, **(values | more))


def training_of(model: FleetModel, fingerprint: str = "f", **more: Any) -> Training:
    """A training of given models, which says nothing of its devices."""
    return Training(in_file(model), STATUS.empty_table(), fingerprint, **more)


def _make_row(device: str, d: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng([seed, *device.encode()])
    n_sv = int(random.integers(1, 6))
    return {
        "device": device,
        "n_train": 60,
        "trained_from": datetime(2026, 1, 1, tzinfo=UTC),
        "trained_to": datetime(2026, 1, 8, tzinfo=UTC),
        "nu": 0.1,
        "gamma": 1.0 / d,
        "rho": 0.5 * n_sv,
        "mean": random.normal(size=d).tolist(),
        "scale": random.uniform(0.5, 2, size=d).tolist(),
        "support_vectors": random.normal(size=n_sv * d).tolist(),
        "dual_coef": np.ones(n_sv).tolist(),
        "threshold": -0.01,
        "train_flag_rate": 0.02,
    }
