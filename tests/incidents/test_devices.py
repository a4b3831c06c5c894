"""What a person looks at first: lasting evidence, events of the fleet, silence; outliers last."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.devices import RollUpRules, roll_up
from batch_scoring.incidents.expected import expected_words
from batch_scoring.incidents.silence import SilenceRules
from batch_scoring.incidents.steps import CHANGE_OF_UNIT
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, GAPS, INCIDENTS, OF_LEVEL
from tests.factories import DAY_US, MINUTE_US, START
from tests.predictions import WINDOW, window_number

SILENCE = SilenceRules(30 * MINUTE_US, 12 * 60 * MINUTE_US)
RULES = RollUpRules(10 * MINUTE_US, SILENCE, outlier_windows=1, flapping_us=0)


def incidents(*rows, young=()):
    """Rows of (device, sensor, first window, window after the last, evidence, state[, windows])."""
    return pa.Table.from_pylist(
        [
            {
                "incident_id": f"{device}{sensor}{start}",
                "device": device,
                "sensor": sensor,
                "start": START + start * WINDOW,
                "end": START + end * WINDOW,
                "state": state,
                "n_windows": n_windows[0] if n_windows else end - start,
                "peak_severity": float(evidence),
                "peak_at": START + start * WINDOW,
                "top_feature": f"feature of {sensor}",
                "model_version": "1",
                "evidence": float(evidence),
                "evidence_at_end": 0.0,
                "warming_up": device in young,
            }
            for device, sensor, start, end, evidence, state, *n_windows in rows
        ],
        schema=INCIDENTS,
    )


def last_rows(*series, until=0):
    """The last row of each (device, sensor), which has sent for ten days up to a window."""
    return pa.Table.from_pylist(
        [
            {"device": device, "sensor": sensor, "state": "last"}
            | {"start": START + until * WINDOW, "first_start": START - timedelta(days=10)}
            for device, sensor in series
        ],
        schema=GAPS,
    )


def ended_gap(device, sensor, start, end):
    """A gap of windows, by the first one missing and the next one there."""
    span = {"start": START + start * WINDOW, "end": START + end * WINDOW}
    return pa.Table.from_pylist([{"device": device, "sensor": sensor, "state": "ended"} | span], GAPS)


def rolled(*rows, gaps=None, young=()):
    """Roll up incidents in a fleet so large that they are no event of it."""
    large = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "stu"))
    return roll_up(incidents(*rows, young=young), large if gaps is None else gaps, RULES, 0)


def test_overlapping_incidents_of_a_device_are_one():
    table = rolled(
        ("a", "s", 0, 9, 1, "closed"), ("a", "t", 3, 4, 3, "closed"), ("a", "u", 11, 12, 0.5, "closed")
    )
    assert table.schema == DEVICE_INCIDENTS
    (row,) = table.to_pylist()
    assert (row["kind"], window_number(row["start"]), window_number(row["end"])) == ("anomaly", 0, 12)
    assert (row["device"], row["devices"], row["n_devices"]) == ("a", ["a"], 1)
    assert row["sensors"] == ["t", "s", "u"]
    assert (row["n_sensors"], row["n_incidents"], row["n_windows"]) == (3, 3, 11)
    assert (row["peak_severity"], row["top_feature"]) == (3.0, "feature of t")
    assert window_number(row["peak_at"]) == 3
    assert (row["priority"], row["level"]) == (4.5, "medium")


def test_devices_and_times_further_apart_stay_apart():
    table = rolled(
        ("a", "s", 0, 2, 1, "closed"), ("b", "s", 0, 2, 1, "closed"), ("a", "t", 5, 7, 1, "closed")
    )
    assert [(row["device"], window_number(row["start"])) for row in table.to_pylist()] == [
        ("a", 5), ("a", 0), ("b", 0),
    ]  # fmt: skip


def test_a_sensor_that_comes_again_counts_once_by_its_worst():
    (row,) = rolled(("a", "s", 0, 1, 1, "closed"), ("a", "s", 2, 3, 7, "closed")).to_pylist()
    assert (row["sensors"], row["n_incidents"], row["priority"]) == (["s"], 2, 7.0)


def test_more_than_three_sensors_are_not_worse():
    (row,) = rolled(*(("a", f"s{i}", 0, 2, 1 + i, "closed") for i in range(6))).to_pylist()
    assert (row["n_sensors"], row["priority"]) == (6, 6.0 + 5.0 + 4.0)


def test_priority_counts_open_ones_three_times_and_single_windows_come_last():
    table = rolled(
        ("severe", "s", 0, 2, 9, "closed"),
        ("mild", "s", 0, 2, 0.7, "closed"),
        ("several", "s", 0, 2, 6, "closed"),
        ("several", "t", 0, 2, 6, "closed"),
        ("open", "s", 0, 2, 3.5, "open"),
        ("wild", "s", 0, 1, 20, "open"),
        ("odd", "s", 0, 1, 4, "open"),
    )
    assert table["device"].to_pylist() == ["several", "open", "severe", "mild", "wild", "odd"]
    assert table["kind"].to_pylist() == ["anomaly"] * 4 + ["outlier"] * 2
    assert table["priority"].to_pylist()[4] < 0.5 < table["priority"].to_pylist()[3]
    assert table["level"].to_pylist() == ["critical", "medium", "high", "low", "low", "low"]


def test_what_was_over_weeks_ago_gives_way():
    week = 7 * DAY_US // (5 * MINUTE_US)
    old, now = ("old", "s", 0, 2, 9, "closed"), ("now", "s", 2 * week, 2 * week + 2, 5, "closed")
    last_week = ("last week", "s", week + 2, week + 4, 6, "closed")
    assert rolled(old, last_week, now)["device"].to_pylist() == ["last week", "now", "old"]


def test_a_single_window_of_an_hour_is_no_outlier():
    (row,) = rolled(("a", "s", 0, 12, 4, "open", 1)).to_pylist()
    assert (row["kind"], row["priority"]) == ("anomaly", 4.0)


@pytest.mark.parametrize(
    ("severity", "n_windows", "known", "kind"),
    [
        (0.9, 1, {}, "outlier"),
        (1.0, 1, {}, "anomaly"),
        (0.9, 2, {}, "anomaly"),
        (0.9, 0, {}, "anomaly"),  # a stay
        (0.9, 1, {"beyond_limits": True}, "anomaly"),
        (0.9, 1, {"among_rare": True}, "anomaly"),
        (0.9, 1, {"step": -3.0}, "anomaly"),
        (0.9, 1, {"expected": None}, "anomaly"),  # of a detector whose severities are no decades
    ],
)
def test_a_single_window_near_the_threshold_may_be_chance(severity, n_windows, known, kind):
    rows = incidents(("a", "s", 0, 72, severity, "open", n_windows)).to_pylist()
    rows = pa.Table.from_pylist([rows[0] | {"expected": 0.0} | known], schema=INCIDENTS)
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(60)))
    assert roll_up(rows, gaps, RULES, 0)["kind"].to_pylist() == [kind]
    (row,) = roll_up(rows, gaps, replace(RULES, outlier_windows=0), 0).to_pylist()
    assert row["kind"] == "anomaly"


def test_single_windows_near_the_threshold_flap_as_one_incident():
    day = DAY_US // (5 * MINUTE_US)
    rows = [("a", "s", i * day // 2, i * day // 2 + 12, 0.5, "closed", 1) for i in range(3)]
    (row,) = flapping(*rows)
    assert (row["kind"], row["n_windows"]) == ("anomaly", 3)


def test_two_windows_are_an_outlier_of_one_sensor_or_of_two_and_three_are_not():
    rules = replace(RULES, outlier_windows=2)
    gaps = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "st"))
    one, other = ("a", "s", 0, 2, 9, "closed"), ("b", "s", 0, 1, 9, "closed")
    both = incidents(one, other, ("b", "t", 0, 1, 9, "closed"), ("c", "s", 0, 3, 1, "closed"))
    table = roll_up(both, gaps, rules, 0)
    assert dict(zip(*table.select(["device", "kind"]).to_pydict().values(), strict=True)) == {
        "a": "outlier", "b": "outlier", "c": "anomaly",
    }  # fmt: skip


def test_what_lasts_counts_by_the_decade_of_its_hours():
    (hour,) = rolled(("a", "s", 0, 12, 4, "closed")).to_pylist()
    (ten,) = rolled(("a", "s", 0, 60, 4, "closed"), ("a", "t", 60, 120, 2, "closed")).to_pylist()
    assert (hour["priority"], ten["priority"]) == (4.0, (4 + 2) * 2.0)


def flapping(*rows):
    gaps = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "stu"))
    rules = replace(RULES, flapping_us=DAY_US)
    return roll_up(incidents(*rows), gaps, rules, 0).to_pylist()


def test_a_sensor_that_is_unusual_again_within_a_day_is_one_incident_and_others_are_not():
    first, again = ("a", "s", 0, 12, 4, "closed"), ("a", "s", 200, 308, 4, "open")
    later, other = ("a", "s", 700, 712, 4, "closed"), ("a", "t", 100, 112, 4, "closed")
    rows = flapping(first, again, later, other, ("b", "s", 100, 112, 3, "closed"))
    spans = [(row["device"], row["sensors"], window_number(row["start"]), row["n_incidents"]) for row in rows]
    assert spans == [
        ("a", ["s"], 0, 2), ("a", ["s"], 700, 1), ("a", ["t"], 100, 1), ("b", ["s"], 100, 1),
    ]  # fmt: skip
    # Its length is that of its parts, ten hours; and it keeps the id of the first.
    assert rows[0]["priority"] == pytest.approx(4 * 2.0)
    assert rows[0]["incident_id"] == flapping(first)[0]["incident_id"]
    assert [window_number(row["last_start"]) for row in rows] == [200, 700, 100, 100]
    assert (rows[0]["state"], window_number(rows[0]["end"])) == ("open", 308)


def test_what_flaps_for_ever_is_one_incident_a_block():
    daily = [("a", "s", day * 288, day * 288 + 12, 4, "closed") for day in range(8)]
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(60)))
    rules = replace(RULES, flapping_us=DAY_US, block_us=3 * DAY_US)
    days = microseconds(START) // DAY_US
    rows = roll_up(incidents(*daily), gaps, rules, 0).to_pylist()
    spans = sorted((window_number(row["start"]) // 288, row["n_incidents"]) for row in rows)
    border = -days % 3 or 3
    firsts = [0, *range(border, 8, 3)]
    assert spans == list(zip(firsts, np.diff([*firsts, 8]).tolist(), strict=True))
    # What ended before the first day of the list is left out, and the rest stays as it is.
    since = microseconds(START) + (border + 1) * DAY_US
    kept = roll_up(incidents(*daily), gaps, rules, since).to_pylist()
    assert kept == [row for row in rows if window_number(row["start"]) >= border * 288]


def test_wild_readings_do_not_flap():
    rows = flapping(*(("a", "s", at, at + 1, 4, "closed") for at in (0, 100, 200)))
    assert [row["kind"] for row in rows] == ["outlier"] * 3


def test_a_window_among_rare_ones_is_no_wild_reading():
    alone = incidents(("a", "s", 0, 1, 4, "closed"))
    place = alone.schema.get_field_index("among_rare")
    among = alone.set_column(place, alone.schema.field(place), pa.array([True]))
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(60)))
    (row,) = roll_up(among, gaps, RULES, 0).to_pylist()
    assert (row["kind"], row["priority"], row["advice"]) == (
        "anomaly", 4.0, "s: the hour before or after it is unusual, too",
    )  # fmt: skip
    assert roll_up(alone, gaps, RULES, 0)["kind"].to_pylist() == ["outlier"]


@pytest.mark.parametrize(
    ("column", "value", "advice"),
    [("step", -7.5, "the level steps by −7.5"), ("unit", "°C → °F", f"{CHANGE_OF_UNIT}, °C → °F")],
)
def test_a_step_is_no_wild_reading_and_says_so(column, value, advice):
    alone = incidents(("a", "s", 0, 1, 4, "closed"))
    for name, one in {"step": 3.0, column: value}.items():
        place = alone.schema.get_field_index(name)
        alone = alone.set_column(place, alone.schema.field(place), pa.array([one]))
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(60)))
    (row,) = roll_up(alone, gaps, RULES, 0).to_pylist()
    assert (row["kind"], row["advice"]) == ("anomaly", f"s: {advice}")
    # Nobody needs to look at a machine whose unit has changed.
    assert (row["priority"] < 0.5) == (column == "unit")


def test_the_worst_window_says_what_would_have_been_usual():
    both = incidents(("a", "s", 0, 9, 1, "closed"), ("a", "t", 3, 4, 3, "closed"))
    for n, name in enumerate(("top_value", "expected", "lower", "upper")):
        place = both.schema.get_field_index(name)
        both = both.set_column(place, both.schema.field(place), pa.array([n + 0.5, n + 10.5]))
    gaps = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "st"))
    (row,) = roll_up(both, gaps, RULES, 0).to_pylist()
    assert [row[name] for name in ("peak_sensor", "top_value", "expected", "lower", "upper")] == [
        "t", 10.5, 11.5, 12.5, 13.5,
    ]  # fmt: skip


@pytest.mark.parametrize(("n_level", "leads"), [(None, "std"), (0, "std"), (10, "std"), (11, "mean")])
def test_a_level_that_is_off_in_most_windows_leads_and_not_the_step_to_it(n_level, leads):
    (one,) = incidents(("a", "s", 0, 20, 9, "closed")).to_pylist()
    level = dict(zip(OF_LEVEL, [n_level, 4.0, 3.0, 20.0, 19.0, 21.0], strict=True)) if n_level else {}
    step = {"top_feature": "std", "top_value": 8.0, "expected": 1.0, "lower": 0.5, "upper": 1.5}
    found = pa.Table.from_pylist([one | step | level], INCIDENTS)
    (row,) = roll_up(found, last_rows(*((f"z{i}", "s") for i in range(60))), RULES, 0).to_pylist()
    assert row["peak_severity"] == 9.0
    words = {"std": "8, expected 0.5 to 1.5", "mean": "3, expected 19 to 21"}
    assert (row["top_feature"], expected_words(row)) == (leads, words[leads])


def told(**advice):
    """A device's incident of two sensors: hours of one, and a worse single window of the other."""
    rows = incidents(("a", "s", 0, 20, 15, "closed"), ("a", "t", 3, 4, 1, "closed")).to_pylist()
    severities = zip(rows, (2.0, 9.0), strict=True)
    rows = [row | {"peak_severity": severity} | advice.get(row["sensor"], {}) for row, severity in severities]
    gaps = last_rows(*((f"z{i}", sensor) for i in range(60) for sensor in "st"))
    (row,) = roll_up(pa.Table.from_pylist(rows, INCIDENTS), gaps, RULES, 0).to_pylist()
    return row


