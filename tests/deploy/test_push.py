"""Copying a workspace's models and data: once, whole, and never over what is newer."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from batch_scoring.cli import cli
from batch_scoring.core.errors import InputError
from batch_scoring.deploy.push import LAYERS, Push, files_of_layers, files_of_models
from batch_scoring.registry.published import list_published, load_published, publish
from batch_scoring.storage import open_folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS
from tests.factories import make_readings
from tests.fleet_models import make_model
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

PUBLISHED = "06_models/published"
SENSORS = ["pressure", "Pumpe №7/Süd"]


def table(data, layer):
    return TableOnDisk(data / layer, "timestamp")


@pytest.fixture
def workspace(tmp_path):
    for sensor in SENSORS:
        publish(tmp_path / "data" / PUBLISHED, make_model(sensor), "1", "run", "f")
    for layer in ("02_intermediate/readings", "03_primary/windows"):
        for day in range(3):
            table(tmp_path / "data", layer).add(make_readings([day * 1440], [1.0]))
    return LocalFolder(tmp_path / "data")


@pytest.fixture(params=["folder", pytest.param("container", marks=pytest.mark.azurite)])
def target(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "cloud")
    return f"abfs://{request.getfixturevalue('container')}/fleet"


def push(workspace, target, groups=None, force=False, progress=lambda step: None):
    one = Push(workspace, open_folder(target), force)
    return one.run(one.plan(groups or files_of_models(workspace)), progress)


def copied(counts):
    return counts.copied, counts.same, len(counts.kept)


def test_models_are_there_whole(workspace, target):
    counts = push(workspace, target)
    assert copied(counts) == (4, 0, 0)
    there = open_folder(target).below(PUBLISHED)
    assert sorted(list_published(there)) == sorted(SENSORS)
    for sensor in SENSORS:
        assert load_published(there, sensor).verify().manifest.version == "1"
    assert counts.copied_bytes == sum(one.size for one in there.entries())


def test_a_second_time_nothing_is_copied(workspace, target):
    push(workspace, target)
    before = open_folder(target).entries()
    assert copied(push(workspace, target)) == (0, 4, 0)
    assert open_folder(target).entries() == before


def test_what_is_there_already_is_known_by_its_bytes_without_a_ledger(workspace, target):
    push(workspace, target)
    for ledger in (workspace.root / ".pushed").iterdir():
        ledger.unlink()
    assert copied(push(workspace, target)) == (0, 4, 0)


def test_a_newer_version_here_goes_over_what_was_pushed(workspace, target):
    push(workspace, target)
    publish(workspace.root / PUBLISHED, make_model("pressure", seed=1), "2", "run", "g")
    assert copied(push(workspace, target)) == (2, 2, 0)
    assert load_published(open_folder(target).below(PUBLISHED), "pressure").manifest.version == "2"


def test_a_model_that_the_cloud_has_trained_stays_unless_forced(workspace, target):
    push(workspace, target)
    there = open_folder(target).below(PUBLISHED)
    publish(there, make_model("pressure", seed=3), "7", "cloud", "h")
    counts = push(workspace, target)
    assert counts.kept == (f"{PUBLISHED}/pressure/manifest.json",)
    assert load_published(there, "pressure").manifest.version == "7"
    assert push(workspace, target, force=True).kept == ()
    assert load_published(there, "pressure").manifest.version == "1"


def test_what_another_one_writes_meanwhile_is_not_lost(workspace, target):
    one = Push(workspace, open_folder(target))
    planned = one.plan(files_of_models(workspace))
    other = workspace.root / "other"
    other.write_bytes(b"theirs")
    name = planned[1][0].name
    if target.startswith("abfs"):
        from azure.storage.blob import ContainerClient

        text, container = os.environ["AZURE_STORAGE_CONNECTION_STRING"], target.split("/")[2]
        ContainerClient.from_connection_string(text, container).upload_blob(f"fleet/{name}", b"theirs")
    else:
        place = open_folder(target).root / name
        place.parent.mkdir(parents=True)
        place.write_bytes(b"theirs")
    with pytest.raises(InputError, match="another run has written this meanwhile"):
        one.run(planned, lambda step: None)
    assert copied(push(workspace, target))[2] == 1


def rows(target, layer="03_primary/windows"):
    return RowTable(open_folder(target).below(layer), "timestamp").read().num_rows


@pytest.mark.parametrize("layers", [("readings",), ("windows",), ("readings", "windows")])
def test_chosen_layers_are_copied_and_what_is_added_later(workspace, target, layers):
    counts = push(workspace, target, files_of_layers(workspace, layers))
    # Three commits and their files, and the table's own first one.
    assert copied(counts) == (7 * len(layers), 0, 0)
    assert [rows(target, LAYERS[layer]) for layer in layers] == [3] * len(layers)
    table(workspace.root, LAYERS[layers[0]]).add(make_readings([9], [1.0]))
    assert copied(push(workspace, target, files_of_layers(workspace, layers))) == (2, 7 * len(layers), 0)
    assert rows(target, LAYERS[layers[0]]) == 4


def test_a_table_with_commits_of_its_own_there_is_kept_whole(workspace, target):
    push(workspace, target, files_of_layers(workspace, ["windows"]))
    there = RowTable(open_folder(target).below("03_primary/windows"), "timestamp")
    mine = [[make_readings([5], [2.0])]]
    there.commit(Change(READINGS, mine))
    assert push(workspace, target, files_of_layers(workspace, ["windows"])).kept == ()
    table(workspace.root, "03_primary/windows").add(make_readings([9], [1.0]), make_readings([8], [1.0]))
    groups = files_of_layers(workspace, ["windows"])
    counts = push(workspace, target, groups)
    assert (counts.copied, rows(target)) == (0, 4)
    assert counts.kept
    there.latest().commit(Change(READINGS, mine))
    with pytest.raises(InputError, match=r"03_primary/windows: this table has commits of its own; delete it"):
        push(workspace, target, groups, force=True)
    assert rows(target) == 5


def test_interrupted_it_goes_on_where_it_was(workspace, target):
    groups = files_of_layers(workspace, ("readings", "windows"))
    seen = []

    def stop(step):
        seen.append(step)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(workspace, target, groups, progress=stop)
    there = len(open_folder(target).entries())
    assert there >= 4
    assert copied(push(workspace, target, groups)) == (14 - there, there, 0)
    assert rows(target) == 3


def test_a_damaged_model_is_not_pushed(workspace, target):
    table = next((workspace.root / PUBLISHED).glob("pressure/*.arrow"))
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    with pytest.raises(InputError, match="pressure"):
        push(workspace, target)
    assert open_folder(target).entries() == []


def test_a_workspace_without_models_or_layers_is_named(tmp_path):
    with pytest.raises(InputError, match="there are no published models; train some"):
        files_of_models(LocalFolder(tmp_path))
    with pytest.raises(InputError, match="there are no windows; name the workspace"):
        files_of_layers(LocalFolder(tmp_path), ["windows"])


def run(*given):
    from pathlib import Path

    bootstrap_project(Path(__file__).parents[2])
    return CliRunner().invoke(cli, ["deploy", *given])


def test_the_command_says_what_it_copied(workspace, tmp_path):
    where = ("--from", str(workspace.root), "--to", str(tmp_path / "cloud"))
    planned = run("models", "push", *where, "--dry-run")
    assert planned.output.splitlines()[-1].startswith("would be copied: 4 files, ")
    assert not (tmp_path / "cloud").exists()
    done = run("models", "push", *where)
    assert done.output.splitlines()[-1].endswith("bytes; there already: 0; changed there and kept: 0")
    assert run("data", "push", *where, "--layer", "windows").output.startswith("copied: 7 files, ")


def test_what_was_kept_is_an_error(workspace, tmp_path):
    where = ("--from", str(workspace.root), "--to", str(tmp_path / "cloud"))
    publish(tmp_path / "cloud" / PUBLISHED, make_model("pressure", seed=3), "7", "cloud", "h")
    done = run("models", "push", *where)
    assert done.exit_code == 1
    assert "pressure/manifest.json: changed there meanwhile, and kept; look at which is right" in done.output
