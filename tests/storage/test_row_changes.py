"""A step that reads on finds the rows that came and went, whatever was compacted or dropped meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.storage.compaction import compact, forget
from batch_scoring.storage.row_changes import changes_since
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import READINGS
from tests.examples import few_examples
from tests.row_tables import add, readings, table_at

DAY = 1440
KEY = ["sensor", "device", "timestamp"]


def put(table: RowTable, rows: pa.Table, lost: pa.Table | None = None) -> RowTable:
    """Add rows, in place of stored rows of their keys, and remove others."""
    stored = Upsert(table, table.files(), KEY)
    if lost is not None:
        stored.drop(row_fingerprints(lost, KEY))
    fresh = list(stored.fresh([rows]))
    return table.commit(Change(READINGS, [fresh], rewritten=stored.rewritten))


def seen(table: RowTable, version: int | None) -> tuple[set[Any], set[Any]]:
    """Rows gained and lost as (minute of the epoch, device, value)."""
    changes = changes_since(table, version, READINGS.names)
    assert changes is not None
    whole = [rows for file in changes.files for rows in table.batches(file)]
    return as_set(pa.concat_tables([changes.gained, *whole])), as_set(changes.lost)


def as_set(rows: pa.Table) -> set[Any]:
    found = [tuple(row.values()) for row in rows.to_pylist()]
    assert len(found) == len(set(found))
    return set(found)


def joined(table: RowTable) -> RowTable:
    change = compact(table, 2)
    return table if change is None else table.commit(change)


def test_rows_that_were_compacted_before_a_step_has_read_them_are_new_to_it(tmp_path: Path):
    read = add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    add(tmp_path, readings((2, "c", 3)))
    last = add(tmp_path, readings((2 * DAY, "a", 4)))
    table = joined(last)
    assert len(table.files()) == 2
    gained, lost = seen(table, read.version)
    assert sorted(row[1] for row in gained) == ["a", "c"]
    assert lost == set()
    assert seen(table, last.version) == (set(), set())


def test_rows_that_were_lost_after_compaction_are_found(tmp_path: Path):
    add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    add(tmp_path, readings((2, "c", 3)))
    read = add(tmp_path, readings((2 * DAY, "a", 4)))
    table = put(joined(read), readings((1, "b", 9)), lost=readings((2, "c", 0)))
    gained, lost = seen(table, read.version)
    assert [row[1:] for row in gained] == [("b", "s", 9)]
    assert sorted(row[1:] for row in lost) == [("b", "s", 2), ("c", "s", 3)]


def test_days_that_were_dropped_for_their_age_are_not_lost(tmp_path: Path):
    read = add(tmp_path, readings((0, "a", 1), (DAY, "a", 2), (9 * DAY, "a", 3)))
    change = forget(read, timedelta(days=8), [])
    assert change is not None
    table = read.commit(change)
    assert table.num_rows == 2
    assert seen(table, read.version) == (set(), set())
    # What is lost of the days that are kept is found beside them.
    table = put(table, readings(), lost=readings((DAY, "a", 0)))
    assert [row[-1] for row in seen(table, read.version)[1]] == [2]


@pytest.mark.parametrize("gone", ["log", "file"])
def test_where_the_earlier_version_is_gone_nobody_knows_what_has_changed(tmp_path: Path, gone: str):
    read = add(tmp_path, readings((0, "a", 1), (1, "b", 2)))
    (file,) = read.files()
    table = put(read, readings((1, "b", 3)))
    if gone == "log":
        deltalake.DeltaTable(tmp_path).create_checkpoint()
        (tmp_path / f"_delta_log/{table.version:020d}.json").unlink()
    else:
        (tmp_path / file.name).unlink()
    assert changes_since(table_at(tmp_path), read.version, READINGS.names) is None


ROWS = st.dictionaries(
    st.tuples(st.sampled_from([0, 1, DAY, 2 * DAY, 9 * DAY]), st.sampled_from("ab")),
    st.integers(0, 2),
    max_size=4,
)


@pytest.mark.slow
@few_examples
@given(st.lists(st.tuples(ROWS, ROWS, st.booleans()), min_size=1, max_size=5), st.integers(0, 5))
def test_changes_lead_from_what_was_to_what_is(tmp_path_factory, commits, since):
    table = add(tmp_path_factory.mktemp("t"), readings((0, "z", 0)))
    versions, states = [table.version], [as_set(table.read())]
    for put_rows, lost, is_compacted in commits:
        rows, gone = (
            readings(*((minute, device, value) for (minute, device), value in some.items()))
            for some in (put_rows, lost)
        )
        if rows.num_rows or gone.num_rows:
            table = put(table, rows, gone)
        table = joined(table) if is_compacted else table
        versions.append(table.version)
        states.append(as_set(table.read()))
    since = min(since, len(commits))
    gained, lost_rows = seen(table, versions[since])
    assert gained - states[since] == states[-1] - states[since]
    assert lost_rows == states[since] - states[-1]
    assert states[since] - lost_rows | gained == states[-1]
