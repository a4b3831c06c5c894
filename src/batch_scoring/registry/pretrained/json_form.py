"""Read pre-trained models in the open form: one JSON file, without executable code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from batch_scoring.core.errors import InputError
from batch_scoring.registry.pretrained.models import PretrainedModel

# A model of raw readings scores windows that hold one reading: their mean is the reading.
FEATURE_OF_READINGS = {"value": "mean"}


def read_open_form(path: Path, features: tuple[str, ...] | None = None) -> list[PretrainedModel]:
    """Read models from JSON: an object with one entry a model.

    Parameters
    ----------
    path : Path
        An entry has ``device, sensor, features, gamma, nu, mean, scale, support_vectors, dual_coef,
        intercept, n_train``, and may have ``sklearn_version``.
    features : tuple of str, optional
        Names to use in the place of the file's. Without it, ``value`` becomes ``mean``.

    Raises
    ------
    InputError
        Naming the file, the entry and the field that is missing or cannot be read.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected models in the open form") from error
    if not isinstance(entries, dict) or not all(isinstance(one, dict) for one in entries.values()):
        raise InputError(f"{path}: expected an object with one object a model, see docs/how-to")
    return [_read(entry, f"{path}, entry {key!r}", features) for key, entry in entries.items()]


def _read(entry: dict[str, Any], where: str, features: tuple[str, ...] | None) -> PretrainedModel:
    try:
        own = tuple(FEATURE_OF_READINGS.get(str(name), str(name)) for name in entry["features"])
        names = features or own
        model = PretrainedModel(
            device=str(entry["device"]),
            sensor=str(entry["sensor"]),
            features=names,
            nu=float(entry["nu"]),
            gamma=float(entry["gamma"]),
            intercept=float(entry["intercept"]),
            mean=np.asarray(entry["mean"], np.float64),
            scale=np.asarray(entry["scale"], np.float64),
            support_vectors=np.asarray(entry["support_vectors"], np.float64).reshape(-1, len(own)),
            dual_coef=np.asarray(entry["dual_coef"], np.float64),
            n_train=int(entry["n_train"]),
            library=str(entry.get("sklearn_version", "unknown")),
            source=where,
        )
    except KeyError as error:
        raise InputError(f"{where}: the field {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: a field cannot be read ({error})") from error
    model.check()
    return model
