"""A file appears whole or not at all, and the same rows are the same bytes."""

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.parquet import ArrowParquetDataset, OptionalParquetDataset
from batch_scoring.datasets.whole_files import WholeJSONDataset, WholeTextDataset
from batch_scoring.storage.local import atomic_file
from batch_scoring.tables.streams import Stream, footer_text

TABLE = pa.table({"a": [1, 2, 3]})


def test_a_table_comes_back_and_its_bytes_are_always_the_same(tmp_path):
    for name in ("one", "two"):
        ArrowParquetDataset(str(tmp_path / name)).save(TABLE)
    assert ArrowParquetDataset(str(tmp_path / "one")).load().read().equals(TABLE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_stream_is_written_batch_by_batch_with_a_footer_known_at_its_end(tmp_path):
    footer = {}

    def batches():
        yield TABLE.slice(0, 2)
        yield TABLE.slice(2).to_batches()[0]
        footer["digest"] = "abc"

    dataset = ArrowParquetDataset(str(tmp_path / "x"))
    dataset.save(Stream(TABLE.schema, batches(), footer))
    file = dataset.load()
    assert file.read()["a"].to_pylist() == [1, 2, 3]
    assert footer_text(file, "digest") == "abc"
    assert footer_text(file, "other") == ""


def test_the_same_rows_are_the_same_bytes_however_they_come(tmp_path):
    table = pa.table({"a": range(300_000), "b": [f"device-{n // 7}" for n in range(300_000)]})
    cuts = {"whole": [300_000], "thirds": [100_000] * 3, "uneven": [1, 0, 131_072, 131_072, 37_855]}
    for name, sizes in cuts.items():
        parts = (table.slice(sum(sizes[:n]), size) for n, size in enumerate(sizes))
        ArrowParquetDataset(str(tmp_path / name)).save(Stream(table.schema, parts))
    assert len({(tmp_path / name).read_bytes() for name in cuts}) == 1
    file = ArrowParquetDataset(str(tmp_path / "whole")).load()
    sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert sizes == [131_072, 131_072, 37_856]


def test_a_table_without_rows_comes_back_with_its_columns(tmp_path):
    for name, batches in {"none": [], "empty": [TABLE.slice(0, 0)]}.items():
        ArrowParquetDataset(str(tmp_path / name)).save(Stream(TABLE.schema, iter(batches)))
        assert ArrowParquetDataset(str(tmp_path / name)).load().read().equals(TABLE.slice(0, 0))
    assert (tmp_path / "none").read_bytes() == (tmp_path / "empty").read_bytes()


def test_a_stream_that_breaks_leaves_the_old_file_and_nothing_else(tmp_path):
    dataset = ArrowParquetDataset(str(tmp_path / "x"))
    dataset.save(TABLE)

    def broken():
        yield TABLE
        raise RuntimeError("no more")

    with pytest.raises(Exception, match="no more"):
        dataset.save(Stream(TABLE.schema, broken()))
    assert dataset.load().read().equals(TABLE)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_run_left_beside_is_cleared_away(tmp_path):
    (tmp_path / ".x.partial").write_bytes(b"half a file, and longer than the whole one will be" * 100)
    ArrowParquetDataset(str(tmp_path / "x")).save(TABLE)
    assert ArrowParquetDataset(str(tmp_path / "x")).load().read().equals(TABLE)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_two_runs_do_not_write_one_file_at_once(tmp_path):
    with (
        atomic_file(tmp_path / "x"),
        pytest.raises(InputError, match="another run is writing this file"),
        atomic_file(tmp_path / "x"),
    ):
        pass


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(Exception, match="this file does not exist yet"):
        ArrowParquetDataset(str(tmp_path / "none")).load()
    (tmp_path / "broken").write_bytes(b"PAR1 and no more")
    with pytest.raises(Exception, match="broken: not a readable Parquet file"):
        ArrowParquetDataset(str(tmp_path / "broken")).load()
    assert ArrowParquetDataset(str(tmp_path / "broken")).exists()


def test_texts_and_json_are_whole_files_too(tmp_path):
    text, data = (
        WholeTextDataset(filepath=str(tmp_path / "t")),
        WholeJSONDataset(filepath=str(tmp_path / "j")),
    )
    text.save("Süd №7")
    data.save({"a": [1]})
    assert (tmp_path / "t").read_text(encoding="utf-8") == "Süd №7"
    assert data.load() == {"a": [1]}
    with pytest.raises(Exception, match="JSON"):
        data.save({"a": object()})
    assert data.load() == {"a": [1]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "t"]


def test_a_file_that_is_not_there_is_a_table_without_rows(tmp_path):
    assert OptionalParquetDataset(str(tmp_path / "no.parquet")).load().read().num_rows == 0


def test_a_file_that_is_there_is_read(tmp_path):
    dataset = OptionalParquetDataset(str(tmp_path / "labels.parquet"))
    dataset.save(pa.table({"device": ["a"]}))

    assert dataset.load().read().to_pylist() == [{"device": "a"}]
