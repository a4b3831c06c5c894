"""A version leads to its model with parameters and metrics, and to the data that it was trained on."""

from __future__ import annotations

import json
import os

import pytest

from batch_scoring.registry.tracking import TrainingRun, register
from batch_scoring.registry.tracking.versions import logged_model_id
from batch_scoring.training.result import Decision, TrainingData
from tests.fleet_models import make_training

DATA = TrainingData(
    "/data/03_primary/windows",
    7,
    "0123456789abcdef",
    120,
    ("mean", "std"),
    "2026-01-01T00:00:00Z",
    "2026-01-08T00:00:00Z",
)


@pytest.fixture
def run(store):
    run = TrainingRun(store, 0)
    yield run
    run.end("FINISHED")


def test_a_version_links_to_a_logged_model_with_parameters_and_metrics(store, run):
    training = make_training("air/flow", metrics={"alarms": 2.0, "unknown": float("nan")}, data=DATA)
    register(store, run.run_id, training)

    version = store.client.get_model_version("air~2Fflow", "1")
    model = store.client.get_logged_model(logged_model_id(version.source))

    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "air~2Fflow", "version": "1"}]
    assert model.source_run_id == run.run_id
    assert model.status == "READY"
    assert model.model_type == "one_class_svm"
    assert model.params == {"nu": "0.1", "calibration.rate": "0.001"}
    assert model.tags.items() >= {"made_by": "batch_scoring", "sensor": "air/flow", "n_models": "2"}.items()
    (metric,) = model.metrics
    assert (metric.key, metric.value) == ("airx2Fflow/alarms", 2.0)
    assert (metric.dataset_name, metric.dataset_digest) == ("windows", "0123456789abcdef")
    assert store.client.get_run(run.run_id).data.metrics == {"airx2Fflow/alarms": 2.0}


def test_the_training_data_is_a_dataset_with_digest_and_version_of_the_table(store, run):
    register(store, run.run_id, make_training("vibration", data=DATA))
    register(store, run.run_id, make_training("noise"))

    (found,) = store.client.get_run(run.run_id).inputs.dataset_inputs

    assert {tag.key: tag.value for tag in found.tags} == {
        "mlflow.data.context": "training",
        "sensor": "vibration",
    }
    assert (found.dataset.name, found.dataset.digest) == ("windows", DATA.digest)
    profile = {"num_rows": 120, "first": DATA.first, "last": DATA.last}
    assert json.loads(found.dataset.profile) == profile
    from mlflow.data import get_source

    source = get_source(found)
    assert (source.path, source.delta_table_version) == (DATA.place, 7)


def test_a_version_says_in_words_what_it_is_and_who_made_it(store, run):
    decision = Decision("refused", "it flags 5 times its target")
    register(store, run.run_id, make_training("vibration", data=DATA, decision=decision))

    version = store.client.get_model_version("vibration", "1")

    assert version.description.split("\n\n") == [
        "2 models, a device each, of windows of 0:05:00 of sensor vibration, "
        "trained on 2026-01-01 00:00 to 2026-01-08 00:00 UTC.",
        "Data: /data/03_primary/windows, version 7 of the Delta table.",
        "Refused: it flags 5 times its target.",
    ]
    run_tags = store.client.get_run(run.run_id).data.tags
    assert version.tags["source_commit"] == run_tags["mlflow.source.git.commit"]
    assert version.tags["user"] == run_tags["mlflow.user"]
    assert "sensor vibration" in store.client.get_registered_model("vibration").description


def test_the_default_store_of_the_process_stays_as_it_was(store, run, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of-the-user")
    register(store, run.run_id, make_training())

    assert os.environ["MLFLOW_TRACKING_URI"] == mlflow.get_tracking_uri() == "http://of-the-user"