def test_an_incident_is_told_by_the_sensor_with_the_most_evidence_and_its_peak_is_the_worst_window():
    row = told()
    assert (row["peak_severity"], window_number(row["peak_at"])) == (9.0, 3)
    assert (row["peak_sensor"], row["top_feature"]) == ("s", "feature of s")


def test_a_change_of_unit_does_not_tell_an_incident_in_which_there_is_something_else():
    row = told(s={"unit": "°C → °F", "shift": 40.0})
    assert "looks like a change of unit" in row["advice"]
    assert (row["peak_sensor"], row["top_feature"]) == ("t", "feature of t")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("shift", -49251.3, "level off by −49251, then back"),
        ("shift", 1.0249, "level off by +1.02, then back"),
        ("step", 5000.4, "the level steps by +5000"),
        ("step", -2.5e-6, "the level steps by −2.5e−6"),
    ],
)
def test_a_difference_has_a_sign_and_the_digits_that_matter(column, value, words):
    assert told(s={column: value})["advice"] == f"s: {words}"


def test_one_open_incident_keeps_the_device_open():
    assert rolled(("a", "s", 0, 1, 1, "open"), ("a", "t", 0, 5, 1, "closed"))["state"].to_pylist() == ["open"]


def test_the_id_does_not_depend_on_what_came_later():
    alone = rolled(("a", "s", 0, 1, 1, "open"))
    grown = rolled(("a", "s", 0, 4, 1, "closed"), ("a", "t", 2, 5, 9, "open"))
    assert (alone["kind"].to_pylist(), grown["kind"].to_pylist()) == (["outlier"], ["anomaly"])
    assert alone["incident_id"] == grown["incident_id"]


