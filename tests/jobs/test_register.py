"""What training jobs staged becomes versions once, whoever registers it and how often."""

import threading
from dataclasses import replace

import pytest
from kedro.io.core import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.fleet_models import FleetModels
from batch_scoring.jobs import register as registering
from batch_scoring.jobs.register import register, versions_in_force
from batch_scoring.registry import tracking
from batch_scoring.registry.published import load_published, read_manifest
from batch_scoring.registry.staged import StagedTrainings
from batch_scoring.registry.tracking import list_versions
from batch_scoring.training.result import BY_HAND, REFUSED, Decision
from tests.at_once import at_once
from tests.fleet_models import make_training

SENSORS = ["vibration", "Pumpe №7/Süd", "../../etc/x", "turn"]


@pytest.fixture
def run(tmp_path):
    """A function that opens a run of jobs as planned now, with what a job of it saves staged."""

    def plan(name, dataset, *trainings):
        folder = f"{tmp_path}/09_jobs/{name}"
        StagedTrainings(folder).keep_previous(lambda: versions_in_force(dataset))
        for training in trainings:
            of_the_job = FleetModels(f"{tmp_path}", staged=folder)
            of_the_job.save({})
            of_the_job.save({training.sensor: training})
            of_the_job.confirm()
        return StagedTrainings(folder)

    return plan


def versions_of(dataset, sensor="vibration"):
    return [(one.version, one.aliases) for one in list_versions(dataset.store, sensor)]


def training_runs(dataset):
    found = dataset.store.client.search_runs([dataset.store.experiment_id])
    return [one.info.status for one in found if "mlflow.parentRunId" not in one.data.tags]


def test_what_was_staged_is_registered_as_if_it_had_been_saved_at_once(open_dataset, run, tmp_path):
    dataset = open_dataset()
    trainings = [make_training(sensor, failed=["broken"]) for sensor in SENSORS]
    staged = run("r1", dataset, *trainings)
    assert not dataset.published.entries(), "a job registers and publishes nothing"
    assert register(staged, dataset) == staged.sensors() == sorted(SENSORS, key=str.encode)
    for training in trainings:
        assert versions_of(dataset, training.sensor) == [("1", ("champion",))]
        published = load_published(dataset.published, training.sensor)
        assert published.models.contents_sha256 == training.models.contents_sha256
        assert published.manifest.fingerprint == training.fingerprint
    assert training_runs(dataset) == ["FINISHED"], "one run of MLflow for all sensors"


def test_a_staged_training_is_read_back_as_it_was(open_dataset, run):
    decision = Decision(REFUSED, "flags more", "1", {"flag_rate": 0.25})
    training = make_training("a/b", failed=["broken"], decision=decision)
    back = run("r1", open_dataset(), training).load("a/b")
    assert back.models.contents_sha256 == training.models.contents_sha256
    assert back.status.equals(training.status)
    told = ("fingerprint", "parameters", "metrics", "decision")
    assert [getattr(back, name) for name in told] == [getattr(training, name) for name in told]


def test_registering_again_makes_no_second_version_and_undoes_no_rollback(open_dataset, run):
    dataset = open_dataset()
    register(run("r1", dataset, make_training()), dataset)
    second = run("r2", dataset, make_training(seed=1))
    assert register(second, dataset) == ["vibration"]
    tracking.rollback(dataset.store, dataset.published, "vibration")
    before = versions_of(dataset)
    assert register(second, open_dataset_again(dataset)) == []
    assert versions_of(dataset) == before == [("2", ("previous",)), ("1", ("champion",))]


def open_dataset_again(dataset):
    return type(dataset)(dataset._place.path)


def test_an_earlier_run_registered_again_leaves_the_later_champion(open_dataset, run):
    dataset = open_dataset()
    first = run("r1", dataset, make_training())
    register(first, dataset)
    register(run("r2", dataset, make_training(seed=1)), dataset)
    assert register(first, dataset) == []
    assert read_manifest(dataset.published, "vibration").version == "2"


