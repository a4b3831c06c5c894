"""The connection to an MLflow server or database, with MLflow's chatter turned down."""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Store:
    """An open MLflow store.

    Attributes
    ----------
    client : mlflow.MlflowClient
        Bound to ``uri`` for runs and for models; MLflow's global state is not touched.
    uri : str
    experiment_id : str
    """

    client: MlflowClient
    uri: str
    experiment_id: str


def effective_tracking_uri(configured: str) -> str:
    """The tracking URI to use: ``MLFLOW_TRACKING_URI`` of the environment wins over the configured one."""
    return os.environ.get("MLFLOW_TRACKING_URI") or configured


def is_new_store(uri: str) -> bool:
    """Whether this is a local database that does not exist yet; answered without importing MLflow."""
    return uri.startswith(_SQLITE) and not Path(uri.removeprefix(_SQLITE)).exists()


def prepare(uri: str) -> Future[None]:
    """Begin to import MLflow and to create a local database, in a thread: seconds in which others work.

    What fails there fails again, and is reported, in :func:`connect`.
    """
    # Not in the thread: scikit-learn, fitting meanwhile, would look into a module imported by half.
    import pandas  # noqa: F401

    def begin() -> None:
        _quiet()
        import mlflow  # noqa: F401

        if is_new_store(uri):
            _create_database(Path(uri.removeprefix(_SQLITE)))

    thread = ThreadPoolExecutor(1, "mlflow")
    begun = thread.submit(begin)
    thread.shutdown(wait=False)
    return begun


def connect(uri: str, artifacts: str, experiment: str) -> Store:
    """Open the store, creating a local database and the experiment when they are not there.

    Parameters
    ----------
    uri : str
        Of a server (``http…``) or a database (``sqlite:///…``).
    artifacts : str
        Where the artifacts of a local database lie. A server knows its own place.
    experiment : str
        The name of the experiment that the training runs go to.

    Raises
    ------
    InputError
        When the server does not answer, or the experiment was deleted.
    """
    _quiet()
    is_remote = uri.startswith(("http://", "https://"))
    if is_remote:
        _require_reachable(uri)
    elif is_new_store(uri):
        _create_database(Path(uri.removeprefix(_SQLITE)))
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    location = None if is_remote else Path(artifacts).absolute().as_uri()
    return Store(client, uri, _experiment_id(client, experiment, location))


def _create_database(path: Path) -> None:
    """Make the database beside its place and put it there when it is whole.

    MLflow builds it in dozens of migrations; killed between two of them, it could never be
    opened again.
    """
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    for left_over in path.parent.glob(f"{beside.name}*"):
        left_over.unlink()
    MlflowClient(tracking_uri=f"{_SQLITE}{beside}").search_experiments(max_results=1)
    beside.replace(path)


def _experiment_id(client: MlflowClient, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            # Another run may have been quicker.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise InputError(
            f"MLflow experiment {name!r} was deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or name another one in the catalog"
        )
    return str(found.experiment_id)


def _require_reachable(uri: str) -> None:
    """Ask once: MLflow itself would retry for minutes before it said that nobody is there."""
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=10)
    except requests.RequestException as error:
        raise InputError(
            f"the MLflow server at {uri} does not answer ({type(error).__name__}); start it, or unset "
            "MLFLOW_TRACKING_URI to use the local database"
        ) from error


def _quiet() -> None:
    # Read by MLflow at its import and at each use; what the user set is left alone.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
