"""The digest depends on the rows, not on the batches they come in."""

from __future__ import annotations

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.fingerprints import RowDigest
from batch_scoring.tables.schemas import READINGS

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "ab", "ü"]), st.floats(0, 1)), max_size=20
)


def make_table(rows: list[tuple[int, str, float]]) -> pa.Table:
    times, devices, values = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([[*times], [*devices], ["s"] * len(rows), [*values]], names=READINGS.names).cast(READINGS)


def cut(table: pa.Table, places: list[int]) -> list[pa.Table]:
    edges = [0, *sorted(min(place, table.num_rows) for place in places), table.num_rows]
    return [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]


def digest(tables: list[pa.Table]) -> str:
    made = RowDigest()
    for table in tables:
        made.update(table)
    return made.hexdigest()


@given(left=ROWS, right=ROWS, places=st.lists(st.integers(0, 20), max_size=4))
def test_the_digest_tells_rows_apart_however_they_are_cut(left: list, right: list, places: list[int]):
    assert digest(cut(make_table(left), places)) == digest([make_table(left)])
    is_same = make_table(left).equals(make_table(right))
    assert (digest([make_table(left)]) == digest([make_table(right)])) == is_same


def test_the_digest_knows_where_one_device_ends_and_the_next_begins():
    left, right = make_table([(0, "ab", 1.0), (0, "c", 1.0)]), make_table([(0, "a", 1.0), (0, "bc", 1.0)])
    assert digest([left]) != digest([right])