def test_what_begins_on_many_devices_at_once_is_one_event_of_the_fleet():
    # Ten minutes apart, which is the slack.
    hit = [(f"d{i:02}", "s", i % 2 * 2, 6 + i % 2, 1 + i, "closed") for i in range(10)]
    series = [(f"d{i:02}", "s") for i in range(50)]
    # A device is one of the fleet however many gaps it has had.
    gaps = pa.concat_tables([last_rows(*series), *(ended_gap(*one, -9, -6) for one in series)])
    table = rolled(*hit, ("d49", "t", 0, 5, 2, "closed"), ("d48", "s", 300, 305, 2, "closed"), gaps=gaps)
    event, *others = table.to_pylist()
    assert (event["kind"], event["device"], event["n_devices"], event["sensors"]) == (
        "fleet_event", "", 10, ["s"],
    )  # fmt: skip
    assert event["devices"] == [f"d{i:02}" for i in reversed(range(10))]
    # Of each sensor the worst device counts.
    assert event["priority"] == pytest.approx(10 * 2)
    assert [(row["kind"], row["device"]) for row in others] == [("anomaly", "d48"), ("anomaly", "d49")]


@pytest.mark.parametrize(("later", "kinds"), [(72, ["fleet_event"]), (144, ["anomaly"] * 6)])
def test_what_begins_in_the_next_of_long_windows_begins_at_once(later, kinds):
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(24)))
    rows = [(d, "s", 0, 72, 2, "closed", 1) for d in "abc"]
    rows += [(d, "s", later, later + 72, 2, "closed", 1) for d in "def"]
    assert roll_up(incidents(*rows), gaps, RULES, 0)["kind"].to_pylist() == kinds


