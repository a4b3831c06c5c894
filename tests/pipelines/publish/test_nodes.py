"""What is published says what is simulated, with the faults of delivery that were asked for."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.events import record_texts
from batch_scoring.pipelines.publish.nodes import publish_readings
from batch_scoring.simulation.events import event_table
from batch_scoring.simulation.settings import Simulation
from batch_scoring.tables.schemas import READINGS
from tests.simulation.fleets import simulate_fleet

FLEET = {"devices": 3, "days": 1, "sensors": ["power", "temperature"], "malformed_share": 0}

AT = "2026-01-05T18:00Z"  # of the one day that the fleet has


def rounds(device=None, sensor=None, **parameters):
    return list(publish_readings(FLEET, parameters, device, sensor, AT).batches)


def readings_in(tables):
    """(timestamp, device, sensor, value) of every record, in order; None for one that is no JSON."""
    found = []
    for table in tables:
        for device, body in zip(table["device"].to_pylist(), table["body"].to_pylist(), strict=True):
            for text in record_texts(body):
                try:
                    one = json.loads(text)
                except ValueError:
                    found.append(None)
                    continue
                assert one["device"] == device
                found.append((datetime.fromisoformat(one["timestamp"]), device, one["sensor"], one["value"]))
    return found


def simulated():
    simulation = Simulation(**FLEET | {"sensors": tuple(FLEET["sensors"])})
    table = pa.concat_tables(simulate_fleet(simulation))
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_events_are_the_simulated_readings_in_their_order():
    assert readings_in(rounds()) == simulated()


def test_parts_of_the_time_are_together_all_of_it_in_the_order_of_coming():
    cuts = [None, "2026-01-05T05:00Z", "2026-01-05T05:30Z", "2026-01-05T19:00Z", None]
    parts = [readings_in(rounds(**{"from": since, "to": until})) for since, until in pairwise(cuts)]
    assert all(parts)
    assert [one for part in parts for one in part] == simulated()
    assert max(time for time, *_ in parts[1]) < datetime(2026, 1, 5, 5, 30, tzinfo=UTC)


def test_a_span_that_ends_before_it_begins_is_refused():
    with pytest.raises(InputError, match="is not after"):
        rounds(**{"from": "2026-01-05T05:00Z", "to": "2026-01-05T05:00Z"})


def test_arrays_hold_readings_of_one_device_in_its_order():
    tables = rounds(readings_per_event=20)
    assert max(len(record_texts(body)) for table in tables for body in table["body"].to_pylist()) == 20
    came, expected = readings_in(tables), simulated()
    for device in ("pump-01", "pump-02", "pump-03"):
        assert [one for one in came if one[1] == device] == [one for one in expected if one[1] == device]


def test_one_device_is_published_as_it_is_among_all():
    assert readings_in(rounds(device="pump-02")) == [one for one in simulated() if one[1] == "pump-02"]


def test_duplicates_and_disorder_lose_nothing():
    came = readings_in(rounds(duplicate_share=0.1, disorder_share=0.1, readings_per_second=100))
    expected = simulated()
    assert came[: len(expected)] != expected
    assert set(came) == set(expected)
    assert 1.05 < len(came) / len(expected) < 1.15


def test_malformed_events_are_no_json():
    came = readings_in(rounds(malformed_share=0.1))
    assert 0.05 < came.count(None) / len(came) < 0.15


def test_the_same_settings_give_the_same_events():
    settings = {"duplicate_share": 0.1, "disorder_share": 0.1, "malformed_share": 0.1}
    assert pa.concat_tables(rounds(**settings)).equals(pa.concat_tables(rounds(**settings)))


def test_events_are_due_at_the_rate_that_was_asked_for():
    tables = [table for table in rounds(readings_per_second=50) if table.num_rows]
    sent = np.cumsum([table.num_rows for table in tables])
    assert [table["due"][0].as_py() for table in tables] == pytest.approx((sent / 50).tolist())


def test_values_that_json_has_no_word_for_are_text_or_null():
    table = pa.table(
        [
            [datetime(2026, 1, 5, tzinfo=UTC)] * 4,
            ['d"1'] * 4,
            ["s"] * 4,
            [None, float("nan"), float("-inf"), 1e300],
        ],
        schema=READINGS,
    )
    bodies = [json.loads(body) for body in event_table(table, 1, 0.0)["body"].to_pylist()]
    assert [body["value"] for body in bodies] == [None, "nan", "-inf", 1e300]
    assert {body["device"] for body in bodies} == {'d"1'}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"readings_per_second": 0}, "publish.readings_per_second: 0"),
        ({"readings_per_event": 0}, "publish.readings_per_event: 0"),
        ({"malformed_share": 2}, "publish.malformed_share: 2"),
        ({"reedings_per_event": 1}, "did you mean 'readings_per_event'"),
    ],
)
def test_an_invalid_setting_is_named(setting, sentence):
    with pytest.raises(InputError, match=sentence):
        rounds(**setting)


@pytest.mark.slow
def test_in_real_time_what_is_past_is_due_at_once_and_the_rest_when_it_is_measured():
    tables = rounds(real_time=True)
    assert readings_in(tables) == simulated()
    at, future = datetime.fromisoformat(AT), set()
    for table in tables[:-1]:
        (due,) = set(table["due"].to_pylist())
        times = [time for time, *_ in readings_in([table])]
        if due == 0:
            assert max(times) <= at
        else:
            assert at + timedelta(seconds=due) == max(times) == min(times)
            future.add(due)
    assert future == {60.0 * minute for minute in range(1, 360)}


@pytest.mark.slow
def test_in_real_time_a_late_reading_is_due_with_those_it_came_with():
    fleet = FLEET | {"days": 2, "devices": 5, "late_per_device_day": 1}
    tables = list(publish_readings(fleet, {"real_time": True}, None, None, "2026-01-05T00:00Z").batches)
    dues = [due for table in tables for due in table["due"].to_pylist()]
    times = [time.timestamp() - 1767571200 for time, *_ in readings_in(tables)]
    assert dues == sorted(dues)
    assert all(due >= time for due, time in zip(dues, times, strict=True))
    assert any(due > time + 3600 for due, time in zip(dues, times, strict=True))


def test_real_time_and_a_rate_do_not_go_together():
    with pytest.raises(InputError, match=r"publish\.real_time and publish\.readings_per_second"):
        rounds(real_time=True, readings_per_second=5)