def test_a_writer_killed_after_any_sensor_is_completed_by_the_next(open_dataset, run, monkeypatch):
    dataset = open_dataset()
    staged = run("r1", dataset, *(make_training(sensor) for sensor in SENSORS))

    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    for _ in SENSORS:
        with monkeypatch.context() as patch:
            patch.setattr(StagedTrainings, "mark_registered", killed)
            with pytest.raises(KilledError):
                register(staged, open_dataset_again(dataset))
        # The next sensor dies the same way.
        first = next(one for one in staged.sensors() if staged.registered(one) is None)
        staged.mark_registered(staged.load(first), "1")
    register(staged, open_dataset_again(dataset))
    assert all(versions_of(dataset, sensor) == [("1", ("champion",))] for sensor in SENSORS)


def test_two_writers_at_once_make_one_set_of_versions(open_dataset, run, monkeypatch):
    dataset = open_dataset()
    staged = run("r1", dataset, *(make_training(sensor) for sensor in SENSORS))
    monkeypatch.setattr(registering, "Lease", quick_writer)
    done = at_once(lambda: register(StagedTrainings(staged.run), open_dataset_again(dataset)))
    assert sorted(map(len, done)) == [0, len(SENSORS)]
    assert all(versions_of(dataset, sensor) == [("1", ("champion",))] for sensor in SENSORS)


def quick_writer(folder, name):
    return registering_writer(folder, name, lambda _: threading.Event().wait(0.02))


registering_writer = registering.Lease


def test_a_champion_that_came_meanwhile_is_not_overruled(open_dataset, run):
    dataset = open_dataset()
    register(run("r1", dataset, make_training()), dataset)
    late = run("r2", dataset, make_training(seed=2))
    register(run("r3", dataset, make_training(seed=3)), dataset)
    register(late, dataset)
    assert versions_of(dataset) == [("3", ()), ("2", ("champion",)), ("1", ("previous",))]
    tags = list_versions(dataset.store, "vibration")[0].tags
    assert tags["verdict"] == BY_HAND
    assert tags["reason"] == ("version 2 has become the champion since the jobs were planned, when it was 1")


def test_a_refused_training_is_a_version_and_no_champion(open_dataset, run):
    dataset = open_dataset()
    register(run("r1", dataset, make_training()), dataset)
    refused = make_training(seed=1, decision=Decision(REFUSED, "flags more", "1"))
    lines = []
    register(run("r2", dataset, refused), dataset, lines.append)
    assert lines == ["sensor 'vibration': version 2, 2 models, refused: flags more"]
    assert read_manifest(dataset.published, "vibration").version == "1"


def test_a_job_sees_the_versions_of_the_time_it_was_planned(open_dataset, run, tmp_path):
    dataset = open_dataset()
    first = make_training()
    register(run("r1", dataset, first), dataset)
    run("r2", dataset)
    register(run("r3", dataset, make_training(seed=1)), dataset)
    of_the_job = FleetModels(f"{tmp_path}", staged=f"{tmp_path}/09_jobs/r2")
    previous = type(dataset)(f"{tmp_path}", staged=f"{tmp_path}/09_jobs/r2").load()["vibration"]()
    assert of_the_job.load().keys() == {"vibration"}
    assert (previous.version, previous.fingerprint, previous.is_champion) == ("1", first.fingerprint, True)
    assert previous.models.contents_sha256 == first.models.contents_sha256
    assert previous.decided == {first.fingerprint: ("1", "promoted")}


def test_a_champion_whose_publishing_was_killed_is_published_when_jobs_are_planned(open_dataset, run):
    dataset = open_dataset()
    register(run("r1", dataset, make_training()), dataset)
    for entry in dataset.published.entries():
        dataset.published.delete(entry.name)
    previous = versions_in_force(dataset)["vibration"]
    again = replace(previous, sensor="vibration", published=dataset.published)
    assert again.models.contents_sha256 == make_training().models.contents_sha256


def test_staged_models_that_are_gone_are_named(open_dataset, run):
    dataset = open_dataset()
    staged = run("r1", dataset, make_training())
    (table,) = staged.folder.entries(".arrow")
    staged.folder.delete(table.name)
    with pytest.raises(InputError, match="the staged models of sensor 'vibration' are missing"):
        register(staged, dataset)


def test_a_run_that_was_not_planned_for_training_is_named(open_dataset, run, tmp_path):
    dataset = type(open_dataset())(f"{tmp_path}", staged=f"{tmp_path}/09_jobs/score-1")
    with pytest.raises(DatasetError, match="this is not a run of training jobs"):
        dataset.load()