@pytest.mark.parametrize(("n_hit", "n_devices"), [(4, 7), (3, 6), (3, 3), (5, 10)])
def test_half_of_a_small_fleet_is_an_event(n_hit, n_devices):
    hit = [(f"d{i:02}", "s", 0, 6, 1, "closed") for i in range(n_hit)]
    (event,) = rolled(*hit, gaps=last_rows(*((f"d{i:02}", "s") for i in range(n_devices)))).to_pylist()
    assert (event["kind"], event["n_devices"]) == ("fleet_event", n_hit)


@pytest.mark.parametrize(("n_hit", "n_devices"), [(2, 2), (3, 7), (4, 10), (9, 50), (5, 60), (5, 26)])
def test_a_few_devices_of_many_are_no_event(n_hit, n_devices):
    hit = [(f"d{i:02}", "s", 0, 6, 1, "closed") for i in range(n_hit)]
    table = rolled(*hit, gaps=last_rows(*((f"d{i:02}", "s") for i in range(n_devices))))
    assert set(table["kind"].to_pylist()) == {"anomaly"}


def test_an_event_names_a_hundred_devices_and_is_warming_up_where_all_its_incidents_are():
    series = [(f"d{i:03}", "s") for i in range(101)]
    hit = [(*one, 0, 6, 1, "closed") for one in series]
    (event,) = rolled(*hit, gaps=last_rows(*series), young=["d000"]).to_pylist()
    assert (event["n_devices"], len(event["devices"]), event["warming_up"]) == (101, 100, False)


