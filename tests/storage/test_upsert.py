"""Any sequence of upserts leaves what a dict would hold, and touches only the files that lose rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import READINGS
from tests.examples import few_examples
from tests.factories import MINUTE_US, START_US
from tests.row_tables import add, dataset_at, readings, table_at

DAY = 1440
KEY = ("sensor", "device", "timestamp")


def upsert(folder: Path, rows: pa.Table, drop: pa.Table | None = None, parts: int = 1) -> RowTable:
    """Upsert readings, as a dataset is saved."""

    def update(table: RowTable) -> Change:
        work = Upsert(table, table.files(), KEY)
        if drop is not None:
            work.drop(row_fingerprints(drop, KEY))
        size = -(-rows.num_rows // parts) or 1
        fresh = [work.fresh([rows.slice(n * size, size)]) for n in range(parts)]
        return Change(READINGS, fresh, guard="upsert", rewritten=work.rewritten)

    dataset_at(folder).save(update)
    return table_at(folder)


def rows_of(table: RowTable) -> dict[tuple[Any, ...], float]:
    """The values by key; every key once."""
    found = [tuple(row.values()) for row in table.read().to_pylist()]
    rows = {tuple(row[:3]): row[3] for row in found}
    assert len(rows) == len(found)
    return rows


READING = st.tuples(
    st.sampled_from([-1, 0, 1, DAY - 1, DAY, 40 * DAY]), st.sampled_from("abü"), st.sampled_from("st")
)
VALUE = st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf")])


@pytest.mark.slow
@few_examples
@given(
    steps=st.lists(
        st.tuples(
            st.dictionaries(READING, VALUE, max_size=8), st.lists(READING, max_size=3), st.integers(1, 3)
        ),
        max_size=5,
    )
)
def test_any_sequence_of_upserts_equals_a_dict(steps, tmp_path_factory: pytest.TempPathFactory):
    folder, model = tmp_path_factory.mktemp("t"), {}
    for changes, dropped, parts in steps:
        rows = readings(*((*key, value) for key, value in changes.items()))
        table = upsert(folder, rows, readings(*((*key, 0) for key in dropped)), parts)
        # What is dropped was stored; the new rows come after that.
        model = {key: value for key, value in model.items() if key not in dropped}
        model |= changes
        expected = rows_of_model(model)
        assert {key: repr(value + 0.0) for key, value in rows_of(table).items()} == expected
        assert table.num_rows == len(model)
    version = table_at(folder).version
    assert upsert(folder, readings(*((*key, value) for key, value in model.items()))).version == version


def rows_of_model(model: dict[Any, float]) -> dict[tuple[Any, ...], str]:
    rows = readings(*((*key, value) for key, value in model.items())).to_pylist()
    return {tuple([*row.values()][:3]): repr(row["value"] + 0.0) for row in rows}


def test_equal_rows_are_not_written_again(tmp_path: Path):
    before = add(tmp_path, readings((0, "a", 1), (DAY, "b", 2)))
    assert upsert(tmp_path, readings((DAY, "b", 2), (0, "a", 1))).version == before.version


def test_only_the_file_that_loses_a_row_is_rewritten(tmp_path: Path):
    before = add(tmp_path, readings((0, "a", 1), (1, "b", 1), (DAY, "a", 1)))
    after = upsert(tmp_path, readings((0, "a", 5), (2, "c", 1)))
    assert rows_of(after) == rows_of(add(tmp_path / "2", readings(
        (0, "a", 5), (1, "b", 1), (2, "c", 1), (DAY, "a", 1)
    )))  # fmt: skip
    names = {file.name for file in before.files()}
    assert len([file for file in after.files() if file.name in names]) == 1


def test_rows_with_nulls_differ_from_those_with_values(tmp_path: Path):
    schema = pa.schema([("name", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("text", pa.string())])

    def save(*rows: tuple[Any, ...]) -> RowTable:
        columns = [
            pa.array(column, field.type)
            for column, field in zip(zip(*rows, strict=True), schema, strict=True)
        ]

        def update(table: RowTable) -> Change:
            work = Upsert(table, table.files(), ["name"])
            fresh = work.fresh([pa.table(columns, schema=schema)])
            return Change(schema, [fresh], guard="x", rewritten=work.rewritten)

        dataset_at(tmp_path, None).save(update)
        return table_at(tmp_path, None)

    first = save(("a", None, None, None), ("b", 1, 1.0, ""))
    assert save(("a", None, None, None), ("b", 1, 1.0, "")).version == first.version
    assert save(("a", 0, None, None)).version == first.version + 1
    assert save(("a", 0, 0.0, None)).version == first.version + 2
    table = save(("a", 0, 0.0, ""), ("b", None, 1.0, ""))
    assert sorted(table.read().to_pylist(), key=lambda row: row["name"]) == [
        {"name": "a", "n": 0, "x": 0.0, "text": ""},
        {"name": "b", "n": None, "x": 1.0, "text": ""},
    ]


def test_what_counts_as_content_may_be_chosen_and_the_rest_is_not_read(tmp_path: Path):
    table = add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    work = Upsert(table, table.files(), KEY, content=lambda rows: np.zeros(rows.num_rows, np.uint64), read=[])
    fresh = list(work.fresh([readings((0, "a", 99), (2, "c", 3))]))
    assert [rows["device"].to_pylist() for rows in fresh] == [["c"]]
    assert list(work.rewritten()) == []


def test_files_that_were_not_given_are_left_alone(tmp_path: Path):
    add(tmp_path, readings((0, "a", 1)))
    table = add(tmp_path, readings((DAY, "a", 1)))
    near = table.files(start=START_US + DAY * MINUTE_US)
    work = Upsert(table, near, KEY)
    work.drop(row_fingerprints(readings((0, "a", 1), (DAY, "a", 1)), KEY))
    ((file, rows),) = work.rewritten()
    assert ([file], sum(part.num_rows for part in rows)) == (near, 0)
