"""Totals added hour by hour are a count of all; what came late is found."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.scoring.totals import (
    COUNTED,
    SERIES_DAY,
    late_series,
    merge_totals,
    scored_totals,
    silent_totals,
    sorted_totals,
    states,
    unscored_totals,
)
from batch_scoring.tables.arrow_arrays import empty_table, strings
from batch_scoring.tables.schemas import BIN_EDGES, DAILY, DAILY_KEY, PREDICTIONS
from tests.factories import DAY_US, START, START_US
from tests.scoring.work import PER_DAY, WINDOW_US, count_days

# Of sensor t the scores are no tail probabilities.
SENSORS = "st"


def is_tail(sensor: str, _: str) -> bool:
    return sensor == "s"


def predictions(rows: list[tuple[str, str, int, float]], version: str = "1") -> pa.Table:
    """Predictions from (sensor, device, step, decades)."""
    made = [
        {
            "window_start": START_US + step * WINDOW_US,
            "window_end": START_US + (step + 1) * WINDOW_US,
            "device": device,
            "sensor": sensor,
            "score": -decades,
            "threshold": -2.0,
            "is_anomaly": decades > 2,
            "severity": max(0.0, decades - 2),
            "model_version": version,
        }
        for sensor, device, step, decades in rows
    ]
    schema = pa.schema([PREDICTIONS.field(name) for name in COUNTED])
    arrays = [pa.array([row[name] for row in made]) for name in COUNTED]
    return pa.table([one.cast(kind) for one, kind in zip(arrays, schema.types, strict=True)], schema=schema)


series = st.tuples(st.sampled_from(SENSORS), st.sampled_from("abß"), st.integers(0, 3 * PER_DAY - 1))
scores = st.sampled_from([0.0, 0.999, *BIN_EDGES, 2.5, 40.0])
fleets = st.dictionaries(series, scores, max_size=40)


@pytest.mark.slow
@given(fleets, st.lists(st.integers(1, 3 * PER_DAY), max_size=4), st.integers(0, 9))
def test_totals_added_hour_by_hour_are_those_of_all_at_once(fleet, cuts, seed):
    rows = [(*key, decades) for key, decades in fleet.items()]
    np.random.default_rng(seed).shuffle(rows)
    edges = [0, *sorted(set(cuts)), 3 * PER_DAY]
    merged = empty_table(DAILY)
    for first, last in itertools.pairwise(edges):
        part = predictions(
            [(s, d, int(step), float(x)) for s, d, step, x in rows if first <= int(step) < last]
        )
        new = scored_totals(part, is_tail)
        assert late_series(merged, new).num_rows == 0
        merged = merge_totals(merged, new)
    at_once = scored_totals(predictions([(s, d, int(n), float(x)) for s, d, n, x in rows]), is_tail)
    assert merged.equals(at_once)
    assert at_once.schema == DAILY
    assert at_once.equals(at_once.sort_by([(name, "ascending") for name in DAILY_KEY]))


@given(fleets)
def test_totals_are_what_counting_one_by_one_gives(fleet):
    table = predictions([(*key, decades) for key, decades in fleet.items()])
    counted = count_days(dict(zip(fleet, table.to_pylist(), strict=True)))
    for (sensor, device, day, _), row in counted.items():
        its = [x for (s, d, n), x in fleet.items() if (s, d, n // PER_DAY) == (sensor, device, day)]
        bins = np.searchsorted(BIN_EDGES, its, "right")
        row["decades"] = np.bincount(bins, minlength=len(BIN_EDGES) + 1).tolist() if sensor == "s" else []
    found = scored_totals(table, is_tail).to_pylist()
    assert found == [
        counted[key] for key in sorted(counted, key=lambda key: (*(t.encode() for t in key[:2]), key[2]))
    ]


def test_versions_of_a_day_are_rows_of_their_own():
    parts = [predictions([("s", "a", 0, 0.0), ("s", "a", 1, 3.0)]), predictions([("s", "a", 2, 3.0)], "2")]
    totals = merge_totals(*(scored_totals(part, is_tail) for part in parts))
    assert totals["model_version"].to_pylist() == ["1", "2"]
    assert totals["n_alarms"].to_pylist() == [1, 1]


def test_an_alarm_that_goes_on_is_one():
    parts = [predictions([("s", "a", 0, 3.0)]), predictions([("s", "a", 1, 3.0), ("s", "a", 2, 0.0)])]
    (row,) = merge_totals(*(scored_totals(part, is_tail) for part in parts)).to_pylist()
    assert (row["n_anomalies"], row["n_alarms"], row["begins_flagged"], row["ends_flagged"]) == (
        2,
        1,
        True,
        False,
    )
    assert row["last_anomaly"] == START.replace(hour=4)
    assert row["decades"] == [1, 0, 0, 0, 2]


def test_series_with_a_window_that_is_not_later_than_all_are_found():
    stored = scored_totals(predictions([("s", "a", 2, 0.0), ("s", "b", 2, 0.0), ("t", "a", 2, 0.0)]), is_tail)
    left = unscored_totals(windows([("s", "c", 3)]), np.array([False]))
    new = scored_totals(
        predictions(
            [("s", "a", 3, 0.0), ("s", "b", 1, 0.0), ("s", "c", 3, 0.0), ("s", "b", PER_DAY, 0.0)], "2"
        ),
        is_tail,
    )
    late = late_series(sorted_totals(pa.concat_tables([stored, left])), new)
    assert late.column_names == list(SERIES_DAY)
    assert late.to_pylist() == [{"sensor": "s", "device": device, "day": START} for device in "bc"]


def windows(rows: list[tuple[str, str, int]]) -> pa.Table:
    return predictions([(*row, 0.0) for row in rows]).select(["sensor", "device", "window_start"])


def test_windows_without_a_prediction_are_counted_with_the_reason():
    some = windows([("s", "b", 1), ("s", "a", 0), ("s", "a", PER_DAY), ("s", "b", 3)])
    totals = unscored_totals(some, np.array([True, False, False, True]))
    assert [(row["device"], row["day"], row["n_unscored"], row["status"]) for row in totals.to_pylist()] == [
        ("a", START, 1, "no_model"),
        ("a", START.replace(day=6), 1, "no_model"),
        ("b", START, 2, "bad_features"),
    ]
    assert [row["last_start"] for row in totals.to_pylist()][-1] == START.replace(hour=12)
    assert totals["last_end"].null_count == 3
    more = unscored_totals(windows([("s", "b", 4)]), np.array([True]))
    assert merge_totals(totals, more)["n_unscored"].to_pylist() == [1, 1, 3]


def test_a_silent_device_is_so_until_it_has_a_window():
    day = START_US // DAY_US
    silent = silent_totals("s", strings(["a", "b"]), day)
    assert silent.schema == DAILY
    merged = merge_totals(silent, scored_totals(predictions([("s", "b", 0, 0.0)]), is_tail))
    assert [(row["device"], row["status"]) for row in merged.to_pylist()] == [("a", "no_data"), ("b", "ok")]
    assert states(merged) == {"ok": 1, "no_data": 1}


def test_nothing_gives_totals_of_nothing():
    nothing = predictions([])
    assert scored_totals(nothing, is_tail).schema == DAILY
    assert unscored_totals(nothing, np.zeros(0, bool)).num_rows == 0
    assert merge_totals(empty_table(DAILY), empty_table(DAILY)).num_rows == 0
    assert states(empty_table(DAILY)) == {}
