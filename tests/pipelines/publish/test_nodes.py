"""What is published says what is simulated, with the faults of delivery that were asked for."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.tables import READINGS
from batch_scoring.pipelines.ingest.event_records import record_texts
from batch_scoring.pipelines.publish.bodies import event_table
from batch_scoring.pipelines.publish.nodes import publish_readings
from batch_scoring.pipelines.simulate.fleet import simulate_fleet
from batch_scoring.pipelines.simulate.simulation import Simulation

FLEET = {"devices": 3, "days": 1, "sensors": ["power", "temperature"], "malformed_share": 0}


def rounds(device=None, sensor=None, **parameters):
    return list(publish_readings(FLEET, parameters, device, sensor).batches)


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
        ({"readings_per_second": 0}, "a number above 0"),
        ({"readings_per_event": 0}, "is not 1 or more"),
        ({"malformed_share": 2}, "not between 0 and 1"),
        ({"reedings_per_event": 1}, "did you mean 'readings_per_event'"),
    ],
)
def test_a_setting_without_sense_is_told(setting, sentence):
    with pytest.raises(InputError, match=sentence):
        rounds(**setting)
