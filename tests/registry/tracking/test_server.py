"""The same against a real MLflow server, to which artifacts go over HTTP."""

from __future__ import annotations

import shutil

import pytest

from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published
from tests.fleet_models import make_model, make_training
from tests.mlflow_server import mlflow_server

SENSORS = ["Pumpe №7/Süd", "../../etc/x's"]


@pytest.mark.slow
def test_training_promotion_and_rollback_work_over_http(tmp_path, new_database, monkeypatch):
    shutil.copy(new_database, tmp_path / "mlflow.db")
    with mlflow_server(tmp_path) as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        published = tmp_path / "published"

        def open_dataset():
            return TrackedFleetModels(str(tmp_path), child_runs_up_to=2)

        assert open_dataset().load() == {}
        for seed in (0, 1):
            dataset = open_dataset()
            for sensor in SENSORS:
                dataset.save({sensor: make_training(sensor, seed=seed)})
            dataset.confirm()

        loaded = open_dataset().load()
        assert list(loaded) == sorted(SENSORS, key=str.encode)
        for sensor in SENSORS:
            assert loaded[sensor]().version == "2"
            assert loaded[sensor]().models.read().table.equals(make_model(sensor, seed=1).table)
            tracking.rollback(dataset.store, published, sensor)
            assert (
                load_published(published, sensor).models.read().table.equals(make_model(sensor, seed=0).table)
            )
        import mlflow

        mlflow.set_tracking_uri(uri)
        for name in map(tracking.names.registered_name, SENSORS):
            model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
            assert model.predict(model.input_example)["score"].notna().all()
    assert not (tmp_path / "mlflow").exists()
