"""Readings are cut where a device or a window ends, in whatever order they come."""

from itertools import chain

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.runs import cut_runs, without_short_runs
from tests.factories import make_readings

ROWS = st.lists(
    st.tuples(st.sampled_from(["", "a", "ab", "z", "ü", "\U0001f600"]), st.integers(-30, 30)),
    unique=True,
    max_size=30,
)


def table(rows) -> pa.Table:
    parts = [make_readings([minute], [minute], device) for device, minute in rows]
    return pa.concat_tables([READINGS.empty_table(), *parts])


def encoded(readings: pa.Table) -> pa.Table:
    """With texts as dictionaries, a dictionary a chunk."""
    kind = pa.dictionary(pa.int32(), pa.string())
    return readings.cast(
        pa.schema(
            field.with_type(kind) if pa.types.is_string(field.type) else field for field in readings.schema
        )
    )


@given(ROWS, st.integers(0, 30))
def test_runs_are_in_order_of_device_and_time_however_the_readings_come(rows, cut):
    parts = [sorted(part, key=lambda row: (row[0].encode(), row[1])) for part in (rows[:cut], rows[cut:])]
    in_order = sorted(rows, key=lambda row: (row[0].encode(), row[1]))
    texts = [table(some) for some in (rows, in_order, [*parts[0], *parts[1]])]
    for readings in (*texts, *map(encoded, texts)):
        names, runs = cut_runs(readings, 300_000_000)
        found = [
            (names["device"][device].as_py(), window)
            for device, window in zip(runs.series.tolist(), runs.window.tolist(), strict=True)
        ]
        keys = [(device, minute // 5 + 1_767_571_200 // 300) for device, minute in in_order]
        assert found == list(dict.fromkeys(keys))
        np.testing.assert_array_equal(runs.values, [minute for _, minute in in_order])
        assert runs.count.tolist() == [keys.count(key) for key in dict.fromkeys(keys)]


@given(ROWS, st.integers(1, 3))
def test_short_runs_go_with_their_readings(rows, least):
    _, runs = cut_runs(table(rows), 300_000_000)
    kept = without_short_runs(runs, least)
    assert kept.count.tolist() == [n for n in runs.count.tolist() if n >= least]
    long = np.repeat(runs.count >= least, runs.count)
    np.testing.assert_array_equal(kept.values, runs.values[long])


@given(st.lists(st.lists(st.sampled_from([-1.5, -0.0, 0.0, 2.0]), min_size=1, max_size=40), max_size=30))
def test_extremes_are_those_of_each_run_whatever_runs_are_beside_it(values):
    minutes = [[5 * k + 5 * n / len(run) for n in range(len(run))] for k, run in enumerate(values)]
    _, runs = cut_runs(make_readings([*chain(*minutes)], [*chain(*values)]), 300_000_000)
    for ufunc, plain in ((np.minimum, min), (np.maximum, max)):
        expected = np.array([plain(run) + 0.0 for run in values], float)
        assert runs.extreme(ufunc).tobytes() == expected.tobytes()
