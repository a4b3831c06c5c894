"""Row groups depend on the rows, not on the batches they come in."""

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.row_groups import in_row_groups

ROWS = st.lists(st.tuples(st.sampled_from(["", "a", "ab", "ü"]), st.none() | st.floats(0, 1)), max_size=20)
SCHEMA = pa.schema([("device", pa.string()), ("value", pa.float64())])


def cut(table: pa.Table, places: list[int]) -> list[pa.Table]:
    edges = [0, *sorted(min(place, table.num_rows) for place in places), table.num_rows]
    return [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]


@given(rows=ROWS, places=st.lists(st.integers(0, 20), max_size=4), size=st.integers(1, 7))
def test_batches_of_any_size_give_the_same_row_groups(rows, places, size):
    devices, values = zip(*rows, strict=True) if rows else ((), ())
    table = pa.table([pa.array(devices, pa.string()), pa.array(values, pa.float64())], SCHEMA)
    tables = cut(table, places)
    batches = [batch for part in tables for batch in part.to_batches()]
    for given_as in (tables, batches):
        groups = list(in_row_groups(given_as, size))
        assert [group.num_rows for group in groups[:-1]] == [size] * (len(groups) - 1)
        assert [group for group in groups if not 1 <= group.num_rows <= size] == []
        assert {column.num_chunks for group in groups for column in group.columns} <= {1}
        assert pa.concat_tables([table.slice(0, 0), *groups]).equals(table)
