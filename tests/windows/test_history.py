"""What features look back at, of windows that were stored."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.tables.arrow_arrays import strings, to_arrow
from batch_scoring.tables.schemas import READINGS, TIMESTAMP
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.history import STORED, looked_at
from tests.examples import few_examples

MINUTE = 60_000_000
LATER = 20


def readings(values, first=0):
    """A reading a window of each series; None: no reading. ``values`` by device."""
    rows = [
        (name, first + place, value)
        for name in sorted(values)
        for place, value in enumerate(values[name])
        if value is not None
    ]
    columns = [
        to_arrow(np.array([row[1] * MINUTE for row in rows], np.int64)).view(TIMESTAMP),
        strings([row[0] for row in rows]),
        strings(["s"] * len(rows)),
        to_arrow(np.array([row[2] for row in rows], np.float64)),
    ]
    return pa.table(columns, schema=READINGS)


def stored(values):
    """The windows of two readings each, as they are stored: every odd value makes a window of two values."""
    once = readings(values)
    odd = to_arrow(np.asarray(once["value"].to_numpy()) % 2)
    other = once.set_column(3, READINGS.field("value"), pa.compute.add(once["value"], odd))
    both = pa.concat_tables([once, other]).sort_by([("device", "ascending"), ("timestamp", "ascending")])
    return aggregate_readings(both, MINUTE).select(STORED.names)


def test_of_most_series_only_the_last_window_stays():
    found = looked_at(stored({"a": [1, 3, 5], "b": [2, 2, 3, 2, 2], "c": [4, 4]}))
    kept = zip(found["device"].to_pylist(), found["mean"].to_pylist(), strict=True)
    assert list(kept) == [("a", 5.5), ("b", 3.5), ("b", 2), ("b", 2), ("c", 4), ("c", 4)]


VALUES = st.lists(st.sampled_from([None, 2, 2, 2, 3, 4]), min_size=1, max_size=LATER)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), VALUES, st.booleans())
@few_examples
def test_features_are_those_of_all_windows(before, later, is_encoded):
    new = readings(dict.fromkeys("abc", later), LATER)
    every = stored(before)
    given_rows = every
    if is_encoded and every.num_rows:
        given_rows = every.set_column(1, "device", every["device"].dictionary_encode())
    few = looked_at(given_rows).cast(STORED)
    assert few.num_rows <= every.num_rows
    expected, found = (aggregate_readings(new, MINUTE, stored=rows) for rows in (every, few))
    assert found.equals(expected)
