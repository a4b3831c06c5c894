"""What the scoring jobs find: a manifest whose table is there and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scoring import publishing
from batch_scoring.fleet.errors import InputError
from batch_scoring.publishing import (
    decode_model,
    encode_model,
    list_published,
    load_published,
    publish,
    published_as,
    read_manifest,
    sensor_folder,
)
from tests.fleet_models import make_model

WEIRD = ["Pumpe №7/Süd", "../../etc/x", ".hidden", "a:b", "a%2Fb"]


def publish_one(root: Path, sensor: str = "vibration", version: str = "1", seed: int = 0):
    return publish(root, make_model(sensor, seed=seed), version, "run", f"fingerprint {seed}")


@settings(deadline=None, max_examples=50)
@given(devices=st.sets(st.text(max_size=8), max_size=5), seed=st.integers(0, 1000))
def test_a_model_comes_back_as_it_was_and_always_gives_the_same_bytes(devices, seed):
    devices = {d for d in devices if d.isprintable()}
    model = make_model(devices=sorted(devices), seed=seed)

    data = encode_model(model)

    assert decode_model(data).table.equals(model.table)
    assert decode_model(data).info == model.info
    assert encode_model(decode_model(data)).equals(data)


def test_row_groups_are_small_enough_to_stream(tmp_path):
    publish(tmp_path, make_model(devices=[f"d{i:04}" for i in range(1025)]), "1", "run", "f")

    file = pq.ParquetFile(next(tmp_path.glob("*/*.parquet")))

    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [1024, 1]


@pytest.mark.parametrize("sensor", WEIRD)
def test_any_sensor_is_published_below_the_root_and_found_again(tmp_path, sensor):
    root = tmp_path / "deep" / "root"

    publish_one(root, sensor)

    assert list_published(root) == [sensor]
    assert load_published(root, sensor).model.info.sensor == sensor
    assert [path.parent.parent for path in tmp_path.rglob("*.*") if path.is_file()] == [root] * 2


def test_sensors_are_listed_in_the_order_of_their_bytes(tmp_path):
    for sensor in ("ä", "b", "Z", "a/b"):
        publish_one(tmp_path, sensor)

    assert list_published(tmp_path) == ["Z", "a/b", "b", "ä"]
    assert list_published(tmp_path / "nothing") == []


def test_the_manifest_tells_what_is_scored_and_is_written_in_one_order(tmp_path):
    manifest = publish_one(tmp_path, version="7")

    text = (sensor_folder(tmp_path, "vibration") / "manifest.json").read_text()

    assert read_manifest(tmp_path, "vibration") == manifest
    assert (manifest.version, manifest.n_models, manifest.features) == ("7", 2, ("mean", "std"))
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert manifest.file == f"{manifest.sha256[:16]}.parquet"


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


def test_a_manifest_of_another_sensor_or_a_newer_format_is_refused(tmp_path):
    publish_one(tmp_path)
    path = sensor_folder(tmp_path, "vibration") / "manifest.json"
    values = json.loads(path.read_text())

    path.write_text(json.dumps(values | {"sensor": "noise"}))
    with pytest.raises(InputError, match="is of sensor 'noise', expected 'vibration'"):
        read_manifest(tmp_path, "vibration")

    path.write_text(json.dumps(values | {"format_version": publishing.MANIFEST_FORMAT + 1}))
    with pytest.raises(InputError, match="upgrade batch_scoring"):
        read_manifest(tmp_path, "vibration")


def test_bytes_that_are_no_fleet_model_are_told():
    with pytest.raises(InputError, match="not a fleet model"):
        decode_model(b"not Parquet")


def test_published_as_tells_only_that_very_version(tmp_path):
    manifest = publish_one(tmp_path, version="3")

    assert published_as(tmp_path, "vibration", "3", "run") == manifest
    assert published_as(tmp_path, "vibration", "3", "another run") is None
    assert published_as(tmp_path, "vibration", "4", "run") is None
