"""What a person finds in the MLflow run of an evaluation."""

from pathlib import Path

import pytest
from kedro.io.core import DatasetError

from batch_scoring.datasets.fleet_models import EvaluationRuns
from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.tracking import TrainingRun, log_evaluation, register
from batch_scoring.registry.tracking.versions import logged_model_id
from tests.fleet_models import make_model, training_of

ONE = TrackedEvaluation(
    "f1",
    {"fleet_models/roc_auc": 0.8, "random/roc_auc": float("nan")},
    {"judged.events": "3"},
    {"a.md": b"# A"},
)


def runs(store):
    return store.client.search_runs([store.experiment_id], "attributes.run_name = 'evaluate'")


def test_an_evaluation_is_a_run_with_its_figures_and_files(store, tmp_path):
    run_id = log_evaluation(store, ONE)
    run = store.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"fleet_models/roc_auc": 0.8}
    assert run.data.params == {"judged.events": "3"}
    path = store.client.download_artifacts(run_id, "evaluation/a.md", str(tmp_path))
    assert Path(path).read_bytes() == b"# A"


def test_the_same_evaluation_is_one_run_and_another_one_is_another(store):
    first = log_evaluation(store, ONE)
    assert log_evaluation(store, ONE) == first
    assert log_evaluation(store, TrackedEvaluation("f2")) != first
    assert len(runs(store)) == 2


def test_a_run_that_failed_is_marked_and_made_again(store, monkeypatch):
    def refuse(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(store.client, "log_artifacts", refuse)
        with pytest.raises(OSError, match="no space left"):
            log_evaluation(store, ONE)
    assert [run.info.status for run in runs(store)] == ["FAILED"]
    log_evaluation(store, ONE)
    assert sorted(run.info.status for run in runs(store)) == ["FAILED", "FINISHED"]


def test_the_catalog_entry_logs_into_the_database_of_the_workspace(store, tmp_path, no_tracking_uri):
    dataset = EvaluationRuns(str(tmp_path))
    dataset.save(ONE)
    assert len(runs(store)) == 1
    with pytest.raises(DatasetError, match="write only"):
        dataset.load()


def test_the_figures_of_a_version_are_attached_to_it(store):
    run = TrainingRun(store, 0)
    register(store, run.run_id, training_of(make_model("air/flow")))
    run.end("FINISHED")
    figures = {("air/flow", "1"): {"event_recall": 0.75}, ("air/flow", "9"): {"event_recall": 0.5}}

    run_id = log_evaluation(store, TrackedEvaluation("f", versions=figures))

    version = store.client.get_model_version("air~2Fflow", "1")
    assert version.tags["evaluated_in_run"] == run_id
    model = store.client.get_logged_model(logged_model_id(version.source))
    assert [(one.key, one.value, one.run_id) for one in model.metrics] == [
        ("airx2Fflow/event_recall", 0.75, run_id)
    ]
    assert [one.model_id for one in store.client.get_run(run_id).inputs.model_inputs] == [model.model_id]
