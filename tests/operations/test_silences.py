"""Of silenced devices and sensors no alert is sent, for a time or again and again."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.operations.silences import in_force, revoke, silence, silenced, silenced_incidents
from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrow_arrays import as_rows, strings
from batch_scoring.tables.schemas import DEVICES, SILENCES
from tests.factories import START

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GROUPS = Devices(
    pa.Table.from_pylist([{"id": "pump-1", "group": "hall"}, {"id": "neu", "replaces": "alt"}], DEVICES)
)


def during(start=0, end=4, **more):
    """A silence of these hours after START, set an hour before."""
    return silence("ada", START - HOUR, START + start * HOUR, START + end * HOUR, **more)


def are_silent(rows, hours, *pairs, known=GROUPS):
    devices, sensors = zip(*(pairs or [("pump-1", "flow")]), strict=True)
    found = silenced(strings(devices), strings(sensors), START + hours * HOUR, rows, known)
    return [bool(one) for one in found.to_pylist()]


def test_it_holds_from_its_start_until_before_its_end():
    assert [are_silent(during(), hour)[0] for hour in (-0.5, 0, 3.9, 4)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("patterns", "device", "is_silent"),
    [
        ({}, "pump-1", True),
        ({"device": "pump-*"}, "pump-1", True),
        ({"device": "fan-*"}, "pump-1", False),
        ({"device": "pump-*", "sensor": "flow"}, "pump-1", True),
        ({"device": "pump-*", "sensor": "heat"}, "pump-1", False),
        ({"group": "hall"}, "pump-1", True),
        ({"group": "hall"}, "pump-2", False),
        ({"group": "h*", "device": "fan-*"}, "pump-1", False),
        ({"device": "alt"}, "neu", True),
    ],
)
def test_device_sensor_and_group_must_all_match(patterns, device, is_silent):
    assert are_silent(during(**patterns), 1, (device, "flow")) == [is_silent]


def test_one_that_comes_again_does_so_until_its_last_time():
    rows = during(0, 4, every="day", until=START + 3 * DAY)
    assert [are_silent(rows, 24 * day + 1)[0] for day in (-1, 0, 1, 2, 3)] == [False, True, True, True, False]
    assert not are_silent(rows, 24 + 5)[0]


def test_a_revoked_one_is_over_from_then_on_and_stays_on_record():
    rows = during()
    rows = pa.concat_tables([revoke(next(as_rows(rows)), "bob", START + HOUR), rows])
    assert are_silent(rows, 0.9) == [True]
    assert are_silent(rows, 1) == [False]
    assert [row["who"] for row in as_rows(rows)] == ["bob", "ada"]


def test_the_list_has_what_is_in_force_or_will_be():
    rows = pa.concat_tables([during(0, 1), during(2, 3), during(0, 1, every="week")])
    kept = in_force(rows, START + 1.5 * HOUR)
    assert sorted(kept["silence_id"].to_pylist()) == sorted(rows["silence_id"].to_pylist()[1:])


def test_an_incident_is_silent_when_all_its_devices_and_sensors_are():
    incidents = pa.table(
        {
            "devices": [["pump-1"], ["pump-1"], ["pump-1", "fan"], [], ["pump-2"]],
            "sensors": [["flow"], ["flow", "heat"], ["flow"], ["flow"], ["flow"]],
        },
        schema=pa.schema([("devices", pa.list_(pa.string())), ("sensors", pa.list_(pa.string()))]),
    )
    rows = during(device="pump-*", sensor="flow")
    name = rows["silence_id"][0].as_py()
    found = silenced_incidents(incidents, START, rows)
    assert found.to_pylist() == [name, "", "", "", name]
    assert silenced_incidents(incidents, START, SILENCES.empty_table()).to_pylist() == [""] * 5


@given(
    st.lists(st.tuples(st.sampled_from(["*", "a", "b", "a*"]), st.sampled_from(["*", "s"])), max_size=4),
    st.lists(st.tuples(st.sampled_from(["a", "b", "ab", "c"]), st.sampled_from(["s", "t"])), min_size=1),
)
def test_a_series_is_silent_when_one_of_the_silences_matches_it(patterns, pairs):
    from fnmatch import fnmatchcase

    rows = pa.concat_tables([SILENCES.empty_table(), *(during(device=d, sensor=s) for d, s in patterns)])
    expected = [any(fnmatchcase(d, p) and fnmatchcase(s, q) for p, q in patterns) for d, s in pairs]
    assert are_silent(rows, 1, *pairs, known=Devices()) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"end": 0}, "end .* is not valid; expected later than"),
        ({"every": "month"}, "every 'month' is not valid; expected day or week"),
        ({"every": "day", "end": 25}, "lasts longer than a day"),
        ({"until": START + DAY}, "until is not valid"),
        ({"device": ""}, "device '' is not valid"),
    ],
)
def test_a_silence_that_is_not_valid_is_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        during(**arguments)