def test_silences_of_sensors_that_overlap_are_one_which_lasts_and_counts_as_the_longest():
    gaps = pa.concat_tables([last_rows(("a", "t"), until=12), last_rows(("a", "u"), until=240)])
    gaps = pa.concat_tables([gaps, last_rows(("a", "s"), until=240), ended_gap("a", "s", 6, 24)])
    (row,) = rolled(gaps=gaps).to_pylist()
    assert (row["kind"], row["state"], row["sensors"]) == ("sensor_silent", "open", ["t", "s"])
    assert (window_number(row["start"]), window_number(row["end"]), row["n_incidents"]) == (6, 240, 2)
    # 228 windows of a limit of 6.
    assert row["priority"] == pytest.approx(5 * (1 + math.log10(38)))


def test_a_silence_that_ended_before_the_first_moment_is_left_out():
    last = [last_rows(("a", sensor), until=240) for sensor in "st"]
    gaps = pa.concat_tables([*last, ended_gap("a", "s", 6, 24)])
    end = microseconds(START + 24 * WINDOW)
    assert [roll_up(incidents(), gaps, RULES, since).num_rows for since in (end, end + 1)] == [1, 0]


def test_a_silent_source_names_all_devices_and_sensors():
    series = [("a", "s"), ("b", "t"), ("c", "u")]
    running = last_rows(("d", "v"), until=600)
    (row, *_) = rolled(gaps=pa.concat_tables([last_rows(*series), running])).to_pylist()
    assert (row["kind"], row["device"]) == ("source_silent", "")
    assert (row["devices"], row["sensors"]) == (["a", "b", "c", "d"], ["s", "t", "u", "v"])


