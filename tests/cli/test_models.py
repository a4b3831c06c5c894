"""`kedro models …` as a person types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from batch_scoring.cli import cli
from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.registry.pretrained.models import NATIVE_THRESHOLD
from batch_scoring.registry.published import load_published, read_manifest
from tests.end_to_end.workspaces import Workspace
from tests.factories import make_windows
from tests.fleet_models import OPEN_FORM, make_training
from tests.made_once import made_once
from tests.mlflow_stores import put_database
from tests.tables_on_disk import TableOnDisk

ENTRY = OPEN_FORM | {"device": "a", "sensor": "vibration"}


@pytest.fixture
def data(project, no_tracking_uri, tmp_path, new_database):
    """A workspace with an MLflow database that has nothing in it."""
    put_database(new_database, tmp_path / "data/06_models")
    return tmp_path / "data"


@pytest.fixture
def trained(project, no_tracking_uri, tmp_path_factory, tmp_path, new_database):
    """The same, with two versions of vibration and one of air/flow."""

    def make(folder):
        put_database(new_database, folder / "06_models")
        dataset = TrackedFleetModels(str(folder / "06_models"), child_runs_up_to=0)
        for training in (
            make_training("vibration"),
            make_training("vibration", seed=1),
            make_training("air/flow"),
        ):
            dataset.save({training.sensor: training})
        dataset.confirm()

    made = Workspace(made_once(tmp_path_factory, "three_versions", make))
    return made.copy_to(tmp_path / "data").folder


def run(data, *arguments):
    """What a command prints, or its error."""
    result = CliRunner().invoke(cli, ["models", *map(str, arguments), "--data", str(data)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def rows(data, *arguments):
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def champion(data, sensor="vibration"):
    return read_manifest(data / "06_models" / "published", sensor).version


def test_list_names_every_version_newest_first(trained):
    lines = run(trained, "list").stdout.splitlines()

    assert lines[0].split() == [
        "sensor", "version", "alias", "models", "trained_from", "trained_to", "flag_rate", "run",
    ]  # fmt: skip
    assert [line.split()[:3] for line in lines[1:]] == [
        ["air/flow", "1", "champion"],
        ["vibration", "2", "champion"],
        ["vibration", "1", "previous"],
    ]
    assert "2026-01-01T00:00Z  2026-01-08T00:00Z  0.02" in lines[1]


def test_list_takes_one_sensor(trained):
    assert [row["version"] for row in rows(trained, "list", "--sensor", "vibration")] == ["2", "1"]
    error = run(trained, "list", "--sensor", "vibratoin")
    assert error.exit_code == 1
    assert error.stderr == "Error: sensor 'vibratoin' is not among the 2 known; did you mean 'vibration'?\n"


def test_before_the_first_training_the_list_says_what_to_do(data, tmp_path):
    assert "no models yet; run `kedro run --pipelines=train`" in run(tmp_path / "new", "list").stdout
    assert rows(data, "list") == []
    assert not (tmp_path / "new").exists()


def test_show_tells_the_devices_of_a_version(trained):
    shown = rows(trained, "show", "vibration@previous")[0]

    assert (shown["version"], [device["device"] for device in shown["devices"]]) == ("1", ["a", "b"])
    text = run(trained, "show", "vibration").stdout
    assert "version       2" in text
    assert "n_support_vectors" in text


def test_show_tells_the_numbers_of_one_device(trained):
    numbers = rows(trained, "show", "vibration@1", "--device", "a")

    expected = make_training("vibration").model.table.to_pylist()[0]
    assert (numbers["gamma"], numbers["mean of std"]) == (expected["gamma"], expected["mean"][1])
    error = run(trained, "show", "vibration", "--device", "c")
    assert error.exit_code == 1
    assert error.stderr.startswith("Error: device 'c' is not among the 2 known")


def test_a_sensor_may_hold_an_at_sign(data):
    models = data / "06_models"
    dataset = TrackedFleetModels(str(models))
    dataset.save({"flow@pump": make_training("flow@pump")})
    dataset.confirm()

    assert rows(data, "show", "flow@pump")[0]["sensor"] == "flow@pump"
    assert rows(data, "show", "flow@pump@1")[0]["sensor"] == "flow@pump"


def test_promote_and_rollback_change_what_is_scored(trained):
    assert run(trained, "promote", "vibration", "1").stdout == (
        "vibration: version 1 is the champion and published.\n"
    )
    assert champion(trained) == "1"

    assert rows(trained, "rollback", "vibration")["version"] == "2"
    assert champion(trained) == "2"


@pytest.fixture
def watched(trained):
    """The same, with two days of windows after the training of both versions."""
    start_us = int(datetime(2026, 1, 8, tzinfo=UTC).timestamp() * 1e6)
    X = np.random.default_rng(0).normal(size=(2 * 288, 2))
    table = make_windows(X, ["a"] * 288 + ["b"] * 288, "vibration", ["mean", "std"], start_us=start_us)
    TableOnDisk(trained / "03_primary/windows", "window_start").add(table)
    return trained


def test_compare_judges_the_windows_after_the_training_of_both(watched):
    found = rows(watched, "compare", "vibration")
    assert [(row["version"], row["alias"], row["windows"]) for row in found["versions"]] == [
        ("2", "champion", 576),
        ("1", "previous", 576),
    ]
    assert found["lost_models"] == 0.0
    assert found["verdict"].startswith(("promote: ", "refuse: "))
    swapped = rows(watched, "compare", "vibration", "previous", "2")
    assert [row["version"] for row in swapped["versions"]] == ["1", "2"]
    assert swapped["versions"][1]["flagged"] == found["versions"][0]["flagged"]
    lines = run(watched, "compare", "vibration").stdout.splitlines()
    assert lines[0].split() == list(found["versions"][0])
    assert lines[-1].startswith("verdict")


def test_one_version_alone_cannot_be_compared(watched):
    assert "'air/flow' has one version only" in run(watched, "compare", "air/flow").stderr
    assert "has no version '9'" in run(watched, "compare", "vibration", "9").stderr


def test_unknown_versions_are_one_line(trained):
    error = run(trained, "promote", "vibration", "3")

    assert (error.exit_code, error.stderr) == (
        1,
        "Error: sensor 'vibration' has no version '3'; there are 2, 1, champion, previous\n",
    )
    assert "no previous champion" in run(trained, "rollback", "air/flow").stderr


def test_import_makes_a_version_that_is_scored(data, tmp_path):
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"a": ENTRY, "b": {**ENTRY, "device": "b"}}))

    imported = rows(data, "import", path, "--window", "5s")

    assert [(row["version"], row["alias"], row["models"]) for row in imported] == [("1", "champion", 2)]
    published = load_published(data / "06_models" / "published", "vibration")
    assert published.manifest.window_seconds == 5.0
    assert published.models.read().table["threshold"].to_pylist() == [NATIVE_THRESHOLD] * 2
    assert rows(data, "import", path, "--window", "5s") == imported


def test_import_keeps_the_other_devices_unless_told_to_replace(data, tmp_path):
    path = tmp_path / "models.json"
    for device, arguments, expected in [("a", [], 1), ("b", [], 2), ("b", ["--replace"], 1)]:
        path.write_text(json.dumps({"x": {**ENTRY, "device": device}}))
        imported = rows(data, "import", path, *arguments)
        assert imported[0]["models"] == expected
    assert load_published(data / "06_models/published", "vibration").manifest.window_seconds == 300.0


def test_import_without_promotion_leaves_what_is_scored(data, tmp_path):
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"a": ENTRY}))

    imported = rows(data, "import", path, "--no-promote", "--features", "max")

    assert imported[0]["alias"] == ""
    assert not (data / "06_models" / "published").exists()


def test_a_file_that_cannot_be_imported_is_one_line(data, tmp_path):
    (tmp_path / "model_a_vibration").write_bytes(b"pickle")

    error = run(data, "import", tmp_path / "model_a_vibration")

    assert error.exit_code == 1
    assert error.stderr.count("\n") == 1
    assert "--trust-pickle" in error.stderr


@pytest.mark.slow
def test_help_does_not_import_the_commands():
    code = """
