"""A table is a CSV file that spreadsheets, pandas and Kedro-Viz read."""

import csv

import pandas as pd
import pyarrow as pa
import pytest

from batch_scoring.datasets.report_files import WholeCSVDataset

ROWS = pa.table(
    {
        "device": ["a", 'b "c"', "d,\ne", "ü", ""],
        "n": pa.array([1, None, 3, 4, 5], pa.int64()),
        "share": [0.1, 1e-9, 2.0, 1e300, 0.5],
    }
)


def test_the_file_is_the_one_that_pandas_writes(tmp_path):
    WholeCSVDataset(filepath=f"{tmp_path}/status.csv").save(ROWS)
    frame = ROWS.to_pandas().astype({"n": "Int64"})
    assert (tmp_path / "status.csv").read_bytes() == frame.to_csv(index=False, lineterminator="\n").encode()


def test_a_table_comes_back_without_rows_too(tmp_path):
    dataset = WholeCSVDataset(filepath=f"{tmp_path}/status.csv")
    for rows in (ROWS, ROWS.slice(0, 0)):
        dataset.save(rows)
        found = dataset.load()
        assert found.column_names == ROWS.column_names
        assert found["device"].to_pylist() == rows["device"].to_pylist()


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1+1",
        "'quoted",
        "-",
        "=1,2\n=3",
    ],
)
def test_a_spreadsheet_runs_no_id(tmp_path, name):
    dataset = WholeCSVDataset(filepath=f"{tmp_path}/status.csv")
    rows = pa.table({"device": [name, "plain"], "n": pa.array([-1, 2], pa.int64())})
    dataset.save(rows)
    with (tmp_path / "status.csv").open(newline="", encoding="utf-8") as file:
        _, (first, number), (second, _) = csv.reader(file)
    assert (first, number, second) == (f"'{name}", "-1", "plain")
    assert dataset.load().to_pydict() == rows.to_pydict()


def test_kedro_viz_shows_the_first_rows(tmp_path):
    dataset = WholeCSVDataset(filepath=f"{tmp_path}/status.csv")
    dataset.save(ROWS.slice(0, 2))
    assert dataset.preview(1) == pd.read_csv(tmp_path / "status.csv", nrows=1).to_dict(orient="split")
