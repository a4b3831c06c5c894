"""What Kedro-Viz shows of the project's datasets, by its own reading of them."""

from __future__ import annotations

import base64
import inspect
import json
import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.datasets.annotations import LabelFile
from batch_scoring.datasets.byte_files import PngFolder
from batch_scoring.datasets.fleet_models import FleetModels
from batch_scoring.datasets.parquet import ArrowParquetDataset, OptionalParquetDataset
from batch_scoring.datasets.previews import preview_table
from batch_scoring.datasets.report_files import ReportPageDataset, WholeCSVDataset
from batch_scoring.datasets.row_tables import RowTableDataset
from batch_scoring.datasets.whole_files import WholeTextDataset
from batch_scoring.registry.published import publish
from batch_scoring.reporting.page_preview import heat_figure
from tests.fleet_models import make_model
from tests.row_tables import add, readings


def kind(dataset) -> str:
    """What Kedro-Viz takes a preview for: it reads the annotation."""
    annotation = inspect.signature(dataset.preview).return_annotation
    return getattr(annotation, "__name__", str(annotation))


def test_what_json_lacks_is_text():
    rows = pa.table(
        {
            "time": pa.array([datetime(2026, 1, 5, tzinfo=UTC)]),
            "value": [math.nan],
            "list": [[{"a": 1}]],
            "n": pa.array([None], pa.int64()),
            "is": [True],
        }
    )
    preview = preview_table(rows)
    assert json.loads(json.dumps(preview, allow_nan=False)) == {
        "index": [0],
        "columns": ["time", "value", "list", "n", "is"],
        "data": [["2026-01-05T00:00:00+00:00", "nan", "[{'a': 1}]", None, True]],
    }


def test_a_row_table_shows_its_first_rows_and_no_table_none(tmp_path):
    dataset = RowTableDataset(str(tmp_path / "t"), "timestamp")
    assert kind(dataset) == "TablePreview"
    assert dataset.preview()["data"] == []
    add(tmp_path / "t", readings(*((minute, "a", 1) for minute in range(9))))
    assert len(dataset.preview()["data"]) == 5
    assert dataset.preview(nrows=7)["columns"] == ["timestamp", "device", "sensor", "value"]
    assert len(dataset.preview(nrows=7)["data"]) == 7


@pytest.mark.parametrize("dataset", [ArrowParquetDataset, OptionalParquetDataset, WholeCSVDataset])
def test_a_file_shows_its_first_rows(tmp_path, dataset):
    file = dataset(filepath=f"{tmp_path}/rows")
    file.save(pa.table({"a": list(range(9))}))
    assert kind(file) == "TablePreview"
    assert file.preview(nrows=2) == {"index": [0, 1], "columns": ["a"], "data": [[0], [1]]}


def test_an_optional_file_that_is_not_there_shows_no_rows(tmp_path):
    none = {"index": [], "columns": [], "data": []}
    assert OptionalParquetDataset(filepath=f"{tmp_path}/rows").preview() == none
    labels = LabelFile(otherwise=f"{tmp_path}/labels.csv")
    assert kind(labels) == "TablePreview"
    assert labels.preview()["columns"] == ["device", "sensor", "kind", "start", "end"]


def test_models_show_the_version_that_scores_each_sensor(tmp_path):
    publish(tmp_path / "published", make_model("vibration"), "3", "run", "print")
    dataset = FleetModels(str(tmp_path))
    assert kind(dataset) == "TablePreview"
    assert dataset.preview()["columns"][:2] == ["sensor", "version"]
    assert [row[:2] for row in dataset.preview()["data"]] == [["vibration", "3"]]
    champion = dataset.load()["vibration"]
    assert "sensor='vibration'" in repr(champion)
    assert str(tmp_path / "published") in repr(champion)


def test_drawings_and_texts_are_shown_and_no_text_is_taken_for_html(tmp_path):
    drawings = PngFolder(str(tmp_path / "drawings"))
    drawings.save({"b.png": b"later", "a.png": b"first"})
    assert (kind(drawings), base64.b64decode(drawings.preview())) == ("ImagePreview", b"first")
    text = WholeTextDataset(filepath=f"{tmp_path}/text")
    text.save("<b>\n")
    assert (kind(text), text.preview()) == ("HTMLPreview", "<pre>&lt;b&gt;\n</pre>")


def pack(counts) -> str:
    return base64.b64encode(np.array(counts, "<u2").tobytes()).decode()


def page(**data) -> str:
    return f'<script type="application/json" id="report-data">{json.dumps(data)}</script>'


def test_the_heat_map_of_a_page_adds_up_the_sensors_of_a_device():
    heat = {"first": 490992, "n": 2, "kind": "u2"}
    heat |= {"windows": pack([[12, 12], [12, 0], [0, 0]]), "anomalies": pack([[3, 6], [3, 0], [0, 0]])}
    devices, series = [["007", 0], ["a", 0]], [[0, 0], [0, 1], [1, 0]]
    (drawn,) = heat_figure(page(devices=devices, series=series, cell=3600.0, heat=heat))["data"]
    assert drawn["y"] == ["007", "a"]
    assert drawn["x"] == ["2026-01-05T00:00:00+00:00", "2026-01-05T01:00:00+00:00"]
    assert drawn["z"] == [[0.25, 0.5], [None, None]]


def test_a_page_without_windows_or_of_another_form_has_an_empty_map(tmp_path):
    dataset = ReportPageDataset(filepath=f"{tmp_path}/page.html")
    empty = {"first": 0, "n": 0, "kind": "u2", "windows": "", "anomalies": ""}
    for text in ("<p>nothing</p>", page(devices=[], series=[], cell=0.0, heat=empty)):
        dataset.save(text)
        assert dataset.preview()["data"][0]["z"] == []
    assert kind(dataset) == "PlotlyPreview"