def test_a_source_that_sends_again_stands_as_a_silent_sensor():
    # All are silent for half a day: 10 × 5 (1 + log10(12 h / 30 min)) = 119, as a sensor 12.
    series = [(device, "s") for device in "abcdefg"]
    gaps = pa.concat_tables([last_rows(*series, until=300), *(ended_gap(*one, 6, 150) for one in series)])
    machine = ("a", "s", 200, 224, 13, "closed")
    table = roll_up(incidents(machine), gaps, RULES, 0)
    assert table["kind"].to_pylist() == ["anomaly", "source_silent"]
    assert table["priority"][1].as_py() == pytest.approx(50 * (1 + math.log10(24)))


def test_silence_is_listed_with_what_is_anomalous():
    running = last_rows(("b", "s"), ("b", "t"), until=DAY_US // (5 * MINUTE_US))
    silent = last_rows(("a", "s"), ("a", "t"))
    table = rolled(("b", "s", 0, 5, 2, "closed"), gaps=pa.concat_tables([running, silent]))
    first, second = table.to_pylist()
    assert (first["kind"], first["device"], first["state"]) == ("device_silent", "a", "open")
    assert first["warming_up"] is False
    assert (first["sensors"], first["n_windows"], first["top_feature"]) == (["s", "t"], 0, "")
    assert (first["start"], first["end"]) == (START, START + timedelta(days=1))
    assert (second["kind"], second["device"]) == ("anomaly", "b")


def test_nothing_rolls_up_to_nothing():
    assert rolled().schema == DEVICE_INCIDENTS


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "ab", "ü"]),
        st.sampled_from("stu"),
        st.integers(0, 30),
        st.integers(1, 9),
        st.integers(0, 3),
        st.sampled_from(["open", "closed"]),
    ).map(lambda row: (*row[:2], row[2], row[2] + row[3], 0.3 + row[4], row[5])),
    max_size=12,
    unique_by=lambda row: row[:3],
)


