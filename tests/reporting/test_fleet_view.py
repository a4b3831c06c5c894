from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import EVERYTHING, choose_length, view_fleet
from tests.reporting.fleet_factory import START, loaders, prediction_partitions, prediction_rows


def view(*tables: pa.Table, selection: Selection = EVERYTHING):
    return view_fleet(loaders(prediction_partitions(*tables)), selection)


def test_an_empty_fleet_has_no_range_and_empty_tables():
    seen = view_fleet({})

    assert (seen.start, seen.end) == (None, None)
    assert [seen.cells.num_rows, seen.series.num_rows, seen.devices.num_rows, seen.anomalies.num_rows] == [
        0
    ] * 4


def test_the_range_goes_from_the_first_window_to_the_end_of_the_last():
    seen = view(prediction_rows("a", values=[1] * 3), prediction_rows("b", values=[1] * 5))

    assert (seen.start, seen.end) == (START, START + timedelta(minutes=25))
    assert seen.window == timedelta(minutes=5)


def test_devices_come_worst_first_and_name_their_worst_sensor():
    seen = view(
        prediction_rows("good", values=[1] * 9),
        prediction_rows("bad", "power", values=[1] * 9, anomalies=[3]),
        prediction_rows("bad", "vibration", values=[1] * 9, anomalies=[4, 5]),
        prediction_rows("so-so", values=[1] * 9, anomalies=[0]),
    )

    rows = seen.devices.to_pylist()
    assert [row["device"] for row in rows] == ["bad", "so-so", "good"]
    assert (rows[0]["n_anomalies"], rows[0]["n_windows"], rows[0]["worst_sensor"]) == (3, 18, "vibration")
    assert rows[0]["last_anomaly"] == START + timedelta(minutes=25)
    assert rows[2]["last_anomaly"] is None


def test_devices_that_are_equally_bad_come_by_name():
    seen = view(*(prediction_rows(name, anomalies=[1]) for name in ("b", "é", "a", "B")))

    assert seen.devices["device"].to_pylist() == ["B", "a", "b", "é"]


def test_a_cell_counts_the_windows_that_start_in_it():
    fortnight = [
        prediction_rows("a", values=[1] * 12, anomalies=[11], start=START + timedelta(days=d))
        for d in (0, 13)
    ]
    seen = view(*fortnight)

    assert seen.cell == timedelta(hours=4)
    cells = seen.cells.to_pylist()
    assert [(c["n_windows"], c["n_anomalies"], c["severity"]) for c in cells] == [
        (12, 1, 0.75),
        (12, 1, 0.75),
    ]
    assert cells[0]["cell"] == START.timestamp() // (4 * 3600)


def test_a_time_before_1970_lies_in_a_cell_below_zero():
    seen = view(prediction_rows("a", start=datetime(1969, 12, 31, 23, 50, tzinfo=UTC), values=[1, 1]))

    assert seen.cells["cell"].to_pylist() == [-1]


def test_versions_count_their_devices_once():
    later = START + timedelta(days=1)
    seen = view(
        prediction_rows("a", version="1"),
        prediction_rows("a", version="2", start=later),
        prediction_rows("b", version="2", start=later),
    )

    rows = seen.versions.select(["sensor", "model_version", "n_devices", "n_windows"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [("vibration", "1", 1, 3), ("vibration", "2", 2, 6)]


def test_a_selection_leaves_the_other_devices_and_sensors_out():
    tables = [prediction_rows(d, s, anomalies=[0]) for d in ("7", "007") for s in ("power", "vibration")]
    seen = view(*tables, selection=Selection.read("007", "power"))

    assert seen.series.select(["device", "sensor"]).to_pylist() == [{"device": "007", "sensor": "power"}]
    assert seen.anomalies["device"].to_pylist() == ["007"]


@given(st.floats(1, 1e10), st.integers(1, 1000), st.floats(1, 1e6))
def test_a_chosen_length_is_long_enough(span, at_most, at_least):
    length = choose_length(span, at_most, at_least)

    assert length >= int(at_least)
    assert span / length <= at_most or length >= 7168 * 86400


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["p", "q"]), st.integers(0, 3), st.booleans()),
        min_size=1,
        unique_by=lambda t: t[:3],
    )
)
def test_no_window_and_no_anomaly_is_lost_or_counted_twice(rows):
    tables = [
        prediction_rows(
            d, s, values=[1.0], anomalies=[0] if bad else [], start=START + timedelta(hours=7 * at)
        )
        for d, s, at, bad in rows
    ]
    seen = view(*tables)

    n_bad = sum(bad for *_, bad in rows)
    for table in (seen.cells, seen.series, seen.devices):
        assert sum(table["n_windows"].to_pylist()) == len(rows)
        assert sum(table["n_anomalies"].to_pylist()) == n_bad
    assert seen.anomalies.num_rows == n_bad


def test_the_view_does_not_depend_on_the_order_of_the_rows_in_time_partitions():
    tables = [
        prediction_rows(d, anomalies=[1], start=START + timedelta(days=i)) for i in range(3) for d in "ab"
    ]

    forward, backward = view(*tables), view(*reversed(tables))

    assert forward.cells.equals(backward.cells)
    assert forward.devices.equals(backward.devices)


def test_a_single_day_has_cells_of_half_an_hour():
    assert view(prediction_rows("a")).cell == timedelta(minutes=30)
