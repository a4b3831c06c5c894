"""Labels, simulated faults and feedback become one list of events; feedback has the last word."""

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.evaluation.known_events import known_events
from batch_scoring.tables.schemas import FAULT_LABELS, FEEDBACK, LABELS
from tests.evaluation.small_fleet import feedback, hour, labels

NO_FAULTS = pa.table({})


def known(known_labels, told=None, faults=NO_FAULTS, selection=None):
    told = FEEDBACK.empty_table() if told is None else told
    return known_events(known_labels, faults, told, selection or Selection())


def hours(table, *names):
    zero = hour(0)
    return [
        tuple((row[n] - zero).total_seconds() / 3600 if n in ("start", "end") else row[n] for n in names)
        for row in table.to_pylist()
    ]


def of_series(events):
    return hours(events.series, "sensor", "device", "start", "end", "kind")


def test_events_are_sorted_and_keep_their_kind():
    events = known(labels(("b", "s", 3, 4), ("a", "s", 5, 6, "drift"), ("a", "p", 7, 8)))
    assert of_series(events) == [("p", "a", 7, 8, None), ("s", "a", 5, 6, "drift"), ("s", "b", 3, 4, None)]


def test_events_of_a_series_that_overlap_are_one_and_those_that_touch_are_two():
    events = known(
        labels(("a", "s", 1, 3), ("a", "s", 2, 5, "drift"), ("a", "s", 4, 6, "spike"), ("a", "s", 6, 7))
    )
    assert of_series(events) == [("s", "a", 1, 6, "drift"), ("s", "a", 6, 7, None)]


def test_events_of_several_sensors_of_a_device_that_meet_are_one_event_of_it():
    events = known(labels(("a", "s", 1, 3), ("a", "p", 3, 4), ("b", "s", 2, 3), ("a", "p", 5, 6)))
    assert hours(events.devices, "device", "start", "end") == [("a", 1, 4), ("a", 5, 6), ("b", 2, 3)]


def test_a_true_event_is_added_and_joined_to_the_label_it_overlaps():
    told = feedback(("a", "s", 2, 4, "true_event"), ("b", "s", 8, 9, "true_event"))
    events = known(labels(("a", "s", 1, 3, "drift")), told)
    assert of_series(events) == [("s", "a", 1, 4, "drift"), ("s", "b", 8, 9, None)]


def test_a_false_alarm_is_cut_out_of_the_labels():
    told = feedback(("a", "s", 2, 4, "false_alarm"), ("b", "s", 0, 9, "false_alarm"))
    events = known(labels(("a", "s", 1, 6), ("b", "s", 2, 3), ("a", "p", 2, 3)), told)
    assert of_series(events) == [("p", "a", 2, 3, None), ("s", "a", 1, 2, None), ("s", "a", 4, 6, None)]


def test_an_event_of_all_sensors_is_one_of_each_and_joined_to_what_is_known_of_it():
    told = feedback(("a", "s", 4, 5, "false_alarm"), ("a", "p", 1, 2, "true_event"))
    events = known(labels(("a", "*", 2, 6, "worn"), ("a", "s", 1, 3), ("b", "*", 7, 8)), told)
    columns = ("device", "start", "end", "kind")
    assert hours(events.of_sensor("s", ["a", "b"]), *columns) == [
        ("a", 1, 4, "worn"),
        ("a", 5, 6, "worn"),
        ("b", 7, 8, None),
    ]
    assert hours(events.of_sensor("p", ["a"]), *columns) == [("a", 1, 2, None), ("a", 2, 6, "worn")]
    assert hours(events.devices, "device", "start", "end") == [("a", 1, 6), ("b", 7, 8)]


def test_an_event_of_all_sensors_counts_where_one_sensor_is_asked_for():
    events = known(labels(("a", "*", 1, 2), ("a", "p", 3, 4)), selection=Selection.read("a", "s"))
    assert hours(events.of_sensor("s", ["a"]), "sensor", "start") == [("s", 1)]


def test_simulated_faults_count_as_labels():
    row = {"device": "a", "sensor": "s", "kind": "spike", "start": hour(1), "end": hour(2), "size": 3.0}
    faults = pa.Table.from_pylist([row], schema=FAULT_LABELS)
    assert of_series(known(LABELS.empty_table(), faults=faults)) == [("s", "a", 1, 2, "spike")]


def test_events_of_others_than_those_asked_for_are_left_out():
    both = labels(("a", "s", 1, 2), ("b", "s", 1, 2), ("a", "p", 1, 2))
    assert of_series(known(both, selection=Selection.read("a", "s"))) == [("s", "a", 1, 2, None)]


def test_without_any_label_there_is_nothing_to_evaluate_by():
    with pytest.raises(InputError, match="there are no labels"):
        known(LABELS.empty_table())
