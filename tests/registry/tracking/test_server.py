"""The same against a real MLflow server, to which artifacts go over HTTP."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import mlflow
import pytest

from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published
from tests.fleet_models import make_model, make_training
from tests.mlflow_server import mlflow_server

# Each test has its own.
SENSORS = ["Pumpe №7/Süd", "../../etc/x's"]
PRUNED = ["Pumpe №8/Süd", "../../etc/y's"]


@pytest.fixture(scope="module")
def server(tmp_path_factory, new_database):
    """Its folder and address; a server takes seconds to start."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(new_database, folder / "mlflow.db")
    with mlflow_server(folder) as uri:
        yield folder, uri


@pytest.fixture
def uri(server, monkeypatch):
    """The server's address, which the environment holds, too."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server[1])
    yield server[1]
    mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_training_promotion_and_rollback_work_over_http(tmp_path, uri):
    published = tmp_path / "published"

    def open_dataset():
        return TrackedFleetModels(str(tmp_path), child_runs_up_to=2)

    assert open_dataset().load() == {}
    dataset = train(tmp_path, SENSORS, times=2)
    loaded = open_dataset().load()
    assert list(loaded) == sorted(SENSORS, key=str.encode)
    for sensor in SENSORS:
        assert loaded[sensor]().version == "2"
        assert loaded[sensor]().models.read().table.equals(make_model(sensor, seed=1).table)
        tracking.rollback(dataset.store, published, sensor)
        assert load_published(published, sensor).models.read().table.equals(make_model(sensor, seed=0).table)
    mlflow.set_tracking_uri(uri)
    for name in map(tracking.names.registered_name, SENSORS):
        model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        assert model.predict(model.input_example)["score"].notna().all()
    assert not (tmp_path / "mlflow").exists()


@pytest.mark.slow
def test_what_is_pruned_is_gone_from_the_server_and_what_stays_loads(tmp_path, server, uri):
    published, others = tmp_path / "published", artifacts(server)
    store, later = train(tmp_path, PRUNED, times=3).store, datetime.now(UTC) + timedelta(days=60)
    before = artifacts(server)

    def prune(**options):
        return tracking.prune(store, published, tracking.Retention(keep=1), later, **options)

    assert kinds(prune(dry_run=True)) == kinds(prune(dry_run=True)) == ["run"] + ["version"] * 2
    assert artifacts(server) == before
    assert kinds(prune(sensor=PRUNED[1])) == ["version"]
    assert kinds(prune()) == ["run", "version"]
    assert kinds(prune()) == []

    mlflow.set_tracking_uri(uri)
    for sensor in PRUNED:
        assert [one.version for one in tracking.list_versions(store, sensor)] == ["3", "2"]
        name = tracking.names.registered_name(sensor)
        with pytest.raises(mlflow.exceptions.MlflowException, match="not found"):
            mlflow.pyfunc.load_model(f"models:/{name}/1")
        for version in ("2", "3"):
            model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
            assert model.predict(model.input_example)["score"].notna().all()
    left = artifacts(server)
    assert others < left < before
    assert sum(one.endswith("MLmodel") for one in left - others) == 4
    assert sum(one.endswith("MLmodel") for one in before - others) == 6


def train(folder, sensors, times):
    """Register and publish a version of each of these sensors, some times."""
    for seed in range(times):
        dataset = TrackedFleetModels(str(folder), child_runs_up_to=2)
        for sensor in sensors:
            dataset.save({sensor: make_training(sensor, seed=seed)})
        dataset.confirm()
    return dataset


def kinds(found):
    """Of what goes from the server."""
    return sorted(one.kind for one in found.removals if one.kind != "published")


def artifacts(server):
    """The files that the server keeps."""
    return {str(one) for one in (server[0] / "artifacts").rglob("*") if one.is_file()}
