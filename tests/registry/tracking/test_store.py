"""Opening MLflow stores, and saying why one cannot be opened."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import sqlite3

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.registry.tracking import connect, is_new_store
from tests.at_once import at_once
from tests.end_to_end.warm_kedro import WarmKedro, warm_kedro


def test_the_experiment_is_made_once_with_its_artifacts_beside(store, tmp_path):
    again = connect(store.uri, "elsewhere", "batch_scoring")

    assert again.experiment_id == store.experiment_id
    location = store.client.get_experiment(store.experiment_id).artifact_location
    assert location == (tmp_path / "mlflow/artifacts").as_uri()


def test_an_experiment_that_another_run_made_meanwhile_is_used(store, monkeypatch):
    real, answers = store.client.get_experiment_by_name, [None]
    monkeypatch.setattr(
        type(store.client), "get_experiment_by_name", lambda _, name: answers.pop() if answers else real(name)
    )
    real = type(store.client).get_experiment_by_name and store.client._tracking_client.get_experiment_by_name

    assert connect(store.uri, "a", "batch_scoring").experiment_id == store.experiment_id


def test_a_deleted_experiment_is_told(store):
    store.client.delete_experiment(store.experiment_id)

    with pytest.raises(InputError, match="mlflow experiments restore -x"):
        connect(store.uri, "a", "batch_scoring")


def test_a_server_that_is_not_there_is_told_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(InputError, match=f"the MLflow server at {uri} does not answer"):
        connect(uri, "a", "batch_scoring")


def test_a_local_database_is_new_until_it_exists(tmp_path):
    assert is_new_store(f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "mlflow.db").write_bytes(b"something")
    assert not is_new_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert not is_new_store("http://127.0.0.1:1")


def test_mlflow_keeps_quiet(store):
    assert not logging.getLogger("mlflow.tracking").isEnabledFor(logging.INFO)
    assert logging.getLogger("mlflow.tracking").isEnabledFor(logging.WARNING)


def making(uri):
    """A program that makes a database."""
    return f"from batch_scoring.registry.tracking import connect; connect({uri!r}, 'a', 'batch_scoring')\n"


# MLflow makes its tables in dozens of migrations; it is killed between them.
KILLED = """
import glob, os, signal, threading, time

def kill():
    while not glob.glob({partial!r}):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
"""


@pytest.mark.slow
def test_a_database_whose_making_was_killed_is_made_anew(tmp_path):
    folder = tmp_path / "new"
    uri, killed = f"sqlite:///{folder}/mlflow.db", KILLED.format(partial=f"{folder}/.mlflow.db.*.partial")
    assert warm_kedro().run_program(killed + making(uri))[0] == -signal.SIGKILL
    assert is_new_store(uri)
    assert warm_kedro().run_program(making(uri)) == (0, "")
    assert {path.name for path in folder.iterdir()} == {"mlflow.db"}


# The limit of a file's size stands for a disk that is full.
FULL = """
import resource
from batch_scoring.core.system_errors import system_error
from batch_scoring.registry.tracking import prepare

_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
prepare({uri!r}).exception()
try:
    {making}
except Exception as error:
    assert "the disk" in str(system_error(error)), error
else:
    raise AssertionError("it had room")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""


@pytest.mark.slow
def test_a_database_that_had_no_room_is_said_and_made_when_there_is_some(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    program = FULL.format(uri=uri, making=making(uri).strip()) + making(uri)
    assert warm_kedro().run_program(program) == (0, "")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"mlflow.db"}


@pytest.mark.slow
def test_two_processes_that_make_the_same_database_both_get_it(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    warm_kedro()  # ends with the last that is connected
    done = at_once(lambda: WarmKedro().run_program(making(uri)))
    assert [code for code, _ in done] == [0, 0], done


@pytest.mark.parametrize("left", [None, b""])
def test_a_database_that_is_gone_is_not_begun_again_beside_its_models(store, tmp_path, left):
    path, artifacts = tmp_path / "mlflow/mlflow.db", tmp_path / "mlflow/artifacts"
    (artifacts / "1").mkdir(parents=True)
    path.unlink()
    if left is not None:
        path.write_bytes(left)

    with pytest.raises(InputError, match=str(path)) as refused:
        connect(store.uri, str(artifacts), "batch_scoring")

    assert str(artifacts) in str(refused.value)
    (artifacts / "1").rmdir()
    assert connect(store.uri, str(artifacts), "batch_scoring").experiment_id


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"not a database at all", b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_damaged_database_is_one_sentence(tmp_path, content):
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        connect(f"sqlite:///{path}", str(tmp_path / "artifacts"), "batch_scoring")


def test_a_database_of_an_older_mlflow_names_the_command_that_upgrades_it(new_database, tmp_path):
    path = shutil.copy(new_database, tmp_path / "old.db")
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = '97727af70f4d'")
    with pytest.raises(InputError, match="mlflow db upgrade"):
        connect(f"sqlite:///{path}", str(tmp_path / "artifacts"), "batch_scoring")
