"""Connect to an MLflow server or database, with MLflow's logging reduced."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.core.locks import locked
from batch_scoring.core.redaction import without_keys
from batch_scoring.core.system_errors import system_error

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"
_SQLITE_HEADER = b"SQLite format 3\0"
_EXPERIMENT = {"mlflow.note.content": "Trainings, evaluations and versions in service of batch_scoring."}


@dataclass(frozen=True)
class Store:
    """An open MLflow store.

    Attributes
    ----------
    client : mlflow.MlflowClient
        Bound to ``uri`` for runs and for models; MLflow's global state is not touched.
    artifacts : str
        The folder of a local database's artifacts; empty of a server, which knows its own place.
    """

    client: MlflowClient
    uri: str
    experiment_id: str
    artifacts: str = ""


def is_new_store(uri: str) -> bool:
    """Whether this is a local database that does not exist yet; answered without importing MLflow."""
    path = _database(uri)
    return path is not None and not (path.exists() and path.stat().st_size)


def require_intact(uri: str, artifacts: str) -> None:
    """Refuse a missing local database while its published models exist.

    A new one would start again at version 1, and "version 1" would mean two models.

    Parameters
    ----------
    uri, artifacts : str
        See :func:`connect`.

    Raises
    ------
    InputError
        When the database is missing, empty or not a database.
    """
    path = _database(uri)
    if path is None:
        return
    if is_new_store(uri):
        if Path(artifacts).is_dir() and any(Path(artifacts).iterdir()):
            state = "is empty" if path.exists() else "is missing"
            raise InputError(
                f"{path}: the MLflow database {state}, but models numbered by it are in {artifacts}; "
                "restore it from a backup, or move that folder away to start again at version 1"
            )
        return
    with path.open("rb") as file:
        header = file.read(len(_SQLITE_HEADER))
    if header != _SQLITE_HEADER:
        raise InputError(f"{path}: not an SQLite database; restore MLflow's database from a backup")


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Hold the lock of a local database: one run at a time creates, registers and promotes.

    A tracking server has no lock; there the lower of two equal versions stays, see ``register``.
    """
    path = _database(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock))
        except BlockingIOError:
            log.info("waiting for another run that changes the models in %s", path)
            stack.enter_context(locked(lock, wait=True))
        yield


@contextmanager
def local_store_as_default(store: Store) -> Iterator[None]:
    """Make a local database MLflow's default store: its registry looks up ``models:/`` there alone.

    A server does it by itself. What the user set is set again at the end.
    """
    if is_server(store.uri):
        yield
        return
    from mlflow.tracking._tracking_service.utils import _use_tracking_uri

    # MLflow writes it to the environment, too.
    with environment("MLFLOW_TRACKING_URI", store.uri), _use_tracking_uri(store.uri):
        yield


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment during the block."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if former is not None:
            os.environ[name] = former


def is_server(uri: str) -> bool:
    """Whether this is the address of a tracking server; else it is that of a database."""
    return uri.startswith(("http://", "https://"))


def prepare(uri: str) -> Future[None]:
    """Start importing MLflow and creating a local database, in a thread: it takes seconds.

    What fails there fails again, and is reported, in :func:`connect`.
    """
    # Not in the thread: scikit-learn, fitting meanwhile, would inspect a half-imported module.
    import pandas  # noqa: F401

    def begin() -> None:
        _quiet()
        import mlflow  # noqa: F401

        _create_database(uri)

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
        When the server does not answer, the database cannot be opened, or the experiment was deleted.
    """
    _quiet()
    is_remote = is_server(uri)
    if is_remote:
        _require_reachable(uri)
    else:
        require_intact(uri, artifacts)
        _create_database(uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    location = None if is_remote else Path(artifacts).absolute().as_uri()
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        return Store(
            client, uri, _experiment_id(client, experiment, location), "" if is_remote else artifacts
        )
    except (MlflowException, SQLAlchemyError) as error:
        if is_remote:
            raise
        reason = str(error).strip().splitlines()[0]
        raise system_error(error, str(_database(uri))) or InputError(
            f"{_database(uri)}: MLflow cannot open its database ({reason}); restore it from a backup, or, "
            f"where it is of an older MLflow, run `mlflow db upgrade {uri}`"
        ) from error


def _database(uri: str) -> Path | None:
    """Return the file of a local database; None for a server."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def _create_database(uri: str) -> None:
    """Create a local database under a temporary name, and move it into place when complete.

    MLflow builds it in dozens of migrations; killed between two of them, it could never be
    opened again.
    """
    path = _database(uri)
    if path is None or not is_new_store(uri):
        return
    from mlflow import MlflowClient

    with exclusive(uri):
        if not is_new_store(uri):  # another run made it meanwhile
            return
        for left_over in path.parent.glob(f".{path.name}.*partial*"):
            left_over.unlink()
        # A new name each time: of a file that it could not complete, MLflow goes on with the deleted one.
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        MlflowClient(tracking_uri=f"{_SQLITE}{beside}").search_experiments(max_results=1)
        if sys.platform == "win32":  # MLflow keeps it open, and no open file is renamed
            beside = shutil.copyfile(beside, beside.with_suffix(".made"))
        beside.replace(path)


def _experiment_id(client: MlflowClient, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_EXPERIMENT))
        except MlflowException:
            # Another run may have created it first.
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
    """Ping the server once: MLflow itself would retry for minutes before it reported it unreachable."""
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=10)
    except requests.RequestException as error:
        raise InputError(
            f"the MLflow server at {without_keys(uri)} does not answer ({type(error).__name__}); start it, "
            "or unset MLFLOW_TRACKING_URI to use the local database"
        ) from error


def _quiet() -> None:
    # MLflow reads these at its import and at each use; the user's own values are kept.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
