"""Write a fleet model as an MLflow model folder: its table, the code that scores it, a signature."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from batch_scoring.detection.model_file import FleetFile

# Path of the table in the folder.
TABLE = "artifacts/fleet.arrow"

_PACKAGE = Path(__file__).parents[2]
# The packages that score a fleet model; they import no other package of the project.
_CODE = ("core", "tables", "windows", "detection")
# Requirements of the logged code. Fixed, because MLflow takes ten seconds to infer them.
_LIBRARIES = ("mlflow", "numpy", "pandas", "pyarrow")


def write_model_folder(folder: Path, models: FleetFile, logged_model: Any) -> Path:
    """Write the folder that becomes the artifact of one version.

    Parameters
    ----------
    folder : Path
        An empty scratch folder.
    logged_model : mlflow.entities.LoggedModel
        What the folder will be uploaded to.

    Returns
    -------
    Path
        The model's folder inside ``folder``.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    staged = folder / "staged"
    _copy_code(staged / "code")
    _link_or_copy(models.path, staged / "fleet.arrow")
    path = folder / "model"
    save_model(
        path,
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts={"fleet": str(staged / "fleet.arrow"), "code": str(staged / "code")},
        pip_requirements=[f"{name}=={version(name)}" for name in _LIBRARIES],
        signature=_signature(models.info.features),
        input_example=_example(models),
        mlflow_model=Model(
            artifact_path=logged_model.artifact_location,
            model_uuid=logged_model.model_id,
            run_id=logged_model.source_run_id,
            model_id=logged_model.model_id,
        ),
    )
    return path


def find_models(source: str, tracking_uri: str, scratch: Callable[[], Path]) -> FleetFile:
    """Open the table among a version's artifacts; fetch it first when they are remote.

    Parameters
    ----------
    source : str
        Where the artifacts lie.
    scratch : callable
        Makes the folder that a copy goes to.

    Raises
    ------
    InputError
        When it is not a fleet model.
    """
    from mlflow.artifacts import download_artifacts

    path = download_artifacts(
        artifact_uri=f"{source.rstrip('/')}/{TABLE}",
        dst_path=None if source.startswith("file:") else str(scratch()),
        tracking_uri=tracking_uri,
    )
    return FleetFile(path)


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it: MLflow copies its input, and accepts no symbolic links."""
    try:
        target.hardlink_to(source)
    except OSError:  # on another file system
        shutil.copyfile(source, target)


def _copy_code(target: Path) -> None:
    package = target / _PACKAGE.name
    package.mkdir(parents=True)
    shutil.copy(_PACKAGE / "__init__.py", package)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.nbi", "*.nbc")
    for name in _CODE:
        shutil.copytree(_PACKAGE / name, package / name, ignore=ignored)


def _signature(features: tuple[str, ...]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    # Any type for the time: MLflow refuses time zones and all but one resolution.
    keys = [ColSpec(DataType.string, "device"), ColSpec(AnyType(), "window_start", required=False)]
    results = [
        ColSpec(DataType.double, "score"),
        ColSpec(DataType.double, "threshold"),
        ColSpec(DataType.boolean, "is_anomaly"),
        ColSpec(DataType.double, "severity"),
        ColSpec(DataType.string, "top_feature"),
    ]
    inputs = Schema(keys + [ColSpec(DataType.double, name) for name in features])
    return ModelSignature(inputs=inputs, outputs=Schema(keys + results))


def _example(models: FleetFile) -> Any:
    """Return up to three devices at their training median or mean, or at 0 where models keep neither."""
    import pandas as pd

    usual = next((name for name in ("center", "mean") if name in models.info.schema.names), None)
    names = ["device", *([usual] if usual else [])]
    first = [row for rows in islice(models.batches(names), 1) for row in rows[:3].to_pylist()]
    means = [row[usual] if usual else [0.0] * len(models.info.features) for row in first]
    columns: dict[str, Any] = {"device": [row["device"] for row in first] or ["a device"]}
    for place, name in enumerate(models.info.features):
        columns[name] = [mean[place] for mean in means] or [0.0]
    return pd.DataFrame(columns)
