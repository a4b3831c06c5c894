"""Training after training, killed or not: the same versions, the same published tables."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import wait

import pytest
from kedro.io.core import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.datasets.tracking_place import TrackingPlace
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published
from batch_scoring.registry.tracking import list_versions, promotion, registration, runs
from batch_scoring.training.result import BY_HAND, PROMOTED, REFUSED, Decision
from tests.at_once import at_once
from tests.end_to_end.warm_kedro import WarmKedro, warm_kedro
from tests.fleet_models import make_training

SENSORS = ["vibration", "Pumpe №7/Süd", "../../etc/x"]


def train(dataset: TrackedFleetModels, *trainings) -> TrackedFleetModels:
    for training in trainings:
        dataset.save({training.sensor: training})
    dataset.confirm()
    return dataset


def versions_of(dataset, sensor="vibration"):
    return [(one.version, one.aliases) for one in list_versions(dataset.store, sensor)]


def published_tables(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("published/*/*.arrow")}


def statuses(dataset):
    found = dataset.store.client.search_runs([dataset.store.experiment_id])
    return sorted(run.info.status for run in found if "mlflow.parentRunId" not in run.data.tags)


@pytest.mark.slow
def test_before_the_first_training_there_is_nothing_and_mlflow_is_not_imported(tmp_path):
    code = f"""