@pytest.mark.slow
@given(ROWS, st.randoms())
def test_every_incident_is_in_one_group_and_groups_lie_apart(rows, random):
    table = rolled(*rows).to_pylist()
    assert rolled(*random.sample(rows, len(rows))).to_pylist() == table
    assert sum(row["n_incidents"] for row in table) == len(rows)
    for device, sensor, start, end, *_ in rows:
        inside = [
            row
            for row in table
            if row["device"] == device
            and window_number(row["start"]) <= start
            and end <= window_number(row["end"])
        ]
        assert len(inside) == 1
        assert sensor in inside[0]["sensors"]
    for one in table:
        assert len(one["sensors"]) == one["n_sensors"] == len(set(one["sensors"]))
        others = [row for row in table if row["device"] == one["device"] and row["start"] > one["start"]]
        assert all(row["start"] - one["end"] > timedelta(minutes=10) for row in others)


def test_what_is_warming_up_comes_after_the_others_and_before_outliers():
    rows = [
        ("mild", "s", 0, 12, 0.1, "closed"),
        ("outlier", "s", 0, 1, 9, "open"),
        ("young", "s", 0, 12, 9, "open"),
    ]
    table = rolled(*rows, young=["young"])
    assert table["device"].to_pylist() == ["mild", "young", "outlier"]
    assert table["warming_up"].to_pylist() == [False, True, False]


def test_a_change_of_unit_comes_after_what_may_be_a_fault():
    found = incidents(
        ("unit", "s", 0, 40, 12, "open"),
        ("unit", "t", 9, 10, 9, "closed"),
        ("both", "s", 0, 40, 12, "open"),
        ("both", "t", 0, 5, 4, "closed"),
        ("fault", "s", 0, 5, 1, "closed"),
        ("young", "s", 0, 5, 20, "open"),
        young=["young"],
    )
    advice = {f"{name}s0": f"{CHANGE_OF_UNIT}, °C → °F" for name in ("unit", "both")}
    gaps = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "st"))
    table = roll_up(found, gaps, RULES, 0, advice)
    assert table["device"].to_pylist() == ["both", "fault", "unit", "young"]
    # What is beside it counts by itself.
    assert table["priority"].to_pylist()[0] == 4.0
    assert table["level"].to_pylist()[2] == "low"


def test_the_list_says_by_how_much_a_level_was_off():
    found = incidents(("a", "s", 0, 20, 5, "closed", 2))
    place = INCIDENTS.get_field_index("shift")
    found = found.set_column(place, "shift", pa.array([-1.0801]))
    gaps = last_rows(*((f"z{i:02}", "s") for i in range(60)))
    (row,) = roll_up(found, gaps, RULES, 0).to_pylist()
    assert (row["kind"], row["advice"]) == ("anomaly", "s: level off by −1.08, then back")


@pytest.mark.parametrize(("state", "first"), [("open", ""), ("closed", "m")])
def test_an_event_of_the_fleet_stands_by_its_worst_devices_once_it_is_over(state, first):
    # Three devices of six: 5 counts 5 (1 + log10 3) = 7.4, which is more than 6 of a machine, and 5 less.
    gaps = last_rows(*((device, sensor) for device in "abcdem" for sensor in "st"))
    event = [(device, "s", 0, 9, 5, state) for device in "abc"]
    table = roll_up(incidents(*event, ("m", "t", 0, 9, 6, "closed")), gaps, RULES, 0)
    assert sorted(row["kind"] for row in table.to_pylist()) == ["anomaly", "fleet_event"]
    assert table["device"][0].as_py() == first
