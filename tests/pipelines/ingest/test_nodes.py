"""What is stored of files, and where; a file that cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.core.errors import InputError
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_lines,
    write_parquet,
)
from tests.real_data import ASD, REFERENCE

REFERENCE_READINGS = REFERENCE / "sensor_data.csv"


ASD_READINGS = ASD / "readings.parquet"


def test_readings_are_stored_by_sensor_and_day_sorted_by_device_and_time(store: Store, tmp_path: Path):
    rows = [row(1, "d2"), row(1440, "d1"), row(0, "d2"), row(0, "d1", "a/b", 2.5), row(0, "d1", value=-3)]
    counts = store.ingest(write_csv(tmp_path / "raw.csv", *rows))
    assert sorted(store.readings_set.load()) == ["a%2Fb/2026-01-05", "s/2026-01-05", "s/2026-01-06"]
    assert store.readings() == [
        ("2026-01-05T00:00:00.000000", "d1", "a/b", 2.5),
        ("2026-01-05T00:00:00.000000", "d1", "s", -3.0),
        ("2026-01-05T00:00:00.000000", "d2", "s", 1.0),
        ("2026-01-05T00:01:00.000000", "d2", "s", 1.0),
        ("2026-01-06T00:00:00.000000", "d1", "s", 1.0),
    ]
    assert counts.pop("shortfalls") == []
    assert counts == {"sources": 1, "rows": 5, "stored": 5, "already_stored": 0, "refused": {}}


def test_devices_are_sorted_as_utf8_bytes(store: Store, tmp_path: Path):
    devices = ["Z", "a", "ä", "€", "😀", "d10", "d2"]
    store.ingest(write_csv(tmp_path / "raw.csv", *(row(0, device) for device in devices)))
    assert [r[1] for r in store.readings()] == sorted(devices, key=str.encode)


def test_one_broken_file_is_named_and_nothing_is_recorded(store: Store, tmp_path: Path):
    write_csv(tmp_path / "raw" / "a.csv", row(0))
    whole = write_parquet(
        tmp_path / "raw" / "b.parquet", timestamp=[1], device=["d"], sensor=["s"], value=[1.0]
    )
    whole.write_bytes(whole.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"b\.parquet: cannot be read"):
        store.ingest(tmp_path / "raw")
    assert store.files() == {}


@pytest.mark.parametrize("lines", [[], ["timestamp,device,sensor,value"]], ids=["empty", "header only"])
def test_a_file_without_rows_is_recorded_with_none(store: Store, tmp_path: Path, lines: list[str]):
    source = write_lines(tmp_path / "a.csv", lines)
    assert store.ingest(source)["rows"] == 0
    assert store.ledger()[0]["rows"] == 0
    assert store.ingest(source)["sources"] == 0


def test_the_ledger_counts_what_became_of_a_file(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "a.csv", row(0), row(0), row(1), row(2, value="x")))
    (page,) = store.ledger()
    assert (page["source"], page["rows"], page["accepted"], page["refused"]) == ("a.csv", 4, 2, 2)


def test_the_2018_reference_is_taken_unchanged(store: Store):
    if not REFERENCE_READINGS.exists():
        pytest.skip(f"{REFERENCE_READINGS} is not here")
    counts = store.ingest(REFERENCE_READINGS)
    assert (counts["rows"], counts["stored"]) == (17_768, 17_768)
    assert store.readings()[0] == ("2018-08-28T23:00:05.000000", "1", "1", 10.16)


@pytest.mark.slow
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
