import json
from datetime import timedelta
from math import log10

import pytest

from batch_scoring.reporting.page import write_json
from batch_scoring.reporting.page_data import collect_page_data
from batch_scoring.reporting.settings import ReportParameters
from tests.reporting.fleet_factory import START, fleet_of, gather, prediction_rows, with_stay

pytestmark = pytest.mark.slow

AT = START.timestamp()


def data_of(*tables, has_incidents=True, **parameters):
    fleet = fleet_of(*tables, has_incidents=has_incidents)
    return collect_page_data(gather(fleet, **parameters), ReportParameters(**parameters))["incidents"]


def test_an_incident_says_who_when_how_bad_and_what_is_behind_it():
    parts = {"std": 0.2, "mean": 3.0, "max": 0.0}
    rows = prediction_rows("a", "power", [1] * 60, anomalies=[1, 2], severity=12.5, contributions=parts)
    data = data_of(rows)

    assert (data["known"], data["n"], data["n_open"], data["decades"]) == (True, 1, 0, True)
    (row,) = data["rows"]
    assert row[:5] == ["anomaly", "a", AT + 300, AT + 900, False]
    assert row[5:7] == ["low", pytest.approx((0.3 + log10(13.5)) * 1.9, rel=1e-3)]
    assert row[7:15] == [["a"], 1, ["power"], 1, 1, 2, 12.5, AT + 300]
    assert row[15:18] == ["power", "mean", "1, usual by itself (−1 to 1)"]
    told = [("mean", 3.0), ("std", 0.2)]
    assert row[18] == [["power", AT + 300, AT + 900, False, 2, 12.5, "mean", AT + 300, 1.0, 0.1, told]]


def test_what_no_feature_alone_explains_is_told_of_all_together():
    rows = prediction_rows("a", anomalies=[1, 2], contributions={"mean": 0.2, "std": 0.3})

    assert data_of(rows)["rows"][0][18][0][10] == [("", 0.5), ("std", 0.3), ("mean", 0.2)]


def test_open_ones_and_single_windows_are_counted():
    data = data_of(
        prediction_rows("a", values=[1] * 60, anomalies=[1, 2]),
        prediction_rows("b", anomalies=[1, 2]),
        prediction_rows("c", values=[0.5, 0.5, 7.25], anomalies=[2]),
    )

    assert (data["n"], data["n_open"], data["n_outliers"]) == (2, 1, 1)
    assert [row[4] for row in data["rows"]] == [True, False]
    assert data["outliers"] == [["c", "vibration", AT + 600, 0.75, "mean", "7.25, expected −1 to 1"]]


def test_the_charts_marks_are_numbered_like_devices_and_sensors():
    later = START + timedelta(hours=5)
    data = data_of(
        prediction_rows("a", "power", anomalies=[0]),
        prediction_rows("b", "power", values=[1] * 6),
        prediction_rows("a", "vibration", anomalies=[2], start=later),
    )

    assert data["marks"] == [
        [0, 1, AT + 18600, AT + 18900, 0.75, True],
        [0, 0, AT, AT + 300, 0.75, True],
    ]


def test_the_page_lists_so_many_and_counts_all():
    data = data_of(*(prediction_rows(f"d{i}", anomalies=[1, 2]) for i in range(4)), max_incidents=2)

    assert (len(data["rows"]), data["n"]) == (2, 4)
    assert all(len(row[18]) == 1 for row in data["rows"])


def test_a_stay_that_lasts_too_long_is_behind_its_incident():
    fleet = fleet_of(prediction_rows("a", "power", [1] * 60), **with_stay("a", "power", 1, 2.0, 5))
    (row,) = collect_page_data(gather(fleet), ReportParameters())["incidents"]["rows"]

    assert (row[2], row[12], row[17], row[18]) == (AT + 3 * 3600, 0, "for 4 h, expected up to 2 h", [])
    hours = [AT + hour * 3600 for hour in (1, 3, 5)]
    assert row[23] == [["a", "power", *hours, True, "for 4 h, expected up to 2 h"]]


def test_without_a_list_nothing_is_known():
    data = data_of(prediction_rows("a", anomalies=[1]), has_incidents=False)

    assert (data["known"], data["n"], data["rows"]) == (False, 0, [])


@pytest.mark.parametrize("severity", [float("inf"), 1e300])
def test_a_severity_without_measure_still_makes_json(severity):
    data = data_of(prediction_rows("a", anomalies=[1, 2], severity=severity))

    assert json.loads(write_json(data))["n"] == 1


def test_those_of_young_models_are_marked_and_last():
    data = data_of(
        prediction_rows("a", anomalies=[1, 2], severity=9.0, young=True),
        prediction_rows("b", anomalies=[1, 2]),
    )

    assert data["n_warming_up"] == 1
    assert [(row[1], row[19]) for row in data["rows"]] == [("b", False), ("a", True)]
