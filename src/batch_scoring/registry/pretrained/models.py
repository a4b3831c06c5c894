"""Pre-trained models as plain numbers, and their conversion to versions of fleet models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import file_name
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.model_file import FleetFile, replace_models, write_models
from batch_scoring.tables.arrays import Float
from batch_scoring.tables.schemas import MODELS, STATUS
from batch_scoring.training.result import Training

# libsvm calls a decision of exactly 0 an anomaly; ours begins below the threshold. The smallest
# normal number, because some libraries turn smaller ones into 0. It decides 3 of the 11,837
# labels of the 2018 reference.
NATIVE_THRESHOLD = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class PretrainedModel:
    """The numbers of one device's StandardScaler and OneClassSVM(kernel="rbf").

    Attributes
    ----------
    features : tuple of str
        Names of the d features.
    nu, gamma, intercept : float
        ``score = Σ dual_coef · exp(-gamma · ‖z - sv‖²) + intercept``, as scikit-learn has it.
    mean, scale : array of shape (d,), float64
    support_vectors : array of shape (n_sv, d), float64
        In scaled units.
    dual_coef : array of shape (n_sv,), float64
    library : str
        The version of scikit-learn that fitted it.
    source : str
        The file, for messages.
    """

    device: str
    sensor: str
    features: tuple[str, ...]
    nu: float
    gamma: float
    intercept: float
    mean: Float
    scale: Float
    support_vectors: Float
    dual_coef: Float
    n_train: int
    library: str
    source: str

    def check(self) -> None:
        """Raise unless all numbers are finite and fit together.

        Raises
        ------
        InputError
            Naming the file and what is wrong with it.
        """
        d, n_sv = len(self.features), self.dual_coef.size
        shapes = {"mean": (d,), "scale": (d,), "support_vectors": (n_sv, d), "dual_coef": (n_sv,)}
        for name, shape in shapes.items():
            values: Float = getattr(self, name)
            if values.shape != shape:
                raise InputError(
                    f"{self.source}: {name} has the shape {values.shape}, expected {shape} "
                    f"for the features {', '.join(self.features)}; name them all with --features"
                )
            if not np.isfinite(values).all():
                raise InputError(
                    f"{self.source}: {name} holds a value that is not finite; train the model again"
                )
        numbers = {"gamma": self.gamma, "intercept": self.intercept}
        for name, number in numbers.items():
            if not math.isfinite(number):
                raise InputError(f"{self.source}: {name} is {number}, expected a finite number")
        if n_sv == 0 or self.gamma <= 0 or (self.scale <= 0).any():
            raise InputError(
                f"{self.source}: no model, it has {n_sv} support vectors, gamma {self.gamma:g} and smallest "
                f"scale {self.scale.min(initial=np.inf):g}; all must be above 0"
            )

    def row(self) -> dict[str, Any]:
        """Return the model as a row of a fleet model's table; its training range is unknown."""
        return {
            "device": self.device,
            "n_train": self.n_train,
            "nu": self.nu,
            "gamma": self.gamma,
            "rho": -self.intercept,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "support_vectors": self.support_vectors.ravel().tolist(),
            "dual_coef": self.dual_coef.tolist(),
            "threshold": NATIVE_THRESHOLD,
        }


def to_trainings(
    models: Sequence[PretrainedModel], window_seconds: float, former: Mapping[str, FleetFile], folder: Path
) -> dict[str, Training]:
    """Make a version for each sensor with a model.

    Parameters
    ----------
    models : sequence of PretrainedModel
        Of any devices and sensors, each device and sensor once.
    window_seconds : float
        Length of the windows that the models are to score. Models of raw readings score the mean
        of windows that hold one reading.
    former : mapping of str to FleetFile
        The current models; devices that are not imported stay as they are.
    folder : Path
        A scratch folder for the files of the trainings.

    Raises
    ------
    InputError
        When a device and sensor is there twice, or a sensor's models differ in their features.
    """
    by_sensor: dict[str, list[PretrainedModel]] = {}
    for model in sorted(models, key=lambda one: (one.sensor.encode(), one.device.encode())):
        by_sensor.setdefault(model.sensor, []).append(model)
    return {
        sensor: _to_training(own, window_seconds, former.get(sensor), folder / file_name(sensor))
        for sensor, own in by_sensor.items()
    }


def _to_training(
    models: Sequence[PretrainedModel], window_seconds: float, former: FleetFile | None, folder: Path
) -> Training:
    first = models[0]
    for one, other in pairwise(models):
        if one.device == other.device:
            raise InputError(
                f"device {one.device!r}, sensor {one.sensor!r}: there are two models, in {one.source} and "
                f"{other.source}; import one of them"
            )
        if other.features != first.features:
            raise InputError(
                f"{other.source}: its features are {', '.join(other.features)}, those of {first.source} are "
                f"{', '.join(first.features)}; import models of the same features together"
            )
    libraries = {"scikit-learn": ", ".join(sorted({model.library for model in models}))}
    info = FleetInfo(first.sensor, first.features, window_seconds, libraries)
    table = pa.Table.from_pylist([model.row() for model in models], schema=MODELS)
    imported = _write(folder / "imported.arrow", info, [FleetModel.build(table, info)])
    whole = _write(folder / "whole.arrow", info, replace_models(former, imported)) if former else imported
    return Training(
        models=whole,
        status=_status(models),
        fingerprint=whole.sha256(),
        parameters={"imported": True, "window_seconds": window_seconds, "features": list(info.features)},
        metrics={"models": float(whole.n_models), "imported": float(len(models))},
    )


def _write(path: Path, info: FleetInfo, parts: Iterable[FleetModel]) -> FleetFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_models(path, info, parts)
    return FleetFile(path)


def _status(models: Sequence[PretrainedModel]) -> pa.Table:
    n = len(models)
    columns = {
        "device": [model.device for model in models],
        "sensor": [model.sensor for model in models],
        "stage": ["import"] * n,
        "status": ["ok"] * n,
        "n_windows": [model.n_train for model in models],
        "n_anomalies": [None] * n,
        "message": [f"imported from {model.source}" for model in models],
    }
    return pa.table(columns, schema=STATUS)
