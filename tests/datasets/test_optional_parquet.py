import pyarrow as pa

from batch_scoring.datasets.optional_parquet import OptionalParquetDataset


def test_a_file_that_is_not_there_is_a_table_without_rows(tmp_path):
    assert OptionalParquetDataset(str(tmp_path / "no.parquet")).load().read().num_rows == 0


def test_a_file_that_is_there_is_read(tmp_path):
    dataset = OptionalParquetDataset(str(tmp_path / "labels.parquet"))
    dataset.save(pa.table({"device": ["a"]}))

    assert dataset.load().read().to_pylist() == [{"device": "a"}]
