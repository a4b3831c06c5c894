"""What several sensors of a device say at once is one incident of the device, the worst first."""

import math
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.devices import roll_up
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, INCIDENTS
from tests.factories import MINUTE_US, START
from tests.predictions import WINDOW, window_number

SLACK_US = 2 * 5 * MINUTE_US


def incidents(*rows):
    """Rows of (device, sensor, first window, window after the last, severity, state)."""
    return pa.Table.from_pylist(
        [
            {
                "incident_id": f"{device}{sensor}{start}",
                "device": device,
                "sensor": sensor,
                "start": START + start * WINDOW,
                "end": START + end * WINDOW,
                "state": state,
                "n_windows": end - start,
                "peak_severity": float(severity),
                "peak_at": START + start * WINDOW,
                "top_feature": f"feature of {sensor}",
                "model_version": "1",
            }
            for device, sensor, start, end, severity, state in rows
        ],
        schema=INCIDENTS,
    )


def test_overlapping_incidents_of_a_device_are_one():
    table = roll_up(
        incidents(
            ("a", "s", 0, 9, 1, "closed"), ("a", "t", 3, 4, 3, "closed"), ("a", "u", 11, 12, 0, "closed")
        ),
        SLACK_US,
    )
    assert table.schema == DEVICE_INCIDENTS
    row = table.to_pylist()[0]
    assert (window_number(row["start"]), window_number(row["end"])) == (0, 12)
    assert row["sensors"] == ["t", "s", "u"]
    assert (row["n_sensors"], row["n_incidents"], row["n_windows"]) == (3, 3, 11)
    assert (row["peak_severity"], row["top_feature"]) == (3.0, "feature of t")
    assert window_number(row["peak_at"]) == 3
    assert row["priority"] == pytest.approx(3 + 1 + math.log2(4) + 0)


def test_devices_and_times_further_apart_stay_apart():
    table = roll_up(
        incidents(
            ("a", "s", 0, 1, 1, "closed"), ("b", "s", 0, 1, 1, "closed"), ("a", "t", 4, 5, 1, "closed")
        ),
        SLACK_US,
    )
    assert [(row["device"], window_number(row["start"])) for row in table.to_pylist()] == [
        ("a", 4), ("a", 0), ("b", 0),
    ]  # fmt: skip


def test_a_sensor_that_comes_again_counts_once_by_its_worst():
    table = roll_up(incidents(("a", "s", 0, 1, 1, "closed"), ("a", "s", 2, 3, 7, "closed")), SLACK_US)
    row = table.to_pylist()[0]
    assert (row["sensors"], row["n_incidents"], row["priority"]) == (["s"], 2, 4.0)


def test_open_ones_lead_then_several_sensors_at_once_then_severe_ones():
    table = roll_up(
        incidents(
            ("severe", "s", 0, 1, 3, "closed"),
            ("mild", "s", 0, 1, 0.5, "closed"),
            ("several", "s", 0, 1, 0.5, "closed"),
            ("several", "t", 0, 1, 0.5, "closed"),
            ("several", "u", 0, 1, 0.5, "closed"),
            ("open", "s", 0, 1, 0, "open"),
        ),
        SLACK_US,
    )
    assert table["device"].to_pylist() == ["open", "several", "severe", "mild"]


def test_one_open_incident_keeps_the_device_open():
    table = roll_up(incidents(("a", "s", 0, 1, 1, "open"), ("a", "t", 0, 5, 1, "closed")), SLACK_US)
    assert table["state"].to_pylist() == ["open"]


def test_the_id_does_not_depend_on_what_came_later():
    alone = roll_up(incidents(("a", "s", 0, 1, 1, "open")), SLACK_US)
    grown = roll_up(incidents(("a", "s", 0, 4, 1, "closed"), ("a", "t", 2, 5, 9, "open")), SLACK_US)
    assert alone["device_incident_id"] == grown["device_incident_id"]


def test_nothing_rolls_up_to_nothing():
    assert roll_up(INCIDENTS.empty_table(), SLACK_US).schema == DEVICE_INCIDENTS


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "ab", "ü"]),
        st.sampled_from("stu"),
        st.integers(0, 30),
        st.integers(1, 9),
        st.integers(0, 3),
        st.sampled_from(["open", "closed"]),
    ).map(lambda row: (*row[:2], row[2], row[2] + row[3], *row[4:])),
    max_size=12,
    unique_by=lambda row: row[:3],
)


@given(ROWS, st.randoms())
def test_every_incident_is_in_one_group_and_groups_lie_apart(rows, random):
    table = roll_up(incidents(*rows), SLACK_US).to_pylist()
    shuffled = random.sample(rows, len(rows))
    assert roll_up(incidents(*shuffled), SLACK_US).to_pylist() == table
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
