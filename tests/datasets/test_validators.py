"""The validators of the catalog pass what the pipelines write, and name what is wrong."""

from __future__ import annotations

import math
from datetime import timedelta

import pyarrow as pa
import pytest
from kedro.io import DataCatalog
from kedro.validation import DataValidationError, validate_catalog, validate_dataset

from tests.row_tables import readings
from tests.tables_on_disk import TableOnDisk

pytest.importorskip("pandera", reason="pip install 'batch_scoring[validate]'")
pytestmark = pytest.mark.slow

TIMES = {"readings": "timestamp", "windows": "window_start", "predictions": "window_start"}


def catalog_of(place, name: str, **validator) -> DataCatalog:
    entry = {
        "type": "batch_scoring.datasets.row_tables.RowTableDataset",
        "path": str(place / name),
        "time": TIMES[name],
        "validator": {"class": f"batch_scoring.datasets.validators.{name}", "on": "load", **validator},
    }
    return DataCatalog.from_config({name: entry})


def found(place, name: str, rows: pa.Table):
    """What Kedro says of a table of these rows."""
    TableOnDisk(place / name, TIMES[name]).replace(rows)
    return validate_dataset(catalog_of(place, name), name)


def stored(workspace, name: str) -> pa.Table:
    folders = {"windows": "03_primary/windows", "predictions": "07_model_output/predictions"}
    return TableOnDisk(workspace.folder / folders[name], TIMES[name]).load().read()


def put(rows: pa.Table, column: str, value, row: int = 0) -> pa.Table:
    """The rows with another value in one of them."""
    field = rows.schema.field(column)
    values = rows[column].to_pylist()
    values[row] = value
    return rows.set_column(rows.schema.get_field_index(column), field, pa.array(values, field.type))


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (readings((0, "", 1.0)), "device"),
        (readings((0, "a", math.inf)), "value"),
        (put(readings((0, "a", 1.0)), "value", None), "value"),
        (readings((0, "a", 1.0), (0, "a", 2.0)), "uniqueness"),
    ],
)
def test_what_no_reading_may_be_is_named(tmp_path, rows, named):
    assert found(tmp_path, "readings", readings((0, "a", 1.0), (1, "a", 2.0))).status == "passed"
    result = found(tmp_path, "readings", rows)
    assert result.status == "failed"
    assert named in result.message


@pytest.mark.parametrize(
    ("name", "column", "value", "named"),
    [
        ("windows", "count", 0, "count"),
        ("windows", "window_end", lambda row: row["window_start"], "window_end is after"),
        ("windows", "sensor", None, "sensor"),
        ("predictions", "is_anomaly", lambda row: not row["is_anomaly"], "score < threshold"),
        ("predictions", "severity", -1.0, "severity"),
        ("predictions", "score", math.nan, "score"),
        ("predictions", "window_end", lambda row: row["window_end"] - timedelta(days=1), "window_end"),
    ],
)
def test_what_no_window_and_no_prediction_may_be_is_named(scored, tmp_path, name, column, value, named):
    rows = stored(scored, name)
    assert found(tmp_path, name, rows).status == "passed", "what the pipelines have written"
    first = rows.slice(0, 1).to_pylist()[0]
    result = found(tmp_path, name, put(rows, column, value(first) if callable(value) else value))
    assert result.status == "failed"
    assert named in result.message


def test_switched_on_a_load_is_validated_and_switched_off_it_is_not(tmp_path):
    TableOnDisk(tmp_path / "readings", "timestamp").add(readings((0, "a", math.inf)))
    assert catalog_of(tmp_path, "readings", enabled=False).load("readings").num_rows == 1
    with pytest.raises(DataValidationError, match="value"):
        catalog_of(tmp_path, "readings").load("readings")
    results = validate_catalog(catalog_of(tmp_path, "readings", enabled=False))
    assert [one.status for one in results.values()] == ["failed"], "asked for, it is validated in any case"


def test_the_command_counts_rows_and_ends_with_what_is_wrong(scored, tmp_path):
    workspace = scored.copy_to(tmp_path)
    said = workspace.kedro("workspace", "validate", "--data", str(tmp_path))
    rows = stored(workspace, "predictions")
    assert f"predictions: {rows.num_rows:,} rows are valid" in said
    TableOnDisk(tmp_path / "07_model_output/predictions", "window_start").replace(put(rows, "severity", -1.0))
    said = workspace.kedro("workspace", "validate", "--data", str(tmp_path), expect=1)
    assert "Error: predictions: " in said
    assert "'severity'" in said
    said = workspace.kedro(*workspace.command("incidents", "validate=true")[3:], expect=1)
    assert said.splitlines()[-1].startswith("Error: Validation failed for dataset 'predictions' on load")
    assert "severity" in said.splitlines()[-1]
    other = str(tmp_path / "othre")
    said = workspace.kedro("workspace", "validate", "--data", other, expect=1)
    assert said.splitlines()[-1] == f"Error: {other}: there are no tables yet; name the workspace with --data"
