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

SENSORS = ["Pumpe №7/Süd", "../../etc/x's"]


@pytest.fixture(autouse=True)
def no_server_afterwards():
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_training_promotion_and_rollback_work_over_http(tmp_path, new_database, monkeypatch):
    shutil.copy(new_database, tmp_path / "mlflow.db")
    with mlflow_server(tmp_path) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        published = tmp_path / "published"

        def open_dataset():
            return TrackedFleetModels(str(tmp_path), child_runs_up_to=2)

        assert open_dataset().load() == {}
        dataset = train(tmp_path, times=2)
        loaded = open_dataset().load()
        assert list(loaded) == sorted(SENSORS, key=str.encode)
        for sensor in SENSORS:
            assert loaded[sensor]().version == "2"
            assert loaded[sensor]().models.read().table.equals(make_model(sensor, seed=1).table)
            tracking.rollback(dataset.store, published, sensor)
            assert (
                load_published(published, sensor).models.read().table.equals(make_model(sensor, seed=0).table)
            )
        mlflow.set_tracking_uri(uri)
        for name in map(tracking.names.registered_name, SENSORS):
            model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
            assert model.predict(model.input_example)["score"].notna().all()
    assert not (tmp_path / "mlflow").exists()


@pytest.mark.slow
def test_what_is_pruned_is_gone_from_the_server_and_what_stays_loads(tmp_path, new_database, monkeypatch):
    shutil.copy(new_database, tmp_path / "mlflow.db")
    with mlflow_server(tmp_path) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        published = tmp_path / "published"
        store, later = train(tmp_path, times=4).store, datetime.now(UTC) + timedelta(days=60)
        before = artifacts(tmp_path)

        def prune(**options):
            return tracking.prune(store, published, tracking.Retention(keep=1), later, **options)

        assert kinds(prune(dry_run=True)) == kinds(prune(dry_run=True)) == ["run"] * 2 + ["version"] * 4
        assert artifacts(tmp_path) == before
        assert kinds(prune(sensor=SENSORS[1])) == ["version"] * 2
        assert kinds(prune()) == ["run"] * 2 + ["version"] * 2
        assert kinds(prune()) == []

        mlflow.set_tracking_uri(uri)
        for sensor in SENSORS:
            assert [one.version for one in tracking.list_versions(store, sensor)] == ["4", "3"]
            name = tracking.names.registered_name(sensor)
            with pytest.raises(mlflow.exceptions.MlflowException, match="not found"):
                mlflow.pyfunc.load_model(f"models:/{name}/1")
            for version in ("3", "4"):
                model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
                assert model.predict(model.input_example)["score"].notna().all()
    left = artifacts(tmp_path)
    assert left < before
    assert sum(one.endswith("MLmodel") for one in left) == 4
    assert sum(one.endswith("MLmodel") for one in before) == 8


def train(folder, times):
    """Register and publish a version of each sensor, some times."""
    for seed in range(times):
        dataset = TrackedFleetModels(str(folder), child_runs_up_to=2)
        for sensor in SENSORS:
            dataset.save({sensor: make_training(sensor, seed=seed)})
        dataset.confirm()
    return dataset


def kinds(found):
    """Of what goes from the server."""
    return sorted(one.kind for one in found.removals if one.kind != "published")


def artifacts(folder):
    """The files that the server keeps."""
    return {str(one) for one in (folder / "artifacts").rglob("*") if one.is_file()}
