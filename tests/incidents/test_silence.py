"""Sensors, devices and sources are silent when they send nothing for longer than their rhythm explains."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.silence import Gaps, SilenceRules, Silences, find_silences
from batch_scoring.tables.schemas import GAPS
from tests.factories import START, START_US

HOUR_US = 3_600_000_000
RULES = SilenceRules(HOUR_US // 2, 12 * HOUR_US)


def fleet(now: float, **gaps: list[tuple[float, float | None]]) -> pa.Table:
    """Gaps in hours after START, by ``device_sensor``; all began to send at 0. None: until now."""
    rows = []
    for name, spans in gaps.items():
        device, sensor = name.split("_")
        last = next((start for start, end in spans if end is None), now)
        rows.append((device, sensor, last, None, 0, "last"))
        rows += [(device, sensor, start, end, None, "ended") for start, end in spans if end is not None]
    us = [
        dict(zip(("device", "sensor", "state"), (row[0], row[1], row[5]), strict=True))
        | {
            key: None if hours is None else round(START_US + hours * HOUR_US)
            for key, hours in zip(("start", "end", "first_start"), row[2:5], strict=True)
        }
        for row in rows
    ]
    return pa.Table.from_pylist(us, GAPS)


def columns(found: Silences) -> tuple[list[int], ...]:
    names = ("device", "sensor", "start", "end", "is_open")
    return tuple(getattr(found, name).tolist() for name in names)


def silences(
    table: pa.Table, calendar: pa.Table | None = None
) -> list[list[tuple[str, str, float, float, bool]]]:
    """Of source, devices and sensors: device, sensor, start and end in hours, open."""
    gaps = Gaps.of(table)
    return [
        [
            (
                "" if device < 0 else gaps.devices[device].as_py(),
                "" if sensor < 0 else gaps.sensors[sensor].as_py(),
                *((np.array([start, end]) - START_US) / HOUR_US).tolist(),
                bool(is_open),
            )
            for device, sensor, start, end, is_open in zip(
                found.device.tolist(),
                found.sensor.tolist(),
                found.start,
                found.end,
                found.is_open,
                strict=True,
            )
        ]
        for found in find_silences(gaps, RULES, Calendar(calendar))
    ]


def test_a_sensor_that_is_silent_while_its_siblings_send_is_found():
    table = fleet(200, a_s=[(100, 102)], a_t=[], a_u=[(150, None)])
    assert silences(table) == [[], [], [("a", "s", 100, 102, False), ("a", "u", 150, 200, True)]]


def test_a_device_that_is_offline_for_hours_is_no_silence_of_its_sensors():
    assert silences(fleet(200, a_s=[(100, 106)], a_t=[(100, 106)], b_s=[])) == [[], [], []]


def test_what_a_sensor_misses_beyond_its_device_counts():
    table = fleet(200, a_s=[(100, 106.4)], a_t=[(100, 106)], b_s=[(100, 106.6)], b_t=[(100, 106)])
    assert silences(table) == [[], [], [("b", "s", 100, 106.6, False)]]


def test_a_device_of_which_all_sensors_stop_is_one_silence():
    table = fleet(200, a_s=[(100, None)], a_t=[(100.5, None)], b_s=[], b_t=[])
    assert silences(table) == [[], [("a", "", 100.5, 200, True)], []]


@pytest.mark.parametrize("stopped", ["ab", "abd"])
def test_most_of_the_fleet_is_one_silence_of_the_source(stopped):
    table = fleet(200, **{f"{device}_s": [(100.0, 120.0)] for device in stopped}, c_s=[])
    # A device that has begun to send makes the source no younger.
    born = pc.if_else(pc.equal(table["device"], "c"), START + timedelta(hours=99), table["first_start"])
    table = table.set_column(table.schema.get_field_index("first_start"), "first_start", born)
    source, devices, sensors = silences(table)
    assert source == [("", "", 100, 120, False)]
    assert (devices, sensors) == ([], [])


def test_half_of_the_fleet_is_not_the_source():
    stopped = {f"{device}_s": [(100.0, 120.0)] for device in "ab"}
    source, devices, _ = silences(fleet(200, **stopped, c_s=[], d_s=[]))
    assert source == []
    assert [row[0] for row in devices] == ["a", "b"]


def test_what_happens_every_night_is_usual_from_the_fourth_time_on():
    nights = [(24.0 * day + 18, 24.0 * day + 34) for day in range(20)]
    _, devices, _ = silences(fleet(500, a_s=nights, b_s=[]))
    assert devices == []


def test_a_night_three_times_as_long_is_not():
    nights = [(24.0 * day + 18, 24.0 * day + 34) for day in range(10)]
    _, devices, _ = silences(fleet(500, a_s=[*nights, (300, 348)], b_s=[]))
    assert devices == [("a", "", 300, 348, False)]


def test_one_or_two_outages_do_not_make_the_next_usual():
    outages = [(100.0, 130.0), (200.0, 230.0), (300.0, 330.0)]
    _, devices, _ = silences(fleet(500, a_s=outages, b_s=[]))
    assert [row[2] for row in devices] == [100, 200, 300]


def test_a_weekend_is_silent_once_and_later_when_it_is_much_longer():
    weekends = [(104 + 168 * week, 168 + 168 * week) for week in range(3)]
    table = fleet(600, a_s=[*weekends[:2], (440, 530)], a_t=[], b_s=weekends, b_t=[])
    assert silences(table)[2] == [
        ("a", "s", 104, 168, False), ("a", "s", 440, 530, False), ("b", "s", 104, 168, False),
    ]  # fmt: skip


def test_a_sensor_that_does_not_come_back_with_its_device_after_a_weekend_is_silent():
    def found(now):
        weekends = [(100, 160), (268, 328)]
        return silences(fleet(now, a_s=[(100, 160), (268, None)], a_t=weekends, b_s=[], b_t=[]))[2]

    assert found(328.4) == []
    assert found(328.6) == [("a", "s", 268, 328.6, True)]


@pytest.mark.parametrize("now", [257, 300, 320, 329, 400])
def test_a_sensor_that_dies_before_a_weekend_stays_listed_over_it(now):
    found = silences(fleet(now, a_s=[(100, 160), (256, None)], a_t=[]))
    assert found == [[], [], [("a", "s", 100, 160, False), ("a", "s", 256, now, True)]]


def test_a_weekend_that_began_earlier_is_usual_once_it_is_over():
    found = silences(fleet(400, a_s=[(100, 160), (256, 328)], a_t=[]))
    assert found == [[], [], [("a", "s", 100, 160, False)]]


def test_a_silence_of_weeks_does_not_explain_itself():
    (found,) = find_silences(Gaps.of(fleet(500, a_s=[(100, None)], a_t=[])), RULES, Calendar(None))[2:]
    assert found.decades == pytest.approx([np.log10(400 / 0.5)])


def test_outages_of_more_than_four_weeks_ago_are_forgotten():
    outages = [(24.0 * day, 24.0 * day + 20) for day in (4, 6, 8)]
    later = (24.0 * 60, 24.0 * 60 + 20)
    _, devices, _ = silences(fleet(24 * 70, a_s=[*outages, later], b_s=[]))
    assert devices[-1] == ("a", "", *later, False)


def test_a_series_of_three_days_has_not_shown_its_rhythm():
    assert silences(fleet(200, a_s=[(71, 100)], b_s=[]))[1] == []
    assert len(silences(fleet(200, a_s=[(72, 100)], b_s=[]))[1]) == 1


@pytest.mark.parametrize("table", [GAPS.empty_table(), fleet(10, a_s=[])])
def test_without_gaps_nothing_is_silent(table):
    assert silences(table) == [[], [], []]