import sys
from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.datasets.tracking_place import TrackingPlace
dataset = TrackedFleetModels("{tmp_path}/new")
assert dataset.load() == {{}} and not dataset.exists()
dataset.confirm()
print("mlflow" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == "False"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_database_is_being_made_as_soon_as_a_training_begins(tmp_path, no_tracking_uri):
    dataset = TrackedFleetModels(f"{tmp_path}/new")
    dataset.save({})
    wait([dataset._prepared])
    assert not tracking.is_new_store(dataset.tracking_uri)
    assert list_versions(train(dataset, make_training()).store, "vibration")[0].version == "1"


def test_a_version_is_known_without_its_models_being_read(open_dataset, monkeypatch):
    dataset = train(open_dataset(), make_training())
    monkeypatch.setattr(tracking.versions, "find_models", lambda *_: pytest.fail("its models were fetched"))
    assert dataset.load()["vibration"]().fingerprint == make_training().fingerprint


def test_every_sensor_gets_a_champion_that_is_published(open_dataset, tmp_path):
    train(open_dataset(), *(make_training(sensor) for sensor in SENSORS))

    loaded = open_dataset().load()

    assert list(loaded) == sorted(SENSORS, key=str.encode)
    for sensor in SENSORS:
        expected = make_training(sensor).model
        assert loaded[sensor]().models.read().table.equals(expected.table)
        published = load_published(tmp_path / "published", sensor)
        assert published.models.read().table.equals(expected.table)
        assert published.manifest.version == loaded[sensor]().version == "1"
        assert published.manifest.fingerprint == make_training(sensor).fingerprint


def test_one_training_is_one_run_however_often_it_saves(open_dataset):
    dataset = train(open_dataset(), *(make_training(sensor) for sensor in SENSORS))

    assert statuses(dataset) == ["FINISHED"]
    train(dataset, make_training(seed=1))
    assert statuses(dataset) == ["FINISHED", "FINISHED"]


def test_training_from_the_same_again_makes_no_version_and_no_run(open_dataset, tmp_path):
    train(open_dataset(), make_training())
    before = published_tables(tmp_path)

    dataset = train(open_dataset(), make_training())

    assert versions_of(dataset) == [("1", ("champion",))]
    assert statuses(dataset) == ["FINISHED"]
    assert published_tables(tmp_path) == before


def test_a_new_training_is_the_champion_and_the_one_before_is_the_previous(open_dataset):
    for seed in range(3):
        dataset = train(open_dataset(), make_training(seed=seed))

    assert versions_of(dataset) == [("3", ("champion",)), ("2", ("previous",)), ("1", ())]


def test_retraining_some_devices_leaves_the_rows_of_the_others(open_dataset):
    dataset = train(open_dataset(), make_training(devices=["a", "b", "c"]))
    base = dataset.load()["vibration"]().models.read()

    train(dataset, make_training(devices=["b"], seed=1, base=base))

    model = dataset.load()["vibration"]().models.read()
    assert model.devices.to_pylist() == ["a", "b", "c"]
    assert model.select(["a", "c"]).table.equals(base.select(["a", "c"]).table)
    assert not model.select(["b"]).table.equals(base.select(["b"]).table)


def test_without_promotion_a_version_is_made_and_nothing_is_scored(open_dataset, tmp_path):
    dataset = train(open_dataset(promote=False), make_training())

    assert versions_of(dataset) == [("1", ())]
    assert published_tables(tmp_path) == {}
    assert dataset.load()["vibration"]().version == "1"


def test_training_again_does_not_undo_a_rollback(open_dataset, tmp_path):
    for seed in (0, 1):
        dataset = train(open_dataset(), make_training(seed=seed))
    tracking.rollback(dataset.store, dataset.published, "vibration")

    train(open_dataset(), make_training(seed=1))

    assert versions_of(dataset) == [("2", ("previous",)), ("1", ("champion",))]
    assert load_published(tmp_path / "published", "vibration").manifest.version == "1"


def test_training_with_the_parameters_of_long_ago_makes_that_version_the_champion(open_dataset):
    for seed in (0, 1):
        dataset = train(open_dataset(), make_training(seed=seed))

    train(open_dataset(), make_training(seed=0))

    assert versions_of(dataset) == [("2", ("previous",)), ("1", ("champion",))]


REFUSAL = Decision(REFUSED, "it flags too much", "1", {"challenger_windows": 300.0, "lost_models": 0.5})
FORBIDDEN = Decision(BY_HAND, "train.promote is never")


def test_a_refused_version_is_registered_with_the_reason_and_the_champion_stays(open_dataset, tmp_path):
    dataset = train(open_dataset(), make_training(), make_training(seed=1, decision=REFUSAL))

    assert versions_of(dataset) == [("2", ()), ("1", ("champion",))]
    assert load_published(tmp_path / "published", "vibration").manifest.version == "1"
    tags = list_versions(dataset.store, "vibration")[0].tags
    told = [tags[name] for name in ("verdict", "reason", "compared_with")]
    assert told == ["refused", "it flags too much", "1"]
    assert json.loads(tags["comparison"]) == REFUSAL.numbers


def test_what_was_decided_is_known_to_the_next_training(open_dataset):
    first, second = make_training(), make_training(seed=1, decision=REFUSAL)
    dataset = train(open_dataset(), first, second)

    found = dataset.load()["vibration"]()
    assert (found.version, found.is_champion) == ("1", True)
    assert found.decided == {second.fingerprint: ("2", REFUSED)}

    third = make_training(seed=2, decision=FORBIDDEN)
    train(dataset, third)
    found = dataset.load()["vibration"]()
    # The second was refused beside this very champion; the third is the newest.
    assert found.decided == {second.fingerprint: ("2", REFUSED), third.fingerprint: ("3", BY_HAND)}

    tracking.promote(dataset.store, dataset.published, list_versions(dataset.store, "vibration")[0])
    assert dataset.load()["vibration"]().decided == {third.fingerprint: ("3", PROMOTED)}


def test_a_rolled_back_version_is_settled(open_dataset):
    dataset = train(open_dataset(), make_training(), make_training(seed=1))
    tracking.rollback(dataset.store, dataset.published, "vibration")
    found = dataset.load()["vibration"]()
    assert (found.version, found.decided) == ("1", {make_training(seed=1).fingerprint: ("2", PROMOTED)})


def test_a_first_version_that_only_a_person_may_promote_waits(open_dataset, tmp_path):
    dataset = train(open_dataset(), make_training(decision=FORBIDDEN))
    assert versions_of(dataset) == [("1", ())]
    assert published_tables(tmp_path) == {}
    assert not dataset.load()["vibration"]().is_champion


def test_a_version_that_is_there_already_tells_a_later_decision(open_dataset):
    dataset = train(open_dataset(), make_training(), make_training(seed=1, decision=FORBIDDEN))
    not_worse = Decision(PROMOTED, "not worse than the champion", "1", {"lost_models": 0.0})
    train(dataset, make_training(seed=1, decision=not_worse))
    assert versions_of(dataset) == [("2", ("champion",)), ("1", ("previous",))]
    tags = list_versions(dataset.store, "vibration")[0].tags
    assert (tags["reason"], tags["compared_with"]) == ("not worse than the champion", "1")


def deaths(*steps):
    """A death before and after each step; what one before leaves is what is left after the step before."""
    return [
        pytest.param(
            *step, done, id=f"{step[-1]}-{when}", marks=[pytest.mark.long] if number and not done else []
        )
        for number, step in enumerate(steps)
        for done, when in ((False, "before"), (True, "after"))
    ]


@pytest.mark.parametrize(("step", "done"), deaths(("create_model_version",), ("log_model_artifacts",)))
def test_a_refusal_killed_at_any_step_and_repeated_ends_the_same(open_dataset, monkeypatch, step, done):
    train(open_dataset(), make_training())
    dataset = open_dataset()
    real = getattr(dataset.store.client, step)

    def killed(*args, **kwargs):
        if done:
            real(*args, **kwargs)
        raise KeyboardInterrupt

    refused = make_training(seed=1, decision=REFUSAL)
    with monkeypatch.context() as patch:
        patch.setattr(dataset.store.client, step, killed)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, refused)
    again = open_dataset()
    train(again, *([] if refused.fingerprint in again.load()["vibration"]().decided else [refused]))
    assert versions_of(again) == [("2", ()), ("1", ("champion",))]
    assert list_versions(again.store, "vibration")[0].tags["verdict"] == "refused"
    tracking.fail_open_runs()


