import base64
import json
from datetime import timedelta

import numpy as np
import pytest

from batch_scoring.reporting.page import write_json
from batch_scoring.reporting.page_data import collect_page_data
from batch_scoring.reporting.settings import ReportParameters
from tests.reporting.fleet_factory import (
    START,
    fault_rows,
    fleet_of,
    gather,
    make_fleet,
    prediction_rows,
)

pytestmark = pytest.mark.slow

NAN = float("nan")
DAY = timedelta(days=1)


def data_of(*tables, faults=None, is_hourly=False, **parameters):
    fleet = fleet_of(*tables, faults=fault_rows() if faults is None else faults, is_hourly=is_hourly)
    return collect_page_data(gather(fleet, **parameters), ReportParameters(**parameters))


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), f"<{kind}")


def test_a_chart_keeps_values_gaps_scores_and_anomalies():
    chart = data_of(prediction_rows("a", values=[NAN, 1, NAN, 3, 4], anomalies=[3]))["charts"][0]

    assert chart["at"] == 0
    np.testing.assert_array_equal(unpacked(chart["value"], "f4"), [1, NAN, 3, 4])
    assert unpacked(chart["score"], "u2").tolist() == [65534, 65535, 0, 65534]
    assert (chart["low"], chart["high"]) == (-0.5, 0.4)
    assert unpacked(chart["anomalies"], "u4").tolist() == [2]
    assert unpacked(chart["severity"], "f4").tolist() == [0.75]
    assert chart["features"][unpacked(chart["feature"], "u1")[0]] == "mean"
    assert chart["threshold"] == [[0, -0.1]]


def test_a_severity_far_beyond_the_threshold_is_not_cut_off():
    chart = data_of(prediction_rows("a", anomalies=[1], severity=61.5))["charts"][0]

    assert unpacked(chart["severity"], "f4").tolist() == [61.5]


def test_a_series_that_starts_later_than_the_fleet_says_at_which_step():
    later = START + timedelta(minutes=15)
    data = data_of(prediction_rows("a", values=[1] * 6), prediction_rows("b", values=[1, 1], start=later))

    by_device = {data["devices"][data["series"][c["series"]][0]][0]: c for c in data["charts"]}
    assert by_device["b"]["at"] == 3


def test_a_threshold_that_changes_is_told_where():
    rows = prediction_rows("a", values=[1] * 4)
    rows = rows.set_column(6, "threshold", [[-0.1, -0.1, -0.2, -0.2]])

    assert data_of(rows)["charts"][0]["threshold"] == [[0, -0.1], [2, -0.2]]


def test_the_heat_map_counts_windows_and_anomalies_of_each_series_and_cell():
    data = data_of(
        prediction_rows("a", values=[1] * 12, anomalies=[0, 7, 8]), prediction_rows("b", values=[1] * 6)
    )

    heat = data["heat"]
    assert data["cell"] == 1800
    assert [row[:4] for row in data["series"]] == [[0, 0, 12, 3], [1, 0, 6, 0]]
    assert unpacked(heat["windows"], heat["kind"]).tolist() == [6, 6, 6, 0]
    assert unpacked(heat["anomalies"], heat["kind"]).tolist() == [1, 2, 0, 0]


def test_the_heat_map_has_days_where_not_all_windows_are_read():
    days = [prediction_rows("a", values=[1] * 9, anomalies=[4], start=START + i * DAY) for i in range(2)]
    data = data_of(*days, max_rows=9)

    assert data["cell"] == 86400
    assert unpacked(data["heat"]["windows"], "u2").tolist() == [9, 9]
    assert unpacked(data["heat"]["anomalies"], "u2").tolist() == [1, 1]


def test_charts_begin_with_the_newest_hours_where_not_all_windows_are_read():
    hours = [
        prediction_rows("a", values=[i] * 12, start=START + timedelta(minutes=20, hours=i)) for i in range(9)
    ]
    data = data_of(*hours, max_rows=24, is_hourly=True)
    (chart,) = data["charts"]

    assert data["start"] == (START + timedelta(minutes=20)).timestamp()
    assert data["details"] == (START + timedelta(hours=8)).timestamp()
    assert chart["at"] == 0
    assert unpacked(chart["value"], "f4").tolist() == [7] * 4 + [8] * 12


def test_counts_beyond_16_bits_take_32():
    second = timedelta(seconds=1)
    rows = prediction_rows("a", values=[1] * 70_000, window=second)
    heat = data_of(rows, prediction_rows("a", start=START + DAY, window=second), max_rows=1)["heat"]

    assert heat["kind"] == "u4"
    assert unpacked(heat["windows"], "u4").max() == 70_000


def test_the_page_holds_the_worst_devices_only():
    tables = [prediction_rows(f"d{i}", values=[1] * 9, anomalies=range(i)) for i in range(6)]
    data = data_of(*tables, max_devices=2)

    assert [row[0] for row in data["devices"]] == ["d5", "d4"]
    assert (data["n_devices"], len(data["charts"])) == (6, 2)
    assert data["counts"]["anomalies"] == 15


def test_only_the_worst_series_are_drawn_window_by_window():
    tables = [prediction_rows(f"d{i}", values=[1] * 30, anomalies=range(i)) for i in range(3)]
    steps = [(data["series"], data["step"]) for data in data_of(*tables, max_series=1)["charts"]]

    assert steps == [(0, 300), (1, 3600), (2, 3600)]


def test_known_faults_are_numbered_like_devices_and_sensors():
    labels = fault_rows(("a", "vibration", "spike", START, START + timedelta(minutes=5)))
    data = data_of(prediction_rows("a", anomalies=[0]), faults=labels)

    assert data["faults"] == [[0, 0, "spike", START.timestamp(), START.timestamp() + 300, True]]
    assert data["known"]["kinds"] == [["spike", 1, 1]]


@pytest.mark.parametrize("column", ["value", "score", "threshold", "severity"])
def test_numbers_that_are_not_finite_still_make_json(column):
    rows = prediction_rows("a", values=[0.0] * 5, anomalies=[1])
    numbers = [1.0, NAN, float("inf"), None, 2.0]
    rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), [numbers])

    assert json.loads(write_json(data_of(rows)))["n_series"] == 1


def test_a_fleet_without_predictions_makes_an_empty_page():
    data = data_of()

    assert (data["start"], data["devices"], data["charts"]) == (None, [], [])


def test_the_page_of_a_large_fleet_stays_small():
    fleet = make_fleet(60, 2)
    small = write_json(
        collect_page_data(
            gather(fleet, max_points=3000, max_devices=20),
            ReportParameters(max_devices=20, max_status_rows=10),
        )
    )

    assert len(small) < 120_000
