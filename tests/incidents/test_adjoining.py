"""What is unusual and then silent is one incident of its device, which keeps its id."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.adjoining import join_adjoining
from batch_scoring.incidents.devices import roll_up
from batch_scoring.tables.schemas import DEVICE_INCIDENTS
from tests.factories import DAY_US, START
from tests.incidents.test_devices import RULES, ended_gap, incidents, last_rows
from tests.predictions import WINDOW, window_number

DAY = 288
# Others go on.
RUNNING = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "st"), until=3 * DAY)


def rolled(*rows, gaps, since=0, **rules):
    every = pa.concat_tables([RUNNING, *gaps])
    return roll_up(incidents(*rows), every, replace(RULES, **rules), since).to_pylist()


def silent_since(window, *sensors, device="a"):
    return last_rows(*((device, sensor) for sensor in sensors), until=window)


def spans(rows):
    return [
        (row["kind"], window_number(row["start"]), window_number(row["end"]), row["state"]) for row in rows
    ]


def test_an_anomaly_goes_on_as_the_silence_of_its_device():
    unusual = ("a", "s", 80, 100, 4, "open")
    (before,) = rolled(unusual, gaps=[silent_since(3 * DAY, "s", "t")])
    (row,) = rolled(unusual, gaps=[silent_since(100, "s", "t")])
    assert row["incident_id"] == before["incident_id"]
    assert spans([row]) == [("device_silent", 80, 3 * DAY, "open")]
    assert window_number(row["last_start"]) == 100
    assert (row["sensors"], row["n_sensors"], row["n_incidents"], row["n_windows"]) == (["s", "t"], 2, 2, 20)
    assert (row["peak_severity"], row["peak_sensor"]) == (4.0, "s")
    assert row["advice"] == "sends nothing since 2026-01-05 08:20 UTC. unusual before: s"
    # It counts like the silence, which is more here.
    (alone,) = rolled(gaps=[silent_since(100, "s", "t")])
    assert (row["priority"], row["level"]) == (alone["priority"], alone["level"])
    assert alone["priority"] > before["priority"]


def test_it_closes_with_the_silence_when_usual_windows_come_back():
    gaps = [silent_since(3 * DAY, "s", "t"), *(ended_gap("a", one, 100, 2 * DAY) for one in "st")]
    (row,) = rolled(("a", "s", 80, 100, 4, "closed"), gaps=gaps)
    assert spans([row]) == [("device_silent", 80, 2 * DAY, "closed")]
    assert (
        row["advice"] == "sent nothing from 2026-01-05 08:20 UTC to 2026-01-07 00:00 UTC. unusual before: s"
    )


def test_it_goes_on_as_an_anomaly_when_what_comes_back_is_unusual():
    gaps = [silent_since(3 * DAY, "s", "t"), *(ended_gap("a", one, 100, 2 * DAY) for one in "st")]
    unusual, again = ("a", "s", 80, 100, 4, "closed"), ("a", "t", 2 * DAY, 2 * DAY + 9, 5, "open")
    (row,) = rolled(unusual, again, gaps=gaps)
    assert spans([row]) == [("anomaly", 80, 2 * DAY + 9, "open")]
    assert window_number(row["last_start"]) == 2 * DAY
    assert (row["peak_sensor"], row["n_windows"]) == ("t", 29)
    (first,) = rolled(unusual, gaps=[silent_since(3 * DAY, "s", "t")])
    assert row["incident_id"] == first["incident_id"]
    # An incident that begins with the silence keeps the id of that.
    (silence,) = rolled(gaps=gaps)
    (later,) = rolled(again, gaps=gaps)
    assert later["incident_id"] == silence["incident_id"]
    assert later["kind"] == "anomaly"


def test_a_silent_sensor_ends_its_own_anomaly_and_not_that_of_another():
    gaps = [silent_since(100, "s"), silent_since(3 * DAY, "t")]
    (row,) = rolled(("a", "s", 80, 100, 4, "open"), gaps=gaps)
    assert (spans([row]), row["sensors"]) == ([("sensor_silent", 80, 3 * DAY, "open")], ["s"])
    both = ("a", "s", 80, 100, 4, "open"), ("a", "t", 90, 3 * DAY, 4, "open")
    (row,) = rolled(*both, gaps=gaps)
    assert spans([row]) == [("anomaly", 80, 3 * DAY, "open")]
    assert row["advice"] == "s: sends nothing since 2026-01-05 08:20 UTC"
    # Of another sensor it says nothing.
    silent, other = sorted(rolled(both[1], gaps=gaps), key=lambda row: row["kind"], reverse=True)
    assert (silent["kind"], other["kind"], other["state"]) == ("sensor_silent", "anomaly", "open")


def test_what_was_over_before_the_silence_stays_apart_and_what_is_open_ends():
    gaps = [silent_since(100, "s", "t")]
    earlier, outlier = ("a", "s", 80, 90, 4, "closed"), ("a", "t", 99, 100, 4, "open")
    rows = rolled(earlier, outlier, gaps=gaps)
    assert sorted(spans(rows)) == [
        ("anomaly", 80, 90, "closed"),
        ("device_silent", 100, 3 * DAY, "open"),
        ("outlier", 99, 100, "closed"),
    ]


def test_a_silent_source_says_nothing_of_a_machine():
    silent = last_rows(*((f"z{i:02}", "s") for i in range(9)), ("a", "s"), until=100)
    every = pa.concat_tables([silent, last_rows(("b", "s"), until=3 * DAY)])
    rows = roll_up(incidents(("a", "s", 80, 100, 4, "open")), every, RULES, 0).to_pylist()
    assert sorted((row["kind"], row["device"], row["state"]) for row in rows) == [
        ("anomaly", "a", "open"), ("source_silent", "", "open"),
    ]  # fmt: skip


def test_a_change_of_unit_stays_apart_from_a_silence_and_is_over():
    unit = incidents(("a", "s", 80, 100, 4, "open")).to_pylist()[0] | {"unit": "°C → °F"}
    found = pa.Table.from_pylist([unit], incidents().schema)
    gaps = pa.concat_tables([RUNNING, silent_since(100, "s", "t")])
    silence, change = roll_up(found, gaps, RULES, 0).to_pylist()
    assert (silence["kind"], change["kind"], change["state"]) == ("device_silent", "anomaly", "closed")


def test_the_id_stays_while_any_part_of_it_is_listed():
    gaps = [silent_since(3 * DAY, "s", "t"), *(ended_gap("a", one, 100, 2 * DAY) for one in "st")]
    unusual, again = ("a", "s", 80, 100, 4, "closed"), ("a", "s", 2 * DAY, 2 * DAY + 9, 5, "closed")
    (row,) = rolled(unusual, again, gaps=gaps)
    day = int(START.timestamp() * 1e6)
    assert rolled(unusual, again, gaps=gaps, since=day + 2 * DAY_US, block_us=100_000 * DAY_US) == [row]
    assert rolled(unusual, again, gaps=gaps, since=day + 3 * DAY_US, block_us=100_000 * DAY_US) == []


def listed(kind, sensors, start, size, priority, state):
    """A row of the list as a test needs it."""
    return {
        "incident_id": f"{kind} {start} {sensors} {size} {priority}",
        "kind": kind,
        "device": "a",
        "start": START + start * WINDOW,
        "end": START + (start + size) * WINDOW,
        "last_start": START + start * WINDOW,
        "state": state,
        "priority": priority,
        "level": "low",
        "n_devices": 1,
        "devices": ["a"],
        "n_sensors": len(sensors),
        "sensors": sorted(sensors),
        "n_incidents": 1,
        "n_windows": 0 if "silent" in kind else size,
        "peak_severity": priority,
        "warming_up": False,
        "advice": "",
    }


ROWS = st.lists(
    st.builds(
        listed,
        st.sampled_from(["anomaly", "device_silent", "sensor_silent", "outlier", "source_silent"]),
        st.sets(st.sampled_from("stu"), min_size=1),
        st.integers(0, 40),
        st.integers(1, 9),
        st.sampled_from([0.2, 1.0, 4.0]),
        st.sampled_from(["open", "closed"]),
    ),
    max_size=8,
    unique_by=lambda row: row["incident_id"],
)


@given(ROWS, st.randoms(), st.integers(0, 6))
def test_rows_are_joined_as_by_looking_at_each_pair(rows, random, slack):
    def adjoin(one, other):
        if one["kind"] not in ("device_silent", "sensor_silent") or other["kind"] != "anomaly":
            return False
        apart = max(one["start"] - other["end"], other["start"] - one["end"])
        return other["priority"] > 0.5 and apart <= slack * WINDOW and {*one["sensors"]} & {*other["sensors"]}

    group = list(range(len(rows)))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            if adjoin(one, other):
                group = [group[i] if label == group[j] else label for label in group]
    expected = {}
    for label, row in zip(group, rows, strict=True):
        expected.setdefault(label, []).append(row)
    shuffled = pa.Table.from_pylist(random.sample(rows, len(rows)), DEVICE_INCIDENTS)
    found = join_adjoining(shuffled, slack * WINDOW // timedelta(microseconds=1)).to_pylist()
    assert len({row["incident_id"] for row in found}) == len(found) == len(expected)
    by_id = {row["incident_id"]: row for row in found}
    for parts in expected.values():
        (row,) = (by_id[one["incident_id"]] for one in parts if one["incident_id"] in by_id)
        first = min(one["start"] for one in parts)
        assert next(one for one in parts if one["incident_id"] == row["incident_id"])["start"] == first
        assert (row["start"], row["end"]) == (first, max(one["end"] for one in parts))
        assert row["state"] == max(one["state"] for one in parts)
        assert row["priority"] == max(one["priority"] for one in parts)
        assert row["n_windows"] == sum(one["n_windows"] for one in parts)
        assert {*row["sensors"]} == {name for one in parts for name in one["sensors"]}
        if len(parts) == 1:
            assert row == pa.Table.from_pylist(parts, DEVICE_INCIDENTS).to_pylist()[0]


def test_nothing_is_joined_where_there_is_nothing():
    assert join_adjoining(DEVICE_INCIDENTS.empty_table(), 0).num_rows == 0
