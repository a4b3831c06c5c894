"""What the scoring jobs find: a manifest whose table is there and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import ROW_GROUP_DEVICES
from batch_scoring.registry import published as publishing
from batch_scoring.registry.published import (
    list_published,
    load_published,
    pin,
    publish,
    published_as,
    read_manifest,
)
from tests.fleet_models import in_file, make_model, sensor_folder

WEIRD = ["Pumpe №7/Süd", "../../etc/x", ".hidden", "a:b", "a%2Fb"]


def publish_one(root: Path, sensor: str = "vibration", version: str = "1", seed: int = 0):
    return publish(root, make_model(sensor, seed=seed), version, "run", f"fingerprint {seed}")


def test_a_file_a_path_and_models_are_published_as_the_same_bytes(tmp_path):
    model = make_model()
    file = in_file(model)

    tables = set()
    for place, models in enumerate((file, file.path, model)):
        manifest = publish(tmp_path / str(place), models, "1", "run", "f")
        tables.add((sensor_folder(tmp_path / str(place), "vibration") / manifest.file).read_bytes())

    assert tables == {file.path.read_bytes()}


@pytest.mark.slow
def test_row_groups_are_small_enough_to_stream(tmp_path):
    publish(tmp_path, make_model(devices=[f"d{i:04}" for i in range(ROW_GROUP_DEVICES + 1)]), "1", "run", "f")

    file = pa.ipc.open_file(next(tmp_path.glob("*/*.arrow")).read_bytes())

    assert [file.get_batch(i).num_rows for i in range(file.num_record_batches)] == [ROW_GROUP_DEVICES, 1]


@pytest.mark.parametrize("sensor", WEIRD)
def test_any_sensor_is_published_below_the_root_and_found_again(tmp_path, sensor):
    root = tmp_path / "deep" / "root"

    publish_one(root, sensor)

    assert list_published(root) == [sensor]
    assert load_published(root, sensor).models.read().info.sensor == sensor
    assert {path.parent.parent for path in tmp_path.rglob("*.*") if path.is_file()} == {root}


def test_a_pinned_model_is_the_one_that_was_the_champion_then(tmp_path):
    publish_one(tmp_path, "s", version="1")
    pinned = pin(tmp_path, "s")
    publish_one(tmp_path, "s", version="2")
    assert load_published(tmp_path, "s").manifest.version == "2"
    assert load_published(tmp_path, "s", pinned).manifest.version == "1"
    assert pin(tmp_path, "s") != pinned
    assert list_published(tmp_path) == ["s"]


def test_what_an_earlier_version_of_the_project_published_can_be_pinned(tmp_path):
    publish_one(tmp_path, "s")
    for file in sensor_folder(tmp_path, "s").glob("*-*.json"):
        file.unlink()
    assert load_published(tmp_path, "s", pin(tmp_path, "s")).manifest.version == "1"


def test_sensors_are_listed_in_the_order_of_their_bytes(tmp_path):
    for sensor in ("ä", "b", "Z", "a/b"):
        publish_one(tmp_path, sensor)

    assert list_published(tmp_path) == ["Z", "a/b", "b", "ä"]
    assert list_published(tmp_path / "nothing") == []


def test_sensors_that_differ_in_the_case_of_letters_have_folders_that_do_not(tmp_path):
    for sensor in ("temp", "Temp", "TEMP"):
        publish_one(tmp_path, sensor)

    folders = {path.name.casefold() for path in tmp_path.iterdir()}
    assert folders == {"temp", "temp+1", "temp+f"}
    assert list_published(tmp_path) == ["TEMP", "Temp", "temp"]


def test_what_an_earlier_version_published_under_another_name_is_found_and_replaced_there(tmp_path):
    publish_one(tmp_path, "Temp", version="1")
    sensor_folder(tmp_path, "Temp").rename(tmp_path / "Temp")

    publish_one(tmp_path, "Temp", version="2")

    assert [path.name for path in tmp_path.iterdir()] == ["Temp"]
    assert load_published(tmp_path, "Temp").manifest.version == "2"
    assert list_published(tmp_path) == ["Temp"]


def test_the_manifest_tells_what_is_scored_and_is_written_in_one_order(tmp_path):
    manifest = publish_one(tmp_path, version="7")

    text = (sensor_folder(tmp_path, "vibration") / "manifest.json").read_text()

    assert read_manifest(tmp_path, "vibration") == manifest
    assert (manifest.version, manifest.n_models, manifest.features) == ("7", 2, ("mean", "std"))
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert manifest.file == f"{manifest.sha256[:16]}.arrow"


def test_publishing_the_same_again_writes_nothing(tmp_path):
    publish_one(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    publish_one(tmp_path)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_reader_of_the_older_manifest_still_finds_its_table(tmp_path):
    old = publish_one(tmp_path, seed=1)

    new = publish_one(tmp_path, version="2", seed=2)

    assert old.file != new.file
    assert (sensor_folder(tmp_path, "vibration") / old.file).is_file()


@pytest.mark.parametrize("killed_at", [0, 1])
def test_a_publishing_that_was_killed_leaves_the_former_model_in_force(tmp_path, monkeypatch, killed_at):
    publish_one(tmp_path, seed=1)
    replaced, real = [], os.replace

    def replace(source, target):
        if len(replaced) == killed_at:
            raise KeyboardInterrupt
        replaced.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        publish_one(tmp_path, version="2", seed=2)
    monkeypatch.undo()

    assert load_published(tmp_path, "vibration").manifest.version == "1"
    assert publish_one(tmp_path, version="2", seed=2) == load_published(tmp_path, "vibration").manifest


def test_a_damaged_table_is_told_and_not_scored(tmp_path):
    manifest = publish_one(tmp_path)
    table = sensor_folder(tmp_path, "vibration") / manifest.file
    table.write_bytes(table.read_bytes()[:-1] + b"x")

    with pytest.raises(InputError, match=r"is damaged.*kedro models promote vibration 1"):
        load_published(tmp_path, "vibration")
    assert published_as(tmp_path, "vibration", "1", "run") is None


@pytest.mark.slow
def test_no_bit_of_a_table_can_turn_without_being_told_where_it_matters(tmp_path):
    model = make_model(devices=[f"d{i:02}" for i in range(20)], seed=3)
    manifest = publish(tmp_path, model, "1", "run", "f")
    table = sensor_folder(tmp_path, "vibration") / manifest.file
    whole = table.read_bytes()
    told = 0
    for place in range(0, len(whole), 7):
        turned = bytearray(whole)
        turned[place] ^= 1 << place % 8
        table.write_bytes(turned)
        try:
            published = load_published(tmp_path, "vibration")
            # Between the columns there are bytes that nobody reads.
            assert published.models.read().table.equals(model.table)
            with pytest.raises(InputError, match="SHA-256"):
                published.verify()
        except InputError as error:
            assert "is damaged" in str(error)
            assert "kedro models promote" in str(error)
            told += 1
    assert told > 0.8 * len(range(0, len(whole), 7))


def test_a_whole_table_in_the_place_of_another_one_is_told(tmp_path):
    first, second = publish_one(tmp_path, seed=1), publish_one(tmp_path, version="2", seed=2)
    folder = sensor_folder(tmp_path, "vibration")
    (folder / second.file).write_bytes((folder / first.file).read_bytes())

    with pytest.raises(InputError, match="it holds other models"):
        load_published(tmp_path, "vibration")


def test_a_missing_table_is_told(tmp_path):
    (sensor_folder(tmp_path, "vibration") / publish_one(tmp_path).file).unlink()

    with pytest.raises(InputError, match="the published table of sensor 'vibration' is missing"):
        load_published(tmp_path, "vibration")


def test_a_sensor_that_was_never_published_is_told(tmp_path):
    with pytest.raises(InputError, match="sensor 'x' has no published model"):
        read_manifest(tmp_path, "x")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format_version": 1}', '{"format_version": 1, "x": 2}']
)
def test_a_broken_manifest_is_told(tmp_path, text):
    publish_one(tmp_path)
    (sensor_folder(tmp_path, "vibration") / "manifest.json").write_text(text)

    with pytest.raises(InputError, match="not a readable manifest"):
        read_manifest(tmp_path, "vibration")


@pytest.mark.parametrize("entry", ["version", "run_id", "file", "n_models", "own_sha256"])
def test_a_manifest_that_was_altered_is_not_believed(tmp_path, entry):
    publish_one(tmp_path)
    path = sensor_folder(tmp_path, "vibration") / "manifest.json"
    values = json.loads(path.read_text())
    values[entry] = 99 if entry == "n_models" else "99"
    path.write_text(json.dumps(values))

    with pytest.raises(InputError, match=r"manifest\.json.*own_sha256"):
        read_manifest(tmp_path, "vibration")


def test_a_manifest_of_an_earlier_version_of_the_project_is_read(tmp_path):
    publish_one(tmp_path)
    path = sensor_folder(tmp_path, "vibration") / "manifest.json"
    values = json.loads(path.read_text())
    del values["own_sha256"]
    path.write_text(json.dumps(values))

    assert read_manifest(tmp_path, "vibration").version == values["version"]


def test_a_manifest_of_another_sensor_or_a_newer_format_is_refused(tmp_path):
    publish_one(tmp_path)
    path = sensor_folder(tmp_path, "vibration") / "manifest.json"
    values = json.loads(path.read_text())

    publish(tmp_path, make_model("noise"), "1", "run", "fingerprint")
    path.write_bytes((sensor_folder(tmp_path, "noise") / "manifest.json").read_bytes())
    with pytest.raises(InputError, match="is of sensor 'noise', expected 'vibration'"):
        read_manifest(tmp_path, "vibration")

    path.write_text(json.dumps(values | {"format_version": publishing.MANIFEST_FORMAT + 1}))
    with pytest.raises(InputError, match="upgrade batch_scoring"):
        read_manifest(tmp_path, "vibration")


def test_a_damaged_table_is_published_anew(tmp_path):
    table = sensor_folder(tmp_path, "vibration") / publish_one(tmp_path).file
    whole = table.read_bytes()
    for damaged in (whole[:100] + b"x" + whole[101:], b"not Arrow"):
        table.write_bytes(damaged)
        publish_one(tmp_path)
        assert table.read_bytes() == whole


def test_a_file_that_is_no_fleet_model_is_not_published(tmp_path):
    (tmp_path / "x.arrow").write_bytes(b"not Arrow")
    with pytest.raises(InputError, match="not a fleet model"):
        publish(tmp_path / "published", tmp_path / "x.arrow", "1", "run", "f")
    assert list_published(tmp_path / "published") == []


def test_published_as_tells_only_that_very_version(tmp_path):
    manifest = publish_one(tmp_path, version="3")

    assert published_as(tmp_path, "vibration", "3", "run") == manifest
    assert published_as(tmp_path, "vibration", "3", "another run") is None
    assert published_as(tmp_path, "vibration", "4", "run") is None
