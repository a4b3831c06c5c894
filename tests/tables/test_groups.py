import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.groups import Groups, are_among
from batch_scoring.tables.schemas import TIMESTAMP

SCHEMA = pa.schema(
    [
        ("device", pa.string()),
        ("sensor", pa.string()),
        ("count", pa.int64()),
        ("severity", pa.float64()),
        ("time", TIMESTAMP),
    ]
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from("aéb"),
        st.sampled_from("st"),
        st.integers(0, 9),
        st.floats(-9, 9),
        st.none() | st.integers(0, 99),
    )
)


def table_of(rows) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[]] * len(SCHEMA)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


@given(ROWS)
def test_groups_are_summed_up_as_arrow_does(rows):
    table, keys = table_of(rows), ["device", "sensor"]
    groups = Groups(table, keys)
    aggregates = [("count", "sum"), ("count", "min"), ("severity", "max"), ("time", "max")]
    expected = table.group_by(keys, use_threads=False).aggregate([*aggregates, ("count", "count_distinct")])
    expected = expected.sort_by([(key, "ascending") for key in keys])
    assert groups.firsts(keys).equals(expected.select(keys))
    assert groups.sums("count").equals(expected["count_sum"].combine_chunks())
    assert groups.mins("count").equals(expected["count_min"].combine_chunks())
    assert groups.maxima("severity").equals(expected["severity_max"].combine_chunks())
    assert groups.maxima("time").equals(expected["time_max"].combine_chunks())
    assert groups.count_distinct("count").equals(expected["count_count_distinct"].combine_chunks())


@given(ROWS)
def test_the_first_row_of_a_group_is_the_first_in_the_table(rows):
    table = table_of(rows)
    found = Groups(table, ["device"]).firsts(["device", "sensor"]).to_pylist()
    assert {row["device"]: row["sensor"] for row in found} == {
        device: next(sensor for one, sensor, *_ in rows if one == device) for device, *_ in rows
    }
    texts = Groups(table, ["device"]).count_distinct("sensor").to_pylist()
    assert texts == [len({s for d, s, *_ in rows if d == row["device"]}) for row in found]


@given(ROWS, ROWS)
def test_rows_among_others_have_the_same_texts(rows, others):
    pairs = {(device, sensor) for device, sensor, *_ in others}
    found = are_among(table_of(rows), table_of(others), ["device", "sensor"])
    assert found.tolist() == [(device, sensor) in pairs for device, sensor, *_ in rows]
