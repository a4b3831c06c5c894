"""The rows of one device, of several tables and of the many files that hourly runs leave."""

from __future__ import annotations

import pytest

from batch_scoring.server.queries.device_rows import Wanted, read_device
from batch_scoring.tables.schemas import PREDICTIONS, READINGS
from tests.factories import MINUTE_US, START_US
from tests.row_tables import add, readings, table_at

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path):
    for hour in range(5):  # each run adds a file
        at = 60 * hour
        some = [(at, "a", "flow", hour), (at + 30, "a", "flow", hour + 0.5)]
        add(tmp_path, readings(*some, (at, "b", "flow", -1), (at, "a", "power", 100 + hour)))
    return table_at(tmp_path)


def wanted_of(table, sensors, start, end, columns=("timestamp", "value", "sensor")):
    return Wanted(table, columns, sensors, START_US + start * MINUTE_US, START_US + end * MINUTE_US, READINGS)


def test_rows_of_many_files_come_in_order_with_nothing_of_other_devices_sensors_and_times(table):
    flow, both = read_device(
        "a", wanted_of(table, ["flow"], 30, 150), wanted_of(table, ["flow", "power"], 240, 1000)
    )
    assert flow["value"].to_pylist() == [0.5, 1, 1.5, 2]
    assert both["value"].to_pylist() == [4, 4.5, 104]
    assert both["sensor"].to_pylist() == ["flow", "flow", "power"]
    assert both.schema.field("sensor") == READINGS.field("sensor")


def test_without_sensors_or_without_the_table_there_are_columns_and_no_rows(table, tmp_path):
    unwritten = Wanted(table_at(tmp_path / "none"), ("score", "value"), ["flow"], 0, 2**60, PREDICTIONS)
    none, missing = read_device("a", wanted_of(table, [], 0, 1000), unwritten)
    assert (none.num_rows, none.column_names) == (0, ["timestamp", "sensor", "value"])
    assert (missing.num_rows, sorted(missing.column_names)) == (0, ["score", "value"])


def test_columns_that_a_table_of_an_earlier_version_lacks_are_left_out(table):
    (rows,) = read_device("a", wanted_of(table, ["power"], 0, 61, ("value", "rule")))
    assert rows.to_pydict() == {"value": [100.0, 101.0]}
