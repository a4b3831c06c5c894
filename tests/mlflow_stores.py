"""Fixtures of real MLflow stores. Making a database takes seconds, so one is made and copied."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.registry.tracking import Store, connect
from tests.made_once import made_once


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing else in it."""

    def make(folder: Path) -> None:
        connect(f"sqlite:///{folder}/template.db", str(folder / "artifacts"), "Default")

    return made_once(tmp_path_factory, "mlflow", make) / "template.db"


@pytest.fixture
def no_tracking_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def store(tmp_path: Path, new_database: Path) -> Store:
    """A store of its own for a test, below its ``tmp_path``."""
    put_database(new_database, tmp_path)
    return store_in(tmp_path)


@pytest.fixture
def open_dataset(
    tmp_path: Path, new_database: Path, no_tracking_uri: None
) -> Callable[..., TrackedFleetModels]:
    """A function that opens the test's catalog entry, as each `kedro run` does anew."""
    put_database(new_database, tmp_path)

    def open_it(**settings: object) -> TrackedFleetModels:
        return TrackedFleetModels(str(tmp_path), **({"child_runs_up_to": 0} | settings))  # type: ignore[arg-type]

    return open_it


def put_database(database: Path, folder: Path) -> None:
    """Copy a database to where the MLflow store of a folder, such as ``06_models``, has it."""
    (folder / "mlflow").mkdir(parents=True)
    shutil.copy(database, folder / "mlflow/mlflow.db")


def store_in(folder: Path) -> Store:
    """The MLflow store of a folder, such as ``06_models``."""
    return connect(f"sqlite:///{folder}/mlflow/mlflow.db", f"{folder}/mlflow/artifacts", "batch_scoring")


# Where an MLflow database holds absolute paths.
_ARTIFACT_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def copy_with_store(folder: Path, to: Path, database: str = "mlflow/mlflow.db") -> None:
    """Copy a folder with an MLflow store, if there is one, such that changes of the copy leave it alone."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    if not (to / database).exists():
        return
    with closing(sqlite3.connect(to / database)) as connection, connection:
        for table, column in _ARTIFACT_PLACES:
            update = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            connection.execute(update, (f"{folder}/", f"{to}/"))
