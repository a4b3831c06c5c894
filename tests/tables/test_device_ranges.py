"""Sorted tables cut into the same ranges of devices: nothing lost, nothing doubled, nothing torn apart."""

import itertools

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.device_ranges import device_ranges

SCHEMA = pa.schema([("device", pa.string()), ("row", pa.int64())])
DEVICES = st.lists(st.sampled_from(["a", "b", "ba", "é", "z", "№", "😀"]), max_size=12)


def batches_of(devices, cuts):
    """The devices, sorted, cut into batches at these places."""
    rows = sorted(devices, key=str.encode)
    table = pa.table({"device": rows, "row": list(range(len(rows)))}, schema=SCHEMA)
    edges = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    return table, [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]


@given(st.lists(st.tuples(DEVICES, st.lists(st.integers(0, 100), max_size=6)), min_size=1, max_size=4))
def test_every_row_is_in_one_range_and_no_device_in_two(sources):
    tables, batched = zip(*(batches_of(*source) for source in sources), strict=True)
    ranges = list(device_ranges([(SCHEMA, iter(batches)) for batches in batched]))
    for place, table in enumerate(tables):
        assert pa.concat_tables([SCHEMA.empty_table(), *(parts[place] for parts in ranges)]).equals(table)
    seen = [{device for part in parts for device in part["device"].to_pylist()} for parts in ranges]
    assert all(seen)
    for earlier, later in itertools.pairwise(seen):
        assert max(earlier, key=str.encode).encode() < min(later, key=str.encode).encode()


def test_a_range_never_holds_more_than_a_batch_of_a_source_where_devices_are_small():
    def batches():
        for first in range(0, 10_000, 100):
            yield pa.table(
                {"device": [f"{n:05d}" for n in range(first, first + 100)], "row": [0] * 100}, schema=SCHEMA
            )

    sizes = [one.num_rows for (one, _) in device_ranges([(SCHEMA, batches()), (SCHEMA, batches())])]
    assert sum(sizes) == 10_000 and max(sizes) <= 101


@given(st.sets(st.text("abcé№", min_size=1, max_size=3)), DEVICES, st.lists(st.integers(0, 100), max_size=6))
def test_batches_of_a_source_with_one_row_a_device_are_cut_but_never_joined(models, windows, cuts):
    tables, batched = zip(*(batches_of(list(rows), cuts) for rows in (models, windows)), strict=True)
    ranges = list(device_ranges([(SCHEMA, iter(batches)) for batches in batched], one_row_a_device={0}))
    for place, table in enumerate(tables):
        assert pa.concat_tables([SCHEMA.empty_table(), *(parts[place] for parts in ranges)]).equals(table)
    devices = [set(one["device"].to_pylist()) | set(two["device"].to_pylist()) for one, two in ranges]
    assert sum(map(len, devices)) == len(set().union(*devices))
    edges = {batch["device"][0].as_py() for batch in batched[0] if batch.num_rows}
    for part, _ in ranges:
        assert not edges & set(part["device"].to_pylist()[1:])
