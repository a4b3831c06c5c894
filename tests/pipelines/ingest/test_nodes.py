"""What is stored of files, and where; a file that cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.summary import no_counts
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_lines,
    write_parquet,
)
from tests.real_data import ASD, REFERENCE

pytestmark = pytest.mark.slow

REFERENCE_READINGS = REFERENCE / "sensor_data.csv"


ASD_READINGS = ASD / "readings.parquet"


def test_readings_are_stored_by_day_sorted_by_sensor_device_and_time(store: Store, tmp_path: Path):
    rows = [row(1, "d2"), row(1440, "d1"), row(0, "d2"), row(0, "d1", "a/b", 2.5), row(0, "d1", value=-3)]
    counts = store.ingest(write_csv(tmp_path / "raw.csv", *rows))
    table = store.readings_set.load()
    assert [(str(file.day), file.rows) for file in table.files()] == [("2026-01-05", 4), ("2026-01-06", 1)]
    stored = table.read().to_pylist()
    assert [(f"{time:%Y-%m-%dT%H:%M:%S.%f}", *rest) for time, *rest in (one.values() for one in stored)] == [
        ("2026-01-05T00:00:00.000000", "d1", "a/b", 2.5),
        ("2026-01-05T00:00:00.000000", "d1", "s", -3.0),
        ("2026-01-05T00:00:00.000000", "d2", "s", 1.0),
        ("2026-01-05T00:01:00.000000", "d2", "s", 1.0),
        ("2026-01-06T00:00:00.000000", "d1", "s", 1.0),
    ]
    assert counts == no_counts(1) | {"rows": 5, "stored": 5}


def test_devices_are_sorted_as_utf8_bytes(store: Store, tmp_path: Path):
    devices = ["Z", "a", "ä", "€", "😀", "d10", "d2"]
    store.ingest(write_csv(tmp_path / "raw.csv", *(row(0, device) for device in devices)))
    stored = store.readings_set.load().read()["device"].to_pylist()
    assert stored == sorted(devices, key=str.encode)


def broken_files(folder: Path) -> list[str]:
    """Files that cannot be read, each for a reason of its own; their names."""
    rows = {"timestamp": [1], "device": ["d"], "sensor": ["s"], "value": [1.0]}
    whole = write_parquet(folder / "cut.parquet", **rows)
    whole.write_bytes(whole.read_bytes()[:-20])
    packed = write_csv(folder / "cut.csv.gz", *(row(n) for n in range(500)))
    packed.write_bytes(packed.read_bytes()[:-20])
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 20)
    (folder / "latin.csv").write_bytes("timestamp,device,sensor,value\n2026-01-05,Süd,s,1\n".encode("latin1"))
    write_csv(folder / "columns.csv", "1,2", header="a,b")
    (folder / "array.json").write_text('[{"timestamp": 1, "device"')
    (folder / "wrong.avro").write_bytes(b"Obj")
    return [
        "array.json",
        "binary.csv",
        "columns.csv",
        "cut.csv.gz",
        "cut.parquet",
        "latin.csv",
        "wrong.avro",
    ]


def test_files_that_cannot_be_read_are_named_and_the_others_stored(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    bad = broken_files(raw)
    write_csv(raw / "a.csv", row(0))
    write_csv(raw / "z.csv", row(1), row(2, value="x"))
    write_parquet(raw / "m.parquet", timestamp=["2026-01-05"], device=["d"], sensor=["s"], value=[1.0])
    counts = store.ingest(raw)
    assert sorted(text.partition(":")[0].rpartition("/")[2] for text in counts["shortfalls"]) == bad
    assert (counts["sources"], counts["rows"], counts["stored"]) == (3 + len(bad), 4, 3)
    assert [one["source"] for one in store.sources() if one["state"] == "read"] == [
        "a.csv",
        "m.parquet",
        "z.csv",
    ]
    refused = {one["source"]: one for one in store.sources() if one["state"] == "refused"}
    assert sorted(refused) == bad
    assert refused["columns.csv"]["first_text"] == "a,b"
    assert "no column for the timestamp" in refused["columns.csv"]["reason"]
    assert {one["rows"] for one in refused.values()} == {0}
    assert len(store.readings()) == 3
    again = store.ingest(raw)
    assert len(again["shortfalls"]) == len(bad), "until they are mended or removed"
    assert again["stored"] == again["already_stored"] == 0
    for name in bad:
        write_csv(raw / "b.csv", row(3)).rename(raw / name) if name.endswith(".csv") else (
            raw / name
        ).unlink()
    assert store.ingest(raw)["shortfalls"] == []


@pytest.mark.parametrize("which", range(7))
def test_where_nothing_can_be_read_and_nothing_is_known_the_run_ends(
    store: Store, tmp_path: Path, which: int
):
    name = broken_files(tmp_path / "all")[which]
    (tmp_path / "raw").mkdir()
    (tmp_path / "all" / name).rename(tmp_path / "raw" / name)
    with pytest.raises(InputError, match=name):
        store.ingest(tmp_path / "raw")
    assert store.files() == {}


def test_a_single_broken_file_beside_known_ones_does_not_end_the_run_at_once(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0))
    store.ingest(tmp_path / "raw")
    before = store.readings()
    (tmp_path / "raw" / "b.parquet").write_bytes(b"no Parquet")
    (shortfall,) = store.ingest(tmp_path / "raw")["shortfalls"]
    assert "b.parquet: cannot be read" in shortfall
    assert store.readings() == before


def test_a_damaged_stored_file_is_named_and_nothing_is_changed(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", *(row(n, value=n * 1.7) for n in range(500))))
    (path,) = (store.root / "readings").rglob("date=*/*.parquet")
    data = bytearray(path.read_bytes())
    times = pq.read_metadata(path).row_group(0).column(0)
    data[times.data_page_offset + times.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    before = store.files()
    with pytest.raises(InputError, match=r"rows-.*\.parquet: damaged .*; restore it from a backup"):
        store.ingest(write_csv(tmp_path / "2.csv", row(0), row(700)))
    path.unlink()
    with pytest.raises(InputError, match=r"rows-.*\.parquet: this file of a table is gone; restore it"):
        store.ingest(write_csv(tmp_path / "2.csv", row(0), row(700)))
    assert store.files() | {str(path.relative_to(store.root)): bytes(data)} == before


@pytest.mark.parametrize("lines", [[], ["timestamp,device,sensor,value"]], ids=["empty", "header only"])
def test_a_file_without_rows_is_recorded_with_none(store: Store, tmp_path: Path, lines: list[str]):
    source = write_lines(tmp_path / "a.csv", lines)
    assert store.ingest(source)["rows"] == 0
    assert store.sources()[0]["rows"] == 0
    assert store.ingest(source)["sources"] == 0


def test_the_sources_count_what_became_of_a_file(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "a.csv", row(0), row(0), row(1), row(2, value="x")))
    (source,) = store.sources()
    assert (source["source"], source["rows"], source["accepted"], source["refused"]) == ("a.csv", 4, 2, 2)


def test_the_2018_reference_is_taken_unchanged(store: Store):
    if not REFERENCE_READINGS.exists():
        pytest.skip(f"{REFERENCE_READINGS} is not here")
    counts = store.ingest(REFERENCE_READINGS)
    assert (counts["rows"], counts["stored"]) == (17_768, 17_768)
    assert store.readings()[0] == ("2018-08-28T23:00:05.000000", "1", "1", 10.16)


def test_the_application_server_dataset_is_taken_unchanged(store: Store):
    if not ASD_READINGS.exists():
        pytest.skip(f"{ASD_READINGS} is not here")
    counts = store.ingest(ASD_READINGS)
    assert counts["stored"] == counts["rows"] == pq.read_metadata(ASD_READINGS).num_rows


def test_json_and_parquet_and_csv_may_lie_in_one_folder(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    write_csv(raw / "a.csv", row(0))
    write_json_lines(raw / "b.jsonl", {"ts": "2026-01-05T00:01:00Z", "Device": "d1", "tag": "s", "VALUE": 1})
    time = pa.array([1767571320], pa.int64())
    write_parquet(raw / "deep" / "c.parquet", time=time, device_id=["d1"], metric=["s"], reading=[1])
    assert store.ingest(raw)["stored"] == 3
    assert [r[0][14:16] for r in store.readings()] == ["00", "01", "02"]
