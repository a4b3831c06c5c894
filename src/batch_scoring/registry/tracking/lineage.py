"""Describe the lineage of a training: user, commit, and the rows of the table it read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from batch_scoring import __version__
from batch_scoring.core.commit import read_commit
from batch_scoring.training.result import TrainingData

# The name of the training data in MLflow; its digest says which windows.
WINDOWS = "windows"


@cache
def source_tags() -> dict[str, str]:
    """Return the tags by which MLflow shows who ran what; without a commit where there is no git."""
    commit = read_commit(Path.cwd())
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": "batch_scoring",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": commit.id,
        "batch_scoring.version": __version__,
        "batch_scoring.uncommitted": "true" if commit.dirty else "",
    }
    return {name: text for name, text in tags.items() if text}


def maker_tags() -> dict[str, str]:
    """Return who made a version from which commit, as tags of it: MLflow's pages hide those of its own."""
    names = {"mlflow.user": "user", "mlflow.source.git.commit": "source_commit"}
    return {names[name]: text for name, text in source_tags().items() if name in names}


def dataset_of(data: TrainingData) -> Any:
    """Return the windows of a training as an MLflow dataset, which names them and holds none.

    Returns
    -------
    mlflow.entities.Dataset
        Its source is the version of the Delta table.
    """
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset
    from mlflow.types import ColSpec, DataType, Schema

    columns = [ColSpec(DataType.string, "device"), *(ColSpec(DataType.double, one) for one in data.features)]
    source = DeltaDatasetSource(path=data.place, delta_table_version=data.version)
    named = MetaDataset(source, WINDOWS, data.digest, Schema(columns)).to_dict()
    profile = {"num_rows": data.n_rows, "first": data.first, "last": data.last}
    return Dataset(**named, profile=json.dumps(profile))


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run as a user without a name
        return ""
