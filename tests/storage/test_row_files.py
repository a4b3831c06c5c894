"""Rows become files of their days, in bounded memory, with statistics by which other programs skip them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scoring.storage import open_folder, row_files
from batch_scoring.storage.row_files import RowFiles, has_sparse_days
from batch_scoring.tables.schemas import READINGS
from tests.row_tables import devices, parquet_files, readings

DAY = 1440


@pytest.fixture
def files(tmp_path: Path) -> RowFiles:
    return RowFiles(open_folder(tmp_path), READINGS, "timestamp")


def test_rows_that_jump_between_days_are_in_their_order_in_few_row_groups(
    files: RowFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(row_files, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(row_files, "_MAX_HELD_ROWS", 12)
    rows = [(n % 3 * DAY + n, f"d{n:03}", n) for n in range(95)]
    files.write(readings(*rows[start : start + 7]) for start in range(0, 95, 7))
    assert [file.stats["numRecords"] for file in files.written] == [32, 32, 31]
    for day, file in enumerate(sorted(files.written, key=lambda one: one.name)):
        opened = pq.ParquetFile(tmp_path / file.name)
        assert devices(opened.read()) == [f"d{n:03}" for n in range(95) if n % 3 == day]
        sizes = [opened.metadata.row_group(n).num_rows for n in range(opened.num_row_groups)]
        assert max(sizes) <= 10
        assert opened.num_row_groups <= 12
        assert file.size == (tmp_path / file.name).stat().st_size


def test_whole_row_groups_do_not_depend_on_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_files, "ROW_GROUP_ROWS", 10)
    rows = readings(*((n, "d", n) for n in range(47)))
    found = []
    for size in (1, 9, 10, 47):
        files = RowFiles(open_folder(tmp_path / str(size)), READINGS, "timestamp")
        files.write(rows.slice(start, size) for start in range(0, 47, size))
        (file,) = files.written
        found.append((tmp_path / str(size) / file.name).read_bytes())
    assert len(set(found)) == 1


def test_a_page_that_reads_one_device_reads_few_rows_of_others(files: RowFiles, tmp_path: Path):
    n = 40_000
    rows = readings((0, "a", 1)).take(pa.array(np.zeros(n, np.int64)))
    files.write([rows])
    footer = pq.ParquetFile(tmp_path / files.written[0].name).metadata
    sizes = [footer.row_group(place).num_rows for place in range(footer.num_row_groups)]
    assert sum(sizes) == n
    assert max(sizes) <= 16_384


def test_a_row_group_ends_with_its_sensor_unless_it_would_be_tiny(
    files: RowFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(row_files, "ROW_GROUP_ROWS", 12)
    files.write([readings(*((n, "d", sensor, n) for sensor in ("s", "t", "u") for n in range(14)))])
    opened = pq.ParquetFile(tmp_path / files.written[0].name)
    groups = [opened.read_row_group(place)["sensor"].to_pylist() for place in range(opened.num_row_groups)]
    # The end of s is too short for a group of its own.
    assert [(one.count("s"), one.count("t"), one.count("u")) for one in groups] == [
        *((12, 0, 0), (2, 10, 0), (0, 4, 0)),
        *((0, 0, 12), (0, 0, 2)),
    ]


def test_batches_of_records_and_empty_ones_are_taken(files: RowFiles):
    files.write([*readings((0, "a", 1), (1, "b", 2)).to_batches(), readings(), readings((2, "c", 3))])
    assert [file.stats["numRecords"] for file in files.written] == [3]


def test_no_rows_are_no_file(files: RowFiles, tmp_path: Path):
    files.write([readings(), readings()])
    assert files.written == []
    assert list(tmp_path.iterdir()) == []


def test_statistics_bound_times_and_texts(files: RowFiles):
    files.write([readings((0.5, "ü", 1), (3, "a", 2))])
    stats = files.written[0].stats
    assert stats["numRecords"] == 2
    assert stats["minValues"] == {"timestamp": "2026-01-05T00:00:30.000000Z", "device": "a", "sensor": "s"}
    assert stats["maxValues"] == {"timestamp": "2026-01-05T00:03:00.000000Z", "device": "ü", "sensor": "s"}


def test_a_column_of_long_texts_or_of_nothing_but_nulls_has_no_bounds(tmp_path: Path):
    schema = pa.schema([("long", pa.string()), ("null", pa.string()), ("some", pa.string())])
    files = RowFiles(open_folder(tmp_path), schema, None)
    columns = {"long": ["a", "x" * 257], "null": [None, None], "some": ["m", None]}
    files.write([pa.table(columns, schema=schema)])
    (file,) = files.written
    assert (file.day, file.stats["minValues"], file.stats["maxValues"]) == (
        None,
        {"some": "m"},
        {"some": "m"},
    )


def test_pages_have_checksums(files: RowFiles, tmp_path: Path):
    files.write([readings(*((n, "d", n * 0.7) for n in range(100)))])
    path = tmp_path / files.written[0].name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"CRC checksum verification failed"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_what_is_discarded_is_gone_with_its_partial_files(files: RowFiles, tmp_path: Path):
    def failing():
        yield readings((0, "a", 1), (DAY, "b", 2))
        raise RuntimeError

    files.write([readings((0, "a", 1))])
    with pytest.raises(RuntimeError):
        files.write(failing())
    files.discard()
    assert parquet_files(tmp_path) == []


@pytest.mark.parametrize(
    ("days", "rows", "is_sparse"),
    [(1, 1, False), (62, 62, False), (63, 63, True), (63, 63 * 20_000, False), (365, 365 * 288 * 10, True)],
)
def test_a_day_of_few_rows_among_many_is_sparse(days: int, rows: int, is_sparse: bool):
    assert has_sparse_days(days, rows) == is_sparse
