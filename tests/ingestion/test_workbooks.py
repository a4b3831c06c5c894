"""Sheets of a workbook are alike where they have the same columns."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_scoring.ingestion.workbooks import sheet_names, sheets_alike
from tests.ingestion.shapes.packed import workbook, zipped

HEAD = ("time", "temp")
FIRST, SECOND = ((datetime(2026, 1, day, tzinfo=UTC), float(day)) for day in (5, 6))


@pytest.mark.parametrize(
    "sheets",
    [
        {"P": [("", "temp"), FIRST, SECOND], "Q": [("", "temp"), SECOND]},
        {"P": [HEAD, (*FIRST, "stopped")], "Q": [HEAD, (*FIRST, "started")]},
        {"P": [("Time", "Temp", ""), ("", "mean", "max"), (*FIRST, 1.0)], "Q": [("Time", "Temp"), FIRST]},
        {"P": [HEAD, FIRST], "Q": [("Time ", "Temp"), FIRST]},
        {"P": [HEAD, FIRST], "Q": [HEAD, FIRST, ("", "", "", "", "a stray cell")]},
        {"P": [HEAD, FIRST], "Q": [HEAD[::-1], FIRST[::-1]]},
        {"P": [HEAD, ("2026-01-05", "1")], "Q": [("Pump Q",), HEAD, ("2026-01-05", "2", "a remark")]},
    ],
)
def test_sheets_have_the_same_columns_whatever_their_rows_hold(tmp_path: Path, sheets):
    notes = {"Notes": [("by", "night"), ("a", "b")], "List": [("P",), ("Q",)], "Empty": []}
    (tmp_path / "a.xlsx").write_bytes(workbook(notes | sheets))
    assert sheets_alike(str(tmp_path / "a.xlsx"), "*") == ["P.csv", "Q.csv"]


def test_a_drawing_is_no_sheet_of_cells(tmp_path: Path):
    with zipfile.ZipFile(io.BytesIO(workbook({"Drawing": [], "P": [HEAD, FIRST]}))) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    drawn = b'/chartsheet" Target="chartsheets/sheet1.xml"'
    links = "xl/_rels/workbook.xml.rels"
    parts[links] = parts[links].replace(b'/worksheet" Target="worksheets/sheet1.xml"', drawn)
    parts["xl/chartsheets/sheet1.xml"] = parts.pop("xl/worksheets/sheet1.xml")
    (tmp_path / "a.xlsx").write_bytes(zipped(**parts))
    assert sheet_names(str(tmp_path / "a.xlsx")) == ["P"]
