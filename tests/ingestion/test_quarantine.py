"""The quarantine holds the refused rows of each source once, those of its latest reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batch_scoring.storage.row_table import RowTable
from tests.pipelines.ingest.ingestion import Store, row, write_csv
from tests.pipelines.ingest.test_events import land, reading

pytestmark = pytest.mark.slow


def refused(store: Store) -> list[tuple[str, int]]:
    return [(one["source"], one["row"]) for one in store.quarantine()]


def test_only_the_rows_of_the_sources_read_again_are_replaced(store: Store, tmp_path: Path):
    raw = tmp_path / "raw"
    for name in ("a.csv", "a.csv.gz", "a.csv: b.csv", "b.csv"):
        write_csv(raw / name, row(0, value="x"), row(1, value="y"))
    store.ingest(raw)
    assert len(refused(store)) == 8
    write_csv(raw / "a.csv", row(0, value="x"))
    store.ingest(raw)
    others = [(name, n) for name in ("a.csv.gz", "a.csv: b.csv", "b.csv") for n in (2, 3)]
    assert sorted(refused(store)) == sorted([("a.csv", 2), *others])


def test_the_refused_events_of_a_file_are_replaced_with_it(store: Store, tmp_path: Path):
    good, bad = [json.dumps(reading(n)) for n in range(3)], json.dumps(reading(1, "x"))
    land(tmp_path / "raw", good[0], bad, bad)
    land(tmp_path / "raw", bad, partition="4")
    store.ingest(tmp_path / "raw")
    assert [one["source"].rpartition("/")[2][:7] for one in store.quarantine()] == ["3_100_1"] * 2 + [
        "4_100_1"
    ]
    land(tmp_path / "raw", good[0], bad, good[2])
    store.ingest(tmp_path / "raw")
    sources = [source for source, _ in refused(store)]
    assert sources == [
        "3_100_102.events.parquet: partition 3, offset 101000, sequence number 101",
        "4_100_100.events.parquet: partition 4, offset 100000, sequence number 100",
    ]
    land(tmp_path / "raw", *good)
    store.ingest(tmp_path / "raw")
    assert [source[:1] for source, _ in refused(store)] == ["4"]


def test_nothing_refused_commits_nothing(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0)))
    assert not store.quarantine_set.exists()
    store.ingest(write_csv(tmp_path / "2.csv", row(1, value="x")))
    version = store.quarantine_set.load().version
    store.ingest(write_csv(tmp_path / "3.csv", row(2)))
    assert store.quarantine_set.load().version == version


def test_only_files_that_may_hold_the_sources_are_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for hour in range(5):
        store.ingest(write_csv(tmp_path / "raw" / f"{hour}.csv", row(hour, value="x"), row(hour)))
    read = []
    batches = RowTable.batches

    def noted(self: RowTable, file, *arguments):
        if self.folder.path().endswith("quarantine"):
            read.append(file.bounds.get("source"))
        return batches(self, file, *arguments)

    monkeypatch.setattr(RowTable, "batches", noted)
    write_csv(tmp_path / "raw" / "3.csv", row(3))
    store.ingest(tmp_path / "raw" / "3.csv")
    assert set(read) == {("3.csv", "3.csv")}
    assert [source for source, _ in refused(store)] == ["0.csv", "1.csv", "2.csv", "4.csv"]
