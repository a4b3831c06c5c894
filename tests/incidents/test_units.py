"""What a sensor does in another unit is one incident with the change of it."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.steps import UNITS
from batch_scoring.incidents.units import _is_back
from tests.factories import DAY_US
from tests.incidents.test_devices import RULES, incidents, last_rows
from tests.predictions import window_number

DAY = 288
LATER = ("a", "s", 3 * DAY, 3 * DAY + 40, 9, "closed")


def listed(units, *rows, **more):
    """(first window, incidents, whether it counts little) of each device incident; units by the row."""
    found = incidents(*rows)
    for name, column in {"unit": units, **more}.items():
        place = found.schema.get_field_index(name)
        found = found.set_column(place, found.schema.field(place), pa.array(column, pa.string()))
    gaps = last_rows(*((f"z{i:02}", sensor) for i in range(60) for sensor in "st"))
    table = roll_up(found, gaps, replace(RULES, flapping_us=DAY_US, block_us=100_000 * DAY_US), 0)
    return sorted(
        (window_number(row["start"]), row["n_incidents"], row["priority"] < 0.5) for row in table.to_pylist()
    )


def test_what_follows_a_change_of_unit_is_part_of_it_however_much_later():
    first = ("a", "s", 0, 12, 9, "closed")
    assert listed(["°C → °F", None], first, LATER) == [(0, 2, True)]
    assert listed([None, None], first, LATER) == [(0, 1, False), (3 * DAY, 1, False)]


@pytest.mark.parametrize("other", [("a", "t", *LATER[2:]), ("b", *LATER[1:])])
def test_other_sensors_and_devices_are_not(other):
    first = ("a", "s", 0, 12, 9, "closed")
    assert listed(["× 10", None], first, other) == [(0, 1, True), (3 * DAY, 1, False)]


def test_what_came_before_or_after_a_change_back_or_a_training_is_not():
    first, back = ("a", "s", 0, 12, 9, "closed"), ("a", "s", DAY, DAY + 12, 9, "closed")
    assert listed([None, "× 10"], first, LATER) == [(0, 1, False), (3 * DAY, 1, True)]
    assert listed(["× 10", "÷ 10", None], first, back, LATER) == [
        (0, 2, True), (3 * DAY, 1, False),
    ]  # fmt: skip
    assert listed(["× 10", None], first, LATER, model_version=["1", "2"]) == [
        (0, 1, True), (3 * DAY, 1, False),
    ]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_change_has_one_that_undoes_it(unit):
    assert [other.name for other in UNITS if _is_back(unit.name, other.name)] != []
