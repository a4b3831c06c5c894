"""What a person finds in the MLflow run of a training."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch_scoring.core import processes
from batch_scoring.registry import tracking
from batch_scoring.registry.tracking import TrainingRun, close_orphaned_runs, fail_open_runs
from batch_scoring.registry.tracking.runs import create_run, flatten
from tests.fleet_models import make_training


def children(store, run):
    condition = f"tags.mlflow.parentRunId = '{run.run_id}'"
    found = store.client.search_runs([store.experiment_id], condition)
    return {one.data.tags["device"]: one for one in found}


def status_of(store, run_id):
    return store.client.get_run(run_id).info.status


@pytest.fixture(autouse=True)
def no_open_runs():
    yield
    fail_open_runs()


def test_the_parameters_of_a_training_are_those_of_its_run(store):
    run = TrainingRun(store, 0)
    run.log(make_training("vibration"))
    run.log(make_training("air/flow"))

    assert store.client.get_run(run.run_id).data.params == {"nu": "0.1", "calibration.rate": "0.001"}


def test_a_run_says_who_ran_which_commit(store):
    tags = store.client.get_run(TrainingRun(store, 0).run_id).data.tags

    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert tags["mlflow.source.git.commit"] == head.stdout.strip()
    assert tags["mlflow.user"] == getpass.getuser()
    assert tags["mlflow.source.name"] == "batch_scoring"
    assert "devices" in tags["mlflow.note.content"]


def test_a_parameter_in_which_sensors_differ_is_kept_for_both(store):
    run = TrainingRun(store, 0)
    run.log(make_training("vibration", parameters={"nu": 0.1, "gamma": "scale"}))
    run.log(make_training("noise", parameters={"nu": 0.2, "gamma": "scale"}))

    assert store.client.get_run(run.run_id).data.params == {"nu": "0.1", "nu/noise": "0.2", "gamma": "scale"}


def test_each_sensor_has_a_table_of_its_devices(store, tmp_path):
    run = TrainingRun(store, 0)
    run.log(make_training("vibration", ["a", "b"], failed=["c"]))
    run.log(make_training("../x", ["a"]))

    tags = store.client.get_run(run.run_id).data.tags
    path = store.client.download_artifacts(run.run_id, "devices/vibration.json", str(tmp_path))

    table = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["device"], row["status"]) for row in rows] == [
        ("a", "ok"),
        ("b", "ok"),
        ("c", "too_few_windows"),
    ]
    assert rows[0]["trained_from"] == "2026-01-01T00:00Z"
    assert rows[0]["nu"] == 0.1
    assert rows[2]["nu"] is None
    every = store.client.download_artifacts(run.run_id, "devices/vibration.parquet", str(tmp_path))
    assert pq.read_table(every)["device"].to_pylist() == ["a", "b", "c"]
    assert [table["path"] for table in json.loads(tags["mlflow.loggedArtifacts"])] == [
        "devices/vibration.json",
        "devices/x2Ex2Ex2Fx.json",
    ]


def test_the_list_of_tables_stays_within_what_a_tag_holds(store):
    run = TrainingRun(store, 0)
    run._tables = [{"path": "x" * 7_990, "type": "table"}]

    run.log(make_training())

    assert "mlflow.loggedArtifacts" not in store.client.get_run(run.run_id).data.tags
    assert len(store.client.list_artifacts(run.run_id, "devices")) == 2


def test_each_trained_device_has_a_child_run_while_they_are_few(store):
    few, many = TrainingRun(store, 2), TrainingRun(store, 1)
    for run in (few, many):
        run.log(make_training("vibration", ["a", "7"], failed=["c"]))

    found = children(store, few)

    assert sorted(found) == ["7", "a"]
    assert found["a"].info.status == "FINISHED"
    assert found["a"].data.tags["sensor"] == "vibration"
    assert found["a"].data.metrics["n_train"] == 60
    assert found["a"].data.metrics["train_flag_rate"] == 0.02
    assert children(store, many) == {}


def test_devices_that_were_not_trained_have_no_child_run(store):
    base = make_training("vibration", ["a", "b", "c"]).model
    run = TrainingRun(store, 1)

    run.log(make_training("vibration", ["b"], seed=1, base=base))

    assert sorted(children(store, run)) == ["b"]


def test_a_run_ends_once(store):
    run = TrainingRun(store, 0)
    assert status_of(store, run.run_id) == "RUNNING"

    run.end("FINISHED")
    run.end("FAILED")

    assert status_of(store, run.run_id) == "FINISHED"
    assert not run.is_open


def test_an_error_ends_the_open_runs_as_failed(store):
    run = TrainingRun(store, 0)

    fail_open_runs()

    assert status_of(store, run.run_id) == "FAILED"


def test_a_run_that_cannot_be_ended_does_not_hide_the_first_error(store, monkeypatch):
    TrainingRun(store, 0)
    monkeypatch.setattr(store.client, "set_terminated", lambda *_: 1 / 0)

    fail_open_runs()

    assert tracking.runs._open_runs == []


def test_the_run_of_a_killed_process_is_marked_and_its_children_too(store, monkeypatch):
    dead = subprocess.run(
        [sys.executable, "-c", "from batch_scoring.core.processes import *; print(process())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    alive = TrainingRun(store, 0)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "process", lambda: dead)
        killed = TrainingRun(store, 0)
        child = create_run(store, "child", {"mlflow.parentRunId": killed.run_id})
        patch.setattr(processes, "host", lambda: "another host")
        elsewhere = TrainingRun(store, 0)

    close_orphaned_runs(store)

    assert [status_of(store, run.run_id) for run in (alive, killed, elsewhere)] == [
        "RUNNING",
        "KILLED",
        "RUNNING",
    ]
    assert status_of(store, child) == "KILLED"


def test_nested_parameters_get_dotted_names():
    assert flatten({"a": {"b": {"c": [1, "x"]}}, "d": True}) == {"a.b.c": '[1, "x"]', "d": "true"}