import sys
from batch_scoring.cli import cli
try:
    cli(["--help"])
except SystemExit:
    print([n for n in ("batch_scoring.cli.models", "mlflow", "sklearn", "duckdb") if n in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "models" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_prune_says_what_goes_and_why_and_the_dry_run_the_same(data):
    dataset = TrackedFleetModels(str(data / "06_models"))
    for seed in range(4):
        dataset.save({"vibration": make_training(seed=seed)})
    dataset.confirm()
    options = ("--keep", 1, "--younger-than", "0d")

    foretold = rows(data, "prune", *options, "--dry-run")
    assert [row["version"] for row in rows(data, "list")] == ["4", "3", "2", "1"]
    shown = run(data, "prune", *options).stdout.splitlines()

    assert [(one["what"], one["name"], one["why"]) for one in foretold["removed"]] == [
        ("version", "vibration@2", "0 days old"),
        ("version", "vibration@1", "0 days old"),
    ]
    assert {one["version"]: one["why"] for one in foretold["kept"]} == {
        "vibration@4": "champion",
        "vibration@3": "previous",
    }
    assert shown[0].split() == ["what", "name", "why", "bytes"]
    assert shown[1].split()[:2] == ["version", "vibration@2"]
    size = sum(one["bytes"] for one in foretold["removed"])
    assert shown[-1].startswith(f"Removed 2 versions, {size / 1e6:.1f} MB")
    assert [row["version"] for row in rows(data, "list")] == ["4", "3"]
    assert run(data, "prune", *options).stdout == "Removed nothing; versions that stay: 2.\n"


def test_prune_refuses_a_copy_whose_artifacts_lie_in_another_workspace(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")

    result = run(tmp_path / "copy", "prune", "--keep", 1, "--younger-than", "0d")

    assert result.exit_code == 1
    assert "is a copy of another workspace's" in result.stderr
    assert len(rows(trained, "list")) == 3


@pytest.mark.parametrize("option", [("--younger-than", "soon"), ("--keep", 0), ("--sensor", "vibratoin")])
def test_prune_refuses_what_it_does_not_know(trained, option):
    result = run(trained, "prune", *option)

    assert result.exit_code != 0
    assert str(option[1]) in result.stderr
