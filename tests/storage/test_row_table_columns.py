"""The columns of a row table may change: where all rows are replaced, or by one that earlier rows lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.storage.compaction import compact
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.schemas import READINGS
from tests.row_tables import add, dataset_at, devices, parquet_files, readings, table_at

DAY = 1440

WIDER = READINGS.insert(2, pa.field("unit", pa.string()))


def test_columns_may_change_when_all_rows_are_replaced(tmp_path: Path):
    old = add(tmp_path, readings((0, "a", 1), (DAY, "a", 2)), progress={"step": 3})
    schema = pa.schema([*(READINGS.field(name) for name in ("timestamp", "device")), ("mean", pa.float64())])
    rows = readings((0, "b", 5)).drop_columns(["sensor"]).rename_columns(schema.names)
    new = old.commit(Change(schema, [[rows]], {"step": 4}, replaces_all=True))
    assert (new.schema, new.version) == (schema, old.version + 1)
    assert new.read().equals(rows.cast(schema))
    assert new.progress("step") == 4
    assert len(new.added_since(old.version)) == 1
    assert old.read().num_rows == 2


def test_other_columns_are_refused_while_rows_stay(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1)))
    schema = pa.schema([READINGS.field("timestamp"), ("x", pa.float64())])
    rows = pa.table([readings((0, "a", 1))["timestamp"], pa.array([1.0])], schema=schema)
    with pytest.raises(InputError, match="of the table or of the new rows alone: device, sensor, value, x"):
        table.commit(Change(schema, [[rows]]))
    assert table_at(tmp_path).num_rows == 1
    assert len(parquet_files(tmp_path)) == 1


def wider(*rows: Any) -> pa.Table:
    return readings(*rows).append_column(WIDER.field("unit"), [["K"] * len(rows)]).select(WIDER.names)


def add_wider(folder: Path) -> RowTable:
    return table_at(folder).commit(Change(WIDER, [[wider((9, "z", 9))]]))


def test_a_table_gains_a_column_which_earlier_rows_have_as_null(tmp_path: Path):
    first = add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    seen = []

    def update(table: RowTable) -> Change:
        seen.append(table.schema.names)
        return Change(WIDER, [[wider((5, "c", 3))]], {"step": 1})

    dataset_at(tmp_path).save(update)
    table = table_at(tmp_path)
    assert seen == [READINGS.names, [*READINGS.names, "unit"]]
    assert table.read(["device", "unit"]).to_pydict() == {
        "device": ["a", "b", "c"],
        "unit": [None, None, "K"],
    }
    assert table.read(columns=["unit"], devices=["b"])["unit"].to_pylist() == [None]
    assert table.distinct("unit") == ["K"]
    assert len(table.added_since(first.version)) == 1
    frame = deltalake.DeltaTable(tmp_path).to_pyarrow_table(columns=["device", "unit"])
    assert sorted(zip(*frame.to_pydict().values(), strict=True)) == [("a", None), ("b", None), ("c", "K")]


def test_rows_of_before_a_column_are_compared_rewritten_and_compacted_with_it(tmp_path: Path):
    add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    with pytest.raises(ConflictError):
        add_wider(tmp_path)
    table, old = table_at(tmp_path), readings((0, "a", 1))
    upsert = Upsert(table, table.files(), ["timestamp", "device", "sensor"])
    same = old.append_column(WIDER.field("unit"), pa.nulls(1, pa.string()))
    new = pa.concat_tables([same, wider((1, "b", 2))], promote_options="default").select(table.schema.names)
    table = table.commit(Change(table.schema, [upsert.fresh([new])], rewritten=upsert.rewritten))
    assert table.read(["device", "unit"]).to_pylist() == [
        {"device": "a", "unit": None},
        {"device": "b", "unit": "K"},
    ]
    table = add_wider(tmp_path)
    later = wider((3 * DAY, "b", 4))
    table = table.commit(Change(WIDER, [[later]]))
    change = compact(table, min_files=2)
    assert change is not None
    assert sorted(table.commit(change).read(["device", "unit"])["unit"].to_pylist(), key=str) == [
        "K",
        "K",
        "K",
        None,
    ]


def test_a_row_without_a_column_of_the_table_is_refused(tmp_path: Path):
    add(tmp_path, readings((0, "a", 1)))
    with pytest.raises(ConflictError):
        add_wider(tmp_path)
    add_wider(tmp_path)
    with pytest.raises(InputError, match=r"does not know \(unit\); install the version"):
        add(tmp_path, readings((7, "a", 1)))


def test_all_rows_are_replaced_in_the_same_columns(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1), (DAY, "a", 2)))
    table = table.commit(Change(READINGS, [[readings((5, "b", 3))]], replaces_all=True))
    assert devices(table.read()) == ["b"]
    assert table.commit(Change(READINGS, replaces_all=True)).num_rows == 0


def test_other_columns_are_refused_to_one_of_two_at_once(tmp_path: Path):
    schema = pa.schema([READINGS.field("timestamp"), ("x", pa.float64())])
    rows = pa.table([readings((0, "a", 1))["timestamp"], pa.array([1.0])], schema=schema)
    stale = add(tmp_path, readings((0, "z", 0)))
    add(tmp_path, readings((0, "a", 1)), progress={"step": 1})
    with pytest.raises(ConflictError):
        stale.commit(Change(schema, [[rows]], {"step": 1}, replaces_all=True))
    assert table_at(tmp_path).schema == READINGS
