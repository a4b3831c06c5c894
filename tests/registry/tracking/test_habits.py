"""What MLflow users type in a notebook, on a fleet that was really trained: a test a line of the habits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable

from batch_scoring.core.commit import read_commit
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published
from tests.end_to_end.workspaces import PREDICTIONS, PROJECT, Workspace

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mlflow_habits")]


@pytest.fixture(scope="module")
def fleet(scored, tmp_path_factory) -> Workspace:
    """Trained, scored, and its days in service tracked; nothing here changes it."""
    workspace = scored.copy_to(tmp_path_factory.mktemp("habits") / "data")
    workspace.run("track")
    return workspace


@pytest.fixture
def mlflow(fleet, monkeypatch):
    """MLflow as a notebook has it after the one line that says where the models are."""
    import mlflow

    # `set_tracking_uri` writes it to the environment, too.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    mlflow.set_tracking_uri(f"sqlite:///{fleet.folder}/06_models/mlflow/mlflow.db")
    yield mlflow
    mlflow.set_tracking_uri(None)


@pytest.fixture
def windows(fleet):
    windows = fleet.table("03_primary/windows").to_pandas()
    return windows[windows["sensor"] == "vibration"].tail(50).reset_index(drop=True)


def test_the_champion_loads_and_scores_windows_as_the_job_did(mlflow, fleet, windows):
    predicted = mlflow.pyfunc.load_model("models:/vibration@champion").predict(windows)

    stored = fleet.table(PREDICTIONS).to_pandas()
    both = windows[["device", "sensor", "window_start"]].merge(stored, how="left")
    assert len(both) == 50
    assert predicted["score"].tolist() == pytest.approx(both["score"].tolist())


def test_search_runs_is_a_table_with_commit_parameters_and_metrics(mlflow):
    runs = mlflow.search_runs(experiment_names=["batch_scoring"])

    training = runs[runs["tags.mlflow.runName"] == "train"].iloc[0]
    assert training["metrics.vibration/models"] > 0
    assert training["tags.mlflow.source.git.commit"] == read_commit(PROJECT).id
    assert training["params.detector"] == "combined"
    assert sorted(runs["tags.mlflow.runName"]) == [
        "temperature v1 in service", "train", "vibration v1 in service",
    ]  # fmt: skip


def test_a_version_is_found_with_its_model_parameters_and_metrics(mlflow):
    (version,) = mlflow.search_model_versions(filter_string="name = 'vibration'")
    model = mlflow.get_logged_model(version.source.removeprefix("models:/"))

    assert version.tags["source_commit"] == read_commit(PROJECT).id
    assert "vibration" in version.description
    assert model.params["detector"] == "combined"
    assert {one.key for one in model.metrics} >= {"vibration/models", "vibration/train_flag_rate"}
    assert [one["version"] for one in json.loads(model.tags["mlflow.modelVersions"])] == ["1"]


def test_the_training_data_of_a_run_is_read_again_by_its_version(mlflow, fleet):
    run = mlflow.search_runs(experiment_names=["batch_scoring"], output_format="list")
    (training,) = (one for one in run if one.info.run_name == "train")
    found = {
        tag.value: one for one in training.inputs.dataset_inputs for tag in one.tags if tag.key == "sensor"
    }

    source = mlflow.data.get_source(found["vibration"])
    assert len(found["vibration"].dataset.digest) == 16
    # The workspace is a copy, and the dataset names where the training read.
    assert Path(source.path).parts[-2:] == ("03_primary", "windows")
    table = DeltaTable(fleet.folder / "03_primary/windows", version=source.delta_table_version)
    assert table.to_pyarrow_table(columns=["device"]).num_rows > 0


def test_the_days_of_a_version_are_a_metric_history(mlflow):
    run = mlflow.search_runs(
        experiment_names=["batch_scoring"],
        filter_string="tags.sensor = 'vibration' and tags.`batch_scoring.in_service` = 'true'",
        output_format="list",
    )[0]

    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "flag_rate")

    assert [one.step for one in sorted(history, key=lambda one: one.step)] == [0, 1]
    assert all(0 <= one.value <= 1 for one in history)


def test_models_predict_writes_what_the_model_says(mlflow, windows, tmp_path):
    features = mlflow.pyfunc.load_model("models:/vibration@champion").metadata.signature.inputs.input_names()
    mlflow.models.predict(
        "models:/vibration@champion",
        input_data=windows[features].head(3).assign(window_start=windows["window_start"].astype(str)),
        env_manager="local",
        output_path=str(tmp_path / "out.json"),
    )

    predictions = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [one["device"] for one in predictions] == windows["device"].head(3).tolist()
    assert all(one["score"] < 0 for one in predictions)


def test_evaluate_takes_predictions_and_labels(mlflow, windows, tmp_path):
    scored = mlflow.pyfunc.load_model("models:/vibration@champion").predict(windows)
    frame = scored.assign(
        is_anomaly=scored["is_anomaly"].astype(bool), label=[number % 25 == 0 for number in range(50)]
    )

    own = mlflow.create_experiment("evaluations", artifact_location=tmp_path.as_uri())
    with mlflow.start_run(experiment_id=own):
        result = mlflow.models.evaluate(
            data=frame[["is_anomaly", "label"]],
            predictions="is_anomaly",
            targets="label",
            model_type="classifier",
            evaluator_config={"log_explainer": False},
        )

    flagged = frame["is_anomaly"] & frame["label"]
    assert result.metrics["true_positives"] == flagged.sum()
    assert result.metrics["example_count"] == 50


def test_it_is_no_scikit_learn_model(mlflow):
    with pytest.raises(mlflow.exceptions.MlflowException, match='does not have the "sklearn" flavor'):
        mlflow.sklearn.load_model("models:/vibration@champion")


def test_a_stage_is_refused_with_the_aliases_to_name(fleet):
    output = fleet.kedro(
        "models", "promote", "vibration", "Production", "--data", str(fleet.folder), expect=1
    )

    assert "stages are of former MLflow, name a number or an alias: 1, champion" in output


def test_an_alias_set_by_hand_is_scored_after_a_promotion_or_a_training(store, tmp_path):
    from tests.registry.tracking.test_promotion import make_versions

    published = tmp_path / "published"
    one, two = make_versions(store, 2)
    tracking.promote(store, published, one)
    store.client.set_registered_model_alias("vibration", "champion", two.version)
    assert load_published(published, "vibration").manifest.version == "1"

    tracking.complete_promotions(store, published)

    assert load_published(published, "vibration").manifest.version == "2"
