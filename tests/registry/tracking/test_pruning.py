"""Old versions go with all that is theirs; what another version, an alias or a job needs stays."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow.pyfunc
import pytest
from mlflow.exceptions import MlflowException

from batch_scoring.registry import tracking
from batch_scoring.registry.interrupted import Promotion, begin_promotion
from batch_scoring.registry.published import load_published
from batch_scoring.registry.tracking import Retention, TrainingRun, list_versions, promote, prune, register
from batch_scoring.registry.tracking.store import local_store_as_default
from tests.fleet_models import make_model, sensor_folder, training_of

pytestmark = pytest.mark.slow  # it imports MLflow

LATER = datetime.now(UTC) + timedelta(days=60)
TWO = Retention(keep=2)


@pytest.fixture
def published(tmp_path):
    return tmp_path / "published"


def train(store, n, sensor="vibration", first=0):
    """Versions of a sensor, each of a run of its own."""
    for seed in range(first, first + n):
        run = TrainingRun(store, 0)
        register(store, run.run_id, training_of(make_model(sensor, seed=seed), f"f{seed}"))
        run.end("FINISHED")
    return list(reversed(list_versions(store, sensor)))


def numbers(store, sensor="vibration"):
    return sorted(int(one.version) for one in list_versions(store, sensor))


def folders_of_models(tmp_path):
    return {one.name for one in (tmp_path / "mlflow/artifacts/models").iterdir()}


def kinds(found):
    return sorted((one.kind, one.name) for one in found.removals)


def age(folder: Path, days=3):
    then = datetime.now(UTC).timestamp() - days * 86_400
    os.utime(folder, (then, then))


def test_champion_previous_newest_and_young_versions_stay(store, published, tmp_path):
    versions = train(store, 6)
    for version in versions[:3]:
        promote(store, published, version)

    found = prune(store, published, TWO, LATER)

    assert numbers(store) == [2, 3, 5, 6]
    assert {(one.version, reason) for one, reason in found.kept} == {
        ("2", "previous"),
        ("3", "champion"),
        ("5", "among the newest 2"),
        ("6", "among the newest 2"),
    }
    assert [name for kind, name in kinds(found) if kind == "version"] == ["vibration@1", "vibration@4"]
    kept = {one.source.removeprefix("models:/") for one in list_versions(store, "vibration")}
    assert folders_of_models(tmp_path) == kept
    with local_store_as_default(store):
        model = mlflow.pyfunc.load_model("models:/vibration@champion")
    assert model.predict(model.input_example)["score"].notna().all()


def test_a_version_that_was_the_champion_not_long_ago_stays(store, published):
    versions = train(store, 5)
    for version in versions[:3]:
        promote(store, published, version)

    soon = datetime.now(UTC) + timedelta(days=29)
    assert prune(store, published, TWO, soon).removals == []
    store.client.set_model_version_tag("vibration", "1", "in_service_until", LATER.isoformat())
    prune(store, published, TWO, LATER + timedelta(days=1))
    assert numbers(store) == [1, 2, 3, 4, 5]
    prune(store, published, TWO, LATER + timedelta(days=31))
    assert numbers(store) == [2, 3, 4, 5]


def test_the_dry_run_says_the_same_and_does_nothing(store, published, tmp_path):
    for version in train(store, 4)[:2]:
        promote(store, published, version)
    before = folders_of_models(tmp_path)

    foretold = prune(store, published, Retention(keep=1), LATER, dry_run=True)

    assert numbers(store) == [1, 2, 3, 4]
    assert folders_of_models(tmp_path) == before
    done = prune(store, published, Retention(keep=1), LATER)
    assert kinds(done) == kinds(foretold)
    assert all(one.n_bytes > 0 for one in done.removals if one.kind == "version")
    assert prune(store, published, Retention(keep=1), LATER).removals == []


def test_a_run_goes_with_the_last_of_its_versions(store, published):
    run = TrainingRun(store, 0)
    for sensor in ("noise", "vibration"):
        register(store, run.run_id, training_of(make_model(sensor), "f"))
    run.end("FINISHED")
    train(store, 1, "vibration", first=1)

    prune(store, published, Retention(keep=1), LATER)
    assert store.client.get_run(run.run_id).info.lifecycle_stage == "active"
    train(store, 1, "noise", first=1)
    found = prune(store, published, Retention(keep=1), LATER)

    assert ("run", f"train {run.run_id}") in kinds(found)
    assert store.client.get_run(run.run_id).info.lifecycle_stage == "deleted"


def test_what_another_model_made_of_a_version_keeps_it(store, published, tmp_path):
    _, two, _ = train(store, 3)
    with local_store_as_default(store):
        store.client.copy_model_version("models:/vibration/1", "production")
        store.client.create_registered_model("theirs")
        store.client.create_model_version("theirs", two.source)

    found = prune(store, published, Retention(keep=1), LATER)

    assert numbers(store) == [1, 3]
    assert {reason for version, reason in found.kept if version.version == "1"} == {"copied to production"}
    assert two.source.removeprefix("models:/") in folders_of_models(tmp_path)
    with local_store_as_default(store):
        for name in ("production", "theirs"):
            mlflow.pyfunc.load_model(f"models:/{name}/1")


def test_the_versions_of_an_interrupted_promotion_stay(store, published):
    train(store, 4)
    begin_promotion(published, "vibration", Promotion("2", "1"))

    prune(store, published, Retention(keep=1), LATER)

    assert numbers(store) == [1, 2, 4]


def test_published_files_go_with_their_version_and_the_champion_stays_readable(store, published):
    versions = train(store, 4)
    for version in versions:
        promote(store, published, version)
    assert len(load_published(published, "vibration").versions()) == 4
    folder = sensor_folder(published, "vibration")

    # A job that began before the promotion may still be running.
    prune(store, published, TWO, datetime.now(UTC))
    assert len(list(folder.glob("*.arrow"))) == 4
    prune(store, published, TWO, LATER)

    champion = load_published(published, "vibration").verify()
    assert champion.manifest.version == "4"
    assert sorted(champion.versions()) == ["3", "4"]
    assert len(list(folder.glob("*.arrow"))) == 2


def test_models_runs_and_folders_without_a_version_are_found(store, published, tmp_path):
    version = train(store, 1)[0]
    artifacts = tmp_path / "mlflow/artifacts"
    killed = TrainingRun(store, 0)
    killed.end("KILLED")
    orphan = store.client.create_logged_model(store.experiment_id, name="orphan", tags=tracking.versions.OURS)
    theirs = store.client.create_logged_model(store.experiment_id, name="theirs")
    for name in ("models/m-0123", "0" * 32, "notes"):
        (artifacts / name).mkdir()
        age(artifacts / name)

    assert {kind for kind, _ in kinds(prune(store, published, Retention(), datetime.now(UTC)))} == {"folder"}
    found = prune(store, published, Retention(), LATER)

    assert kinds(found) == [("model", "orphan"), ("run", f"train {killed.run_id}")]
    with pytest.raises(MlflowException, match="not found"):
        store.client.get_logged_model(orphan.model_id)
    assert store.client.get_logged_model(theirs.model_id).name == "theirs"
    assert not (artifacts / "models/m-0123").exists()
    assert not (artifacts / ("0" * 32)).exists()
    assert (artifacts / "notes").exists()
    assert tracking.TrackedVersion(store, version).models.n_models == 2


@pytest.mark.parametrize(
    "step", ["delete_model_version", "delete_artifacts", "delete_logged_model", "delete_run"]
)
def test_a_pruning_killed_at_any_step_is_completed_by_the_next(store, published, tmp_path, monkeypatch, step):
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    train(store, 3)
    where = LocalArtifactRepository if step == "delete_artifacts" else type(store.client)
    real = getattr(where, step)

    def killed(*arguments, **more):
        real(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, step, killed)
        with pytest.raises(KeyboardInterrupt):
            prune(store, published, Retention(keep=1), LATER)
    for version in list_versions(store, "vibration"):
        assert tracking.TrackedVersion(store, version).models.n_models == 2
    prune(store, published, Retention(keep=1), LATER)

    assert numbers(store) == [3]
    assert len(folders_of_models(tmp_path)) == 1
    assert len(store.client.search_runs([store.experiment_id])) == 1
    assert prune(store, published, Retention(keep=1), LATER).removals == []


def test_a_version_that_was_promoted_meanwhile_stays(store, published, monkeypatch):
    one = train(store, 2)[0]
    real = tracking.pruning._Finder.find

    def find(self, sensor):
        found = real(self, sensor)
        store.client.set_registered_model_alias("vibration", "champion", one.version)
        return found

    monkeypatch.setattr(tracking.pruning._Finder, "find", find)
    prune(store, published, Retention(keep=1), LATER)

    assert numbers(store) == [1, 2]
    assert tracking.TrackedVersion(store, one).models.n_models == 2


def test_only_the_named_sensor_is_pruned(store, published):
    for sensor in ("noise", "vibration"):
        train(store, 2, sensor)

    prune(store, published, Retention(keep=1), LATER, sensor="noise")

    assert (numbers(store, "noise"), numbers(store, "vibration")) == ([2], [1, 2])
