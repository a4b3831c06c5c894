"""Rows of a table are found by sensor and device without reading more than needed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.storage import table_rows
from tests.factories import DAY_US, START_US, make_windows
from tests.tables_on_disk import TableOnDisk


def windows(sensor, devices=("a", "b"), day=0, n=3):
    names = [device for device in devices for _ in range(n)]
    return make_windows(np.ones((len(names), 1)), names, sensor, start_us=START_US + day * DAY_US)


@pytest.fixture
def table(tmp_path):
    return TableOnDisk(tmp_path / "windows", "window_start")


@pytest.fixture
def opened(monkeypatch):
    """The files that were opened."""
    names = []
    real = table_rows.open_parquet

    def noted(folder, name, *how):
        names.append(name)
        return real(folder, name, *how)

    monkeypatch.setattr(table_rows, "open_parquet", noted)
    return names


def test_the_sensors_of_a_table_are_found_in_the_log_or_else_in_its_files(table, opened):
    assert table.load().distinct("sensor") == []
    table.add(windows("s"))
    table.add(windows("t", day=1))
    assert table.load().distinct("sensor") == ["s", "t"]
    assert opened == []
    table.add(pa.concat_tables([windows("s"), windows("u"), windows("é" * 300)]))
    assert table.load().distinct("sensor") == ["s", "t", "u", "é" * 300]
    assert len(opened) == 1
    assert table.load().distinct("device") == ["a", "b"]


def test_row_groups_of_one_text_are_not_read_for_the_distinct_texts(table, monkeypatch):
    monkeypatch.setattr("batch_scoring.storage.row_files.ROW_GROUP_ROWS", 6)
    monkeypatch.setattr("batch_scoring.storage.row_files._LEAST_PART", 1)  # sensors share row groups
    table.add(pa.concat_tables([windows("s", n=6), windows("t"), windows("u", n=9)]))
    read = []
    real = table_rows.read_batches

    def noted(file, columns, groups):
        read.extend(groups)
        return real(file, columns, groups=groups)

    monkeypatch.setattr(table_rows, "read_batches", noted)
    assert table.load().distinct("sensor") == ["s", "t", "u"]
    assert read == []
    table.add(pa.concat_tables([windows("v", n=5), windows("w", n=5)]))
    assert table.load().distinct("sensor") == ["s", "t", "u", "v", "w"]
    assert read == [1]


def test_rows_of_some_sensors_and_devices_are_read_in_their_order(table):
    table.add(pa.concat_tables([windows("s"), windows("t", ("b", "c", "d"))]))
    loaded = table.load()
    (file,) = loaded.files()
    (found,) = loaded.batches(file, ["window_start", "device"], ["t"], ["d", "b"])
    assert found.column_names == ["window_start", "device"]
    assert found["device"].to_pylist() == ["b"] * 3 + ["d"] * 3
    assert list(loaded.batches(file, sensors=["u"])) == []
    pieces = list(loaded.batches(file, ["device"], ["t"], rows=2))
    assert [part.num_rows for part in pieces] == [2, 2, 2, 2, 1]
    assert loaded.read(["count"], START_US, START_US + 1, devices=["b"]).num_rows == 2


def test_a_table_says_what_it_is_and_how_its_rows_are_read(table, tmp_path):
    assert repr(table.load()) == f"Delta table in {tmp_path}/windows, not written yet"
    table.add(pa.concat_tables([windows("<s>"), windows("t", n=2)]))
    text = repr(table.load())
    assert text.startswith(f"Delta table in {tmp_path}/windows, version 1, 10 rows: window_start, ")
    for name in ("to_pandas", "to_polars", "read"):
        assert f".{name}()" in text
        assert callable(getattr(table.load(), name))
    html = table.load()._repr_html_()
    assert html.count("<tr>") == 1 + 5
    assert html.count("<td>&lt;s&gt;</td>") == 5
    assert "<s>" not in html


def test_a_table_that_cannot_be_read_says_so_instead_of_raising(table, tmp_path):
    table.add(windows("s"))
    (tmp_path / "windows/_delta_log/00000000000000000001.json").write_text("{")
    assert "which cannot be read: " in repr(table.load())
    assert "which cannot be read: " in table.load()._repr_html_()


def test_the_first_rows_are_read_without_the_files_after_them(table, opened):
    table.add(windows("s", n=2))
    table.add(windows("s", day=1, n=4))
    assert table.load().head(3)["device"].to_pylist() == ["a", "a", "b"]
    assert len(opened) == 1
    assert table.load().head(100).equals(table.load().read())
    assert table.load().head(0).num_rows == 0


def test_the_texts_asked_for_are_laid_out_once_for_all_batches_of_a_file(table, monkeypatch):
    monkeypatch.setattr("batch_scoring.storage.row_files.ROW_GROUP_ROWS", 6)
    table.add(windows("s", "abcdef", n=6))
    laid_out = []
    real = table_rows.strings
    monkeypatch.setattr(table_rows, "strings", lambda texts: laid_out.append(texts) or real(texts))
    stored = table.load()
    batches = list(stored.batches(stored.files()[0], ["device"], devices=["f", "a", "c"], rows=6))
    assert [batch["device"][0].as_py() for batch in batches] == ["a", "c", "f"]
    assert laid_out == [["a", "c", "f"]]
