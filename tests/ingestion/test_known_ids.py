"""A selected device or sensor is looked for where it is likeliest, and elsewhere only when it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from tests.row_tables import add, readings, table_at

DAY = 1440


@pytest.fixture
def table(tmp_path: Path) -> RowTable:
    for day, device in enumerate("aabb"):
        add(tmp_path, readings((day * DAY, device, 1), (day * DAY + 1, f"{device}2", 2)))
    return table_at(tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The days of the files whose ids were looked up."""
    days: list[int] = []
    distinct = RowTable.distinct

    def noted(self: RowTable, column: str, files: list[DataFile]) -> list[str]:
        days.extend(file.day.day - 5 for file in files if file.day)
        return distinct(self, column, files)

    monkeypatch.setattr(RowTable, "distinct", noted)
    return days


@pytest.mark.parametrize(
    ("devices", "days"), [(["b"], [3]), (["a"], [1]), (["a", "b2"], [3, 2, 1]), (["none"], [3, 2, 1, 0])]
)
def test_the_newest_file_that_may_have_an_id_is_read_first(
    table: RowTable, read: list[int], devices: list[str], days: list[int]
):
    found = stored_ids(table, Selection.read(devices, None))("device")
    assert set(devices) & {"a", "b", "b2"} <= found
    assert read == days


def test_without_a_selection_nothing_is_searched(table: RowTable, read: list[int]):
    require_known_ids(Selection(), stored_ids(table, Selection()))
    assert read == []


def test_later_places_are_searched_only_for_what_is_missing(table: RowTable):
    searched = []

    def search(kind: str) -> set[str]:
        searched.append(kind)
        return {"new"}

    selection = Selection.read(["a"], "s")
    require_known_ids(selection, stored_ids(table, selection), search)
    assert searched == []
    selection = Selection.read(["a", "new"], None)
    require_known_ids(selection, stored_ids(table, selection), search)
    assert searched == ["device"]
    with pytest.raises(InputError, match="device 'b3' is not among the 5 known; did you mean 'b', 'b2'"):
        selection = Selection.read("b3", None)
        require_known_ids(selection, stored_ids(table, selection), search)


def test_a_table_that_is_not_there_has_no_ids(tmp_path: Path):
    assert stored_ids(table_at(tmp_path), Selection.read("a", None))("device") == set()
