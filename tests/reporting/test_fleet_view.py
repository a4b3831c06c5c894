from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import EVERYTHING, FleetView, view_fleet
from tests.reporting.fleet_factory import START, fleet_of, prediction_rows, tables_of, unscored_rows

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def view(*tables: pa.Table, selection: Selection = EVERYTHING, days: int = 14, **more: pa.Table) -> FleetView:
    with tables_of(fleet_of(*tables, **more)) as stored:
        return view_fleet(stored["daily_totals"], days * DAY, selection)


def test_an_empty_fleet_has_no_range_and_empty_tables():
    seen = view()

    assert (seen.start, seen.end, seen.history) == (None, None, None)
    assert [seen.totals.num_rows, seen.series.num_rows, seen.devices.num_rows, seen.versions.num_rows] == [
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
    assert seen.devices["n_anomalies"].to_pylist() == [1]


def test_only_the_newest_days_are_reported_and_the_first_older_one_is_told():
    tables = [prediction_rows("a", start=START + i * DAY, anomalies=[i]) for i in range(3)]
    seen = view(*tables, days=2)

    assert (seen.start, seen.history) == (START + DAY, START)
    assert seen.series.select(["n_windows", "n_anomalies"]).to_pylist() == [
        {"n_windows": 6, "n_anomalies": 2}
    ]
    assert seen.versions["n_windows"].to_pylist() == [6]
    assert view(*tables, days=3).history is None


def test_the_range_of_a_device_that_fell_silent_ends_with_its_last_windows():
    tables = [prediction_rows("a", start=START), prediction_rows("b", start=START + 30 * DAY)]

    assert view(*tables).devices["device"].to_pylist() == ["b"]
    assert view(*tables, selection=Selection.read("a", None)).start == START


def test_a_fleet_without_any_prediction_still_has_its_totals():
    seen = view(unscored=unscored_rows("a", "power", 3))

    assert seen.start is None
    assert seen.totals.select(["status", "n_unscored"]).to_pylist() == [
        {"status": "no_model", "n_unscored": 3}
    ]


@settings(max_examples=25)
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
    for table in (seen.totals, seen.series, seen.devices):
        assert sum(table["n_windows"].to_pylist()) == len(rows)
        assert sum(table["n_anomalies"].to_pylist()) == n_bad
