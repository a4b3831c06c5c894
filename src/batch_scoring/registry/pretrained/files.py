"""Find and open files of pre-trained models; pickles, which may run code, need the user's consent."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import from_path_segment
from batch_scoring.core.system_errors import system_error
from batch_scoring.registry.pretrained.estimators import from_estimator
from batch_scoring.registry.pretrained.json_form import read_open_form
from batch_scoring.registry.pretrained.models import PretrainedModel

# All that a fitted scaler and one-class SVM are made of. skops keeps a longer list of what it
# trusts, and had holes in it (GHSA-w582-9x45-8mpx); a file with anything else is not opened.
SKOPS_TYPES = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.str",
        "builtins.tuple",
        "numpy.bool",
        "numpy.float64",
        "numpy.int32",
        "numpy.int64",
        "numpy.ndarray",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.svm._classes.OneClassSVM",
    }
)
# A scaler and an SVM of 50,000 support vectors over 100 features take 40 MB.
_LARGEST_SKOPS_BYTES = 256_000_000
_SKOPS_LOADERS = frozenset(
    {"DictNode", "JsonNode", "ListNode", "NdArrayNode", "ObjectNode", "TupleNode", "TypeNode"}
)


def read_pretrained(
    path: Path,
    device: str | None = None,
    sensor: str | None = None,
    features: tuple[str, ...] | None = None,
    trust_pickle: bool = False,
) -> list[PretrainedModel]:
    """Read the models of a file, or of all files of a folder.

    Parameters
    ----------
    path : Path
        ``*.json`` in the open form, ``*.skops``, or pickles (``*.pkl``, ``*.pickle``, ``*.joblib`` or no
        ending). Of a folder, the files with such an ending and those named ``model_…``.
    device, sensor : str, optional
        Device and sensor of the model; else the file is named ``model_<device>_<sensor>``. Of the open
        form, which models to take.
    features : tuple of str, optional
        The names of the features.
    trust_pickle : bool
        Whether pickles may be opened: opening one runs any code in it.

    Raises
    ------
    InputError
        When there is nothing to import, or a file is not what it should be.
    """
    models = []
    for file in _files(path):
        if file.suffix == ".json":
            found = read_open_form(file, features)
            models += [m for m in found if device in (None, m.device) and sensor in (None, m.sensor)]
        else:
            whose = _whose(file, device, sensor)
            estimator = _load_skops(file) if file.suffix == ".skops" else _load_pickle(file, trust_pickle)
            models.append(from_estimator(estimator, *whose, features, str(file)))
    if not models:
        raise InputError(f"{path}: holds no model of device {device or 'any'}, sensor {sensor or 'any'}")
    return models


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: there is no such file or folder")
    endings = {".json", ".skops", ".pkl", ".pickle", ".joblib"}
    return sorted(
        file
        for file in path.iterdir()
        if file.is_file() and (file.suffix in endings or file.name.startswith("model_"))
    )


def _whose(file: Path, device: str | None, sensor: str | None) -> tuple[str, str]:
    if device is not None and sensor is not None:
        return device, sensor
    endings = r"(\.skops|\.pkl|\.pickle|\.joblib)?"
    parts = re.fullmatch(rf"model_([^_]+)_([^_]+?){endings}", file.name)
    if parts is None:
        raise InputError(
            f"{file}: its name is not valid; expected model_<device>_<sensor>, such as model_7_vibration, or "
            "the options --device and --sensor"
        )
    return device or from_path_segment(parts[1]), sensor or from_path_segment(parts[2])


def _load_skops(file: Path) -> Any:
    try:
        import skops.io
    except ModuleNotFoundError:
        raise InputError(f"{file}: skops is not installed; pip install 'batch_scoring[train]'") from None
    try:
        with zipfile.ZipFile(file) as parts:
            # zipfile reads no more of an entry than the directory says.
            unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > _LARGEST_SKOPS_BYTES:
                raise InputError(
                    f"{file}: unpacks to {unpacked:,} bytes, expected at most {_LARGEST_SKOPS_BYTES:,} for a "
                    "StandardScaler and a OneClassSVM; it is not opened"
                )
            unknown = sorted(_unknown_types(json.loads(parts.read("schema.json"))))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        raise InputError(f"{file}: not a skops file ({error})") from error
    if unknown:
        raise InputError(
            f"{file}: holds {', '.join(unknown)}, which a StandardScaler and a OneClassSVM do not need; "
            "it is not opened"
        )
    try:
        return skops.io.load(file, trusted=[])
    except Exception as error:
        raise system_error(error, file) or InputError(
            f"{file}: skops cannot read it ({type(error).__name__}: {error})"
        ) from error


def _unknown_types(node: Any) -> set[str]:
    """Return the types in a skops file's schema that no imported model needs."""
    if isinstance(node, list):
        return set().union(*map(_unknown_types, node))
    if not isinstance(node, dict):
        return set()
    unknown = set().union(*map(_unknown_types, node.values()))
    if "__loader__" in node or "__class__" in node:
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        if name not in SKOPS_TYPES or node.get("__loader__") not in _SKOPS_LOADERS:
            unknown.add(name)
    return unknown


def _load_pickle(file: Path, trusted: bool) -> Any:
    if not trusted:
        raise InputError(
            f"{file}: is read as a pickle, and opening a pickle runs any code in it; if you know "
            "who made it, use --trust-pickle, else ask for a skops file"
        )
    import joblib

    try:
        with warnings.catch_warnings():
            # The scores are checked against the estimator's own, so another version's is welcome.
            warnings.simplefilter("ignore")
            return joblib.load(file)
    except Exception as error:
        raise system_error(error, file) or InputError(
            f"{file}: cannot be read ({type(error).__name__}: {error}); pickles of scikit-learn before 0.24 "
            "need its open form or a skops file instead"
        ) from error