STEPS = [
    (runs.TrainingRun, "log"),
    (registration, "_upload"),
    ("client", "create_model_version"),
    ("client", "log_model_artifacts"),
    ("client", "set_registered_model_alias"),
    ("client", "set_model_version_tag"),
    (promotion, "publish"),
]


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize(("owner", "step", "done"), deaths(*STEPS))
def test_a_training_killed_at_any_step_and_repeated_ends_the_same(
    open_dataset, tmp_path, monkeypatch, owner, step, done, before
):
    for seed in range(before):
        train(open_dataset(), make_training(seed=seed))
    new = make_training(seed=7)
    dataset = open_dataset()
    target = dataset.store.client if owner == "client" else owner
    real = getattr(target, step)

    def killed(*args, **kwargs):
        if done:
            real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, step, killed)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, new)

    # As the train pipeline does: what is in force from this fingerprint is not trained again.
    again = open_dataset()
    former = again.load().get("vibration")
    train(again, *([] if former and former().fingerprint == new.fingerprint else [new]))

    number = str(before + 1)
    expected = [("1", ("champion",))] if before == 0 else [("2", ("champion",)), ("1", ("previous",))]
    assert versions_of(again) == expected
    published = load_published(tmp_path / "published", "vibration")
    assert (published.manifest.version, published.manifest.fingerprint) == (number, new.fingerprint)
    assert published.models.read().table.equals(new.model.table)
    assert len(published_tables(tmp_path)) == before + 1
    tracking.fail_open_runs()


def test_an_empty_variable_names_no_tracking_server(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert TrackingPlace(str(tmp_path), "http://server").named == "http://server"
    assert TrackingPlace(str(tmp_path), None).named == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_the_environment_names_another_tracking_server(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")

    dataset = TrackedFleetModels("a", "sqlite:///configured.db")

    assert dataset.tracking_uri == f"sqlite:///{tmp_path}/other.db"
    assert "other.db" in str(dataset)


def test_a_run_that_an_error_ended_is_not_gone_on_with(open_dataset):
    dataset = open_dataset()
    dataset.save({"vibration": make_training()})
    tracking.fail_open_runs()

    train(dataset, make_training(seed=1))

    assert statuses(dataset) == ["FAILED", "FINISHED"]


def test_a_registered_model_of_somebody_else_is_left_alone(open_dataset):
    dataset = open_dataset()
    dataset.store.client.create_registered_model("vibration")

    with pytest.raises(DatasetError) as raised:
        dataset.save({"vibration": make_training()})

    assert isinstance(raised.value.__cause__, InputError)
    assert "that batch_scoring did not make" in str(raised.value.__cause__)
    assert dataset.load() == {}
    tracking.fail_open_runs()


def test_two_runs_of_the_same_training_at_once_make_one_version(open_dataset, tmp_path, trial):
    program = f"""
from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.datasets.tracking_place import TrackingPlace
from tests.fleet_models import make_training
dataset = TrackedFleetModels({str(tmp_path)!r})
dataset.store
dataset.save({{"vibration": make_training("vibration")}})
dataset.confirm()
"""
    warm_kedro()  # ends with the last that is connected
    done = at_once(lambda: WarmKedro().run_program(program))
    assert [code for code, _ in done] == [0, 0], done
    assert versions_of(open_dataset()) == [("1", ("champion",))]


def test_on_a_server_the_first_of_two_equal_versions_stays(open_dataset, monkeypatch):
    first = train(open_dataset(), make_training("vibration"))
    (kept,) = list_versions(first.store, "vibration")
    # As if the other run had looked before the first one registered: a server has no lock to wait for.
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "find_version", lambda *_: None)
        train(open_dataset(), make_training("vibration"))
    assert [one.version for one in list_versions(first.store, "vibration")] == [kept.version]
