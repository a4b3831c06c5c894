from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.reporting.known_faults import FoundFaults
from tests.reporting.fleet_factory import START, fault_rows, fleet_of, gather, prediction_rows

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def match(faults: list, *tables: pa.Table, **parameters: object) -> FoundFaults | None:
    return gather(fleet_of(*tables, faults=fault_rows(*faults)), **parameters).found_faults


def fault(kind="spike", start=5, end=10, device="a", sensor="vibration"):
    return device, sensor, kind, START + start * MINUTE, START + end * MINUTE


def test_a_fault_is_found_when_an_anomalous_window_overlaps_it():
    found = match([fault(start=7, end=8)], prediction_rows("a", anomalies=[1]))

    assert found.by_kind == [("spike", 1, 1)]
    assert found.false_alarms == 0


@pytest.mark.parametrize(("start", "end"), [(0, 5), (10, 12)])
def test_a_fault_that_only_touches_the_anomalous_window_is_not_found(start, end):
    found = match([fault(start=start, end=end)], prediction_rows("a", anomalies=[1]))

    assert found.by_kind == [("spike", 0, 1)]
    assert found.false_alarms == 1


def test_an_anomaly_of_another_sensor_or_device_finds_nothing():
    found = match(
        [fault()],
        prediction_rows("a"),
        prediction_rows("a", "power", anomalies=[1]),
        prediction_rows("b", anomalies=[1]),
    )

    assert found.by_kind == [("spike", 0, 1)]
    assert found.false_alarms == 2


def test_faults_are_counted_by_kind():
    faults = [fault("spike"), fault("drift", 0, 5), fault("drift", 10, 15)]
    found = match(faults, prediction_rows("a", anomalies=[1, 2]))

    assert found.by_kind == [("drift", 1, 2), ("spike", 1, 1)]


def test_a_window_within_two_faults_finds_both_and_is_no_false_alarm():
    found = match([fault("spike"), fault("drift", 0, 60)], prediction_rows("a", anomalies=[1]))

    assert found.by_kind == [("drift", 1, 1), ("spike", 1, 1)]
    assert found.false_alarms == 0


def test_faults_outside_the_scored_range_or_the_fleet_do_not_count():
    elsewhere = [fault(start=-10, end=0), fault(start=15, end=20), fault(device="z"), fault(sensor="z")]

    assert match(elsewhere, prediction_rows("a", anomalies=[1])) is None


def test_a_fault_of_a_series_that_was_not_scored_is_missed():
    found = match([fault(sensor="power")], prediction_rows("a"), prediction_rows("b", "power"))

    assert found.by_kind == [("spike", 0, 1)]


def test_without_labels_or_predictions_there_is_nothing_to_tell():
    assert match([], prediction_rows("a")) is None
    assert match([fault()]) is None


def test_false_alarms_are_told_a_device_and_day():
    day = [1.0] * 288
    tables = [prediction_rows("a", s, values=day, anomalies=[5, 100, 200]) for s in ("power", "vibration")]
    found = match([fault(start=25, end=30)], *tables, prediction_rows("b", values=day))

    assert found.device_days == 2.0
    assert found.false_alarms == 5
    assert found.false_alarms_per_device_day == 2.5


def test_faults_are_compared_with_the_whole_days_of_which_all_windows_are_read():
    faults = [fault(start=1440 * i + 5, end=1440 * i + 10) for i in range(3)]
    tables = [prediction_rows("a", values=[1] * 4, anomalies=[1, 3], start=START + i * DAY) for i in range(3)]

    assert match(faults, *tables).by_kind == [("spike", 3, 3)]
    partly = match(faults, *tables, max_rows=8)
    assert (partly.by_kind, partly.false_alarms) == ([("spike", 2, 2)], 2)
    assert partly.device_days * 288 == 8
    newest = match(faults, *tables, max_rows=1)
    assert (newest.by_kind, newest.false_alarms) == ([("spike", 1, 1)], 1)
    assert match(faults, *tables, range="2d").by_kind == [("spike", 2, 2)]


def test_without_a_day_that_is_read_as_a_whole_faults_are_not_compared():
    hours = [prediction_rows("a", anomalies=[1], start=START + i * 60 * MINUTE) for i in (1, 2)]
    late = [prediction_rows("a", values=[1] * 20, start=START + 10 * DAY)]

    assert match([fault(start=60, end=70)], *hours, max_rows=1).by_kind == [("spike", 1, 1)]
    assert match([fault(start=60, end=70)], *hours, *late, max_rows=1) is None
