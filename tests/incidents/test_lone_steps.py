"""A window after which the level is another one is no wild reading."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.lone_steps import mark_steps, may_step
from batch_scoring.tables.schemas import CALENDAR, INCIDENTS, PREDICTIONS
from tests.factories import MINUTE_US, START
from tests.incidents.test_devices import incidents
from tests.predictions import WINDOW

DAY, HOUR = 288, 12
RULES = JoinRules(2, 1, 60 * MINUTE_US)
AT = 8 * DAY + 100


def usual(n, swing=10.0, seed=3):
    """Some windows of noise on a daily cycle that jumps at window 100 of a day."""
    at = np.arange(n)
    level = np.where(at % DAY < 100, 0.0, swing)
    return level + np.random.default_rng(seed).normal(0, 0.2, n)


def rows_of(values, device="a", turns=()):
    """Windows of a series as predictions; NaN is none. In some the machine comes to a level of training."""
    place = np.flatnonzero(np.isfinite(values))
    table = {
        "window_start": [START + int(n) * WINDOW for n in place],
        "window_end": [START + (int(n) + 1) * WINDOW for n in place],
        "device": [device] * place.size,
        "sensor": ["s"] * place.size,
        "value": values[place],
        "may_stay": [4.0 if n in turns else None for n in place],
    }
    nulls = {field.name: pa.nulls(place.size, field.type) for field in PREDICTIONS}
    return pa.table([nulls | table][0], schema=PREDICTIONS)


def step(values, at=AT, n=1, calendar=None, turns=()):
    """The step of an incident of n windows."""
    found = incidents(("a", "s", at, at + n, 9, "closed"))
    windows = rows_of(values, turns=turns)
    (one,) = mark_steps(found, windows, RULES, calendar or Calendar())["step"].to_pylist()
    return one


def changed(change, first=AT, last=9 * DAY):
    values = usual(9 * DAY)
    values[first:last] = change(values[first:last])
    return values


def test_a_wild_reading_leaves_the_level_as_it_was():
    assert step(usual(9 * DAY)) is None
    assert step(changed(lambda x: x - 9_999, last=AT + 1)) is None


def test_the_end_of_a_drift_is_a_step_back():
    drift = np.linspace(0, 5, 150)
    values = changed(lambda x: x + drift, AT - 150, AT)
    assert step(values) == pytest.approx(-5, abs=1)
    # The level that it steps to at that time of the day is usual.
    assert step(values, AT + 50) is None


def test_a_level_that_begins_is_a_step_even_where_it_is_usual_at_another_hour():
    assert step(changed(lambda x: x + 10, AT - 50), AT - 50) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("turn", "is_switched"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_machine_that_comes_to_a_level_of_its_training_is_switched(turn, is_switched):
    found = step(changed(lambda x: x + 10), turns=[AT + turn])
    assert (found is None) == is_switched


def test_a_step_within_the_noise_is_none():
    values = usual(9 * DAY)
    noise = np.random.default_rng(1).normal(0, 3, 9 * DAY)
    noise[AT:] += 5
    assert step(values + noise) is None


def test_without_a_week_the_day_before_is_looked_at_but_not_on_a_saturday():
    # START is a Monday.
    friday, saturday = 4 * DAY + 150, 5 * DAY + 150
    for at, found in ((friday, True), (saturday, False)):
        values = usual(at + 50)
        values[at:] += 5
        assert (step(values, at) is not None) == found


def test_what_is_not_there_or_in_the_calendar_is_not_known():
    values = changed(lambda x: x + 10)
    assert step(np.where(np.arange(9 * DAY) > AT + 2, np.nan, values)) is None
    entry = {"device": "a", "sensor": "*", "start": START + AT * WINDOW, "end": START + 9 * DAY * WINDOW}
    assert step(values, calendar=Calendar(pa.Table.from_pylist([entry], CALENDAR))) is None
    assert step(values) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    ("n", "state", "expected"), [(1, "closed", True), (1, "open", False), (12, "closed", False)]
)
def test_only_what_is_short_and_over_is_looked_at(n, state, expected):
    assert may_step(incidents(("a", "s", 0, n, 9, state))).tolist() == [expected]


def test_series_are_told_apart():
    found = incidents(("b", "s", AT, AT + 1, 9, "closed"), ("a", "s", AT, AT + 1, 9, "closed"))
    windows = pa.concat_tables([rows_of(usual(9 * DAY)), rows_of(changed(lambda x: x + 10), "b")])
    steps = mark_steps(found, windows, RULES, Calendar())
    assert [one is not None for one in steps["step"].to_pylist()] == [True, False]
    assert steps.schema == INCIDENTS
