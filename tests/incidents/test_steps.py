"""A step to another level that lasts is proposed as the new normal; a change of unit is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.ids import Selection
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.steps import (
    CHANGE_OF_UNIT,
    NEW_NORMAL,
    UNITS,
    describe_steps,
    may_be_of_unit,
    may_be_steps,
    units_of,
)
from batch_scoring.pipelines.incidents.nodes import rank_devices
from batch_scoring.simulation.scenarios.plant import Plant
from batch_scoring.simulation.scenarios.three_weeks import THREE_WEEKS
from batch_scoring.simulation.settings import Simulation
from batch_scoring.tables.schemas import INCIDENTS, PREDICTIONS
from tests.factories import START
from tests.incidents.test_devices import RULES, last_rows
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW

DAY = 288
DAY_US = 86_400_000_000
COLUMNS = ["sensor", "device", "window_start", "window_end", "value"]


def incident(first, n, device="a", sensor="s", state="open", anomalous=1.0):
    """An open incident from window ``first`` on, n windows long."""
    row = {
        "incident_id": f"{device}{sensor}",
        "device": device,
        "sensor": sensor,
        "start": START + first * WINDOW,
        "end": START + (first + n) * WINDOW,
        "state": state,
        "n_windows": round(anomalous * n),
        "peak_severity": 5.0,
        "peak_at": START + first * WINDOW,
        "evidence": 20.0,
    }
    return pa.Table.from_pylist([row], INCIDENTS)


def values(series, device="a", sensor="s", start=START):
    n = len(series)
    rows = {
        "sensor": [sensor] * n,
        "device": [device] * n,
        "window_start": [start + place * WINDOW for place in range(n)],
        "window_end": [start + (place + 1) * WINDOW for place in range(n)],
        "value": [float(value) for value in series],
    }
    return pa.table(rows, pa.schema([PREDICTIONS.field(name) for name in COLUMNS]))


def daily(n, base=50.0, swing=10.0, noise=0.3, seed=0):
    """A level with a daily cycle."""
    at = np.arange(n)
    rng = np.random.default_rng(seed)
    return base + swing * np.sin(2 * np.pi * at / DAY) + rng.normal(0, noise, n)


def told(series, first=2 * DAY, n=DAY, **more):
    (text,) = describe_steps(incident(first, n, **more), values(series), DAY_US)
    return text


def stepped(change, n_days=4, **more):
    series = daily(n_days * DAY, **more)
    return np.where(np.arange(series.size) < 2 * DAY, series, change(series))


def test_a_level_that_lasts_a_day_is_proposed_and_not_before():
    series = stepped(lambda x: x + 25.0)
    assert told(series) == NEW_NORMAL
    assert told(series, n=2 * DAY) == NEW_NORMAL
    assert told(series, n=DAY - 1) == ""


def test_an_incident_that_is_not_anomalous_all_the_time_is_none():
    assert told(stepped(lambda x: x + 25.0), anomalous=0.5) == ""


@pytest.mark.parametrize("name", ["drift", "stuck", "burst", "fading"])
def test_what_does_not_step_to_a_level_that_stays_is_none(name):
    at = np.arange(2 * DAY) / DAY
    change = {
        "drift": lambda x: x + 25.0 * np.append(np.zeros(2 * DAY), at),
        "stuck": lambda x: np.full_like(x, x[2 * DAY]),
        "burst": lambda x: x + 20.0 * np.random.default_rng(1).normal(size=x.size),
        "fading": lambda x: x + 25.0 * np.exp(-6 * np.append(np.zeros(2 * DAY), at)),
    }[name]
    assert told(stepped(change)) == ""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
@pytest.mark.parametrize("swing", [10.0, 0.0])
def test_every_change_of_unit_is_named_after_an_hour(unit, swing):
    text = told(stepped(lambda x: unit.factor * x + unit.offset, swing=swing), n=12)
    assert text == f"{CHANGE_OF_UNIT}, {unit.name}"


@pytest.mark.parametrize(
    ("factor", "offset"), [(1.0, 60.0), (1.3, 0.0), (2.0, 0.0), (-1.0, 0.0), (1.0, -8.0)]
)
def test_another_step_is_no_change_of_unit(factor, offset):
    assert CHANGE_OF_UNIT not in told(stepped(lambda x: factor * x + offset))


def test_what_falls_to_nearly_nothing_is_no_hundredth():
    """A wind that falls asleep: whatever is near 0 lies within a hundredth of what it was."""
    assert CHANGE_OF_UNIT not in told(stepped(lambda x: 0.002 * x, base=6.0, swing=6.0))
    assert CHANGE_OF_UNIT not in told(stepped(np.zeros_like, base=6.0, swing=6.0))


def test_without_a_day_before_nothing_is_known():
    (text,) = describe_steps(incident(0, DAY), values(daily(2 * DAY)), DAY_US)
    assert text == ""


def test_series_are_told_apart_and_gaps_and_missing_values_are_left_out():
    step = stepped(lambda x: x * 3.6)
    step[2 * DAY + 5 : 2 * DAY + 9] = np.nan
    parts = [values(step, "a"), values(daily(4 * DAY), "b"), values(stepped(lambda x: x + 25.0), "c")]
    rows = pa.concat_tables(parts)
    keep = np.ones(rows.num_rows, bool)
    keep[2 * DAY + 20 : 2 * DAY + 30] = False
    found = pa.concat_tables([incident(2 * DAY, DAY, name) for name in "cab"])
    texts = describe_steps(found, rows.filter(pa.array(keep)), DAY_US)
    assert texts == [NEW_NORMAL, f"{CHANGE_OF_UNIT}, m/s → km/h; {NEW_NORMAL}", ""]


@pytest.mark.parametrize(
    ("n", "state", "expected"), [(12, "open", True), (11, "open", False), (12, "closed", False)]
)
def test_only_what_has_been_open_for_an_hour_is_looked_at(n, state, expected):
    assert may_be_steps(incident(0, n, state=state)).tolist() == [expected]


@pytest.mark.parametrize(("n", "named"), [(12, True), (100, True), (11, False)])
def test_a_change_of_unit_is_named_when_it_is_over_too(n, named):
    series = values(stepped(lambda x: 1.8 * x + 32))
    found = incident(2 * DAY, n, state="closed")
    assert may_be_of_unit(found).tolist() == [named]
    if named:
        assert units_of(found, series) == ["°C → °F"]
        assert units_of(found, values(stepped(lambda x: x + 60))) == [None]


@pytest.mark.parametrize("column", ["step", "shift"])
def test_of_steps_the_windows_after_them_need_not_be_anomalous(column):
    once = incident(2 * DAY, 1 if column == "step" else 24, state="closed", anomalous=0.1)
    place = once.schema.get_field_index(column)
    once = once.set_column(place, once.schema.field(place), pa.array([50.0]))
    assert may_be_of_unit(once).tolist() == [True]
    assert units_of(once, values(stepped(lambda x: 1.8 * x + 32))) == ["°C → °F"]


def test_each_of_many_incidents_of_a_series_is_looked_at():
    series = daily(6 * DAY)
    series[2 * DAY : 3 * DAY] *= 10
    series[4 * DAY : 5 * DAY] *= 3.6
    rows = pa.concat_tables([values(series), values(daily(6 * DAY), "b")])
    found = [
        incident(first, 20, name, state="closed")
        for first, name in ((4 * DAY, "a"), (2 * DAY, "b"), (2 * DAY, "a"))
    ]
    assert units_of(pa.concat_tables(found), rows) == ["m/s → km/h", None, "× 10"]


def test_the_change_of_unit_of_three_weeks_is_named():
    simulation = THREE_WEEKS.settings(Simulation(scenario="three_weeks"))
    plant = Plant(THREE_WEEKS, simulation, Selection.read("mill-2", "temperature"))
    first = datetime(2026, 3, 27, 9, tzinfo=UTC)
    rows = pa.concat_tables(part for day in range(13, 18) for part in plant.spans(day))
    window = (rows["timestamp"].cast(pa.int64()).to_numpy() - round(first.timestamp() * 1e6)) // (300 * 10**6)
    starts, place = np.unique(window, return_inverse=True)
    means = np.bincount(place, rows["value"].to_numpy()) / np.bincount(place)
    n = starts.size
    times = [first + int(one) * WINDOW for one in starts]
    table = pa.table(
        [["temperature"] * n, ["mill-2"] * n, times, [one + WINDOW for one in times], means],
        schema=pa.schema([PREDICTIONS.field(name) for name in COLUMNS]),
    )
    number = (first - START) // WINDOW
    for length, expected in (
        (12, f"{CHANGE_OF_UNIT}, °C → °F"),
        (2 * DAY, f"{CHANGE_OF_UNIT}, °C → °F; {NEW_NORMAL}"),
    ):
        found = incident(number, length, "mill-2", "temperature")
        assert describe_steps(found, table, DAY_US) == [expected]


def test_the_list_names_the_sensor_that_stepped():
    both = pa.concat_tables([incident(0, 12), incident(0, 12, sensor="t")])
    gaps = last_rows(*((name, "s") for name in "abcdefghijklm"))
    (row,) = roll_up(both, gaps, RULES, 0, {"at": NEW_NORMAL}).to_pylist()
    assert row["advice"] == f"t: {NEW_NORMAL}"


def test_the_pipeline_finds_the_step_in_its_predictions(tmp_path):
    work = Work(tmp_path)
    level = pa.concat_tables([values(stepped(lambda x: x * 10)), values(daily(4 * DAY), "b")])
    flags = [False] * 2 * DAY + [True] * 2 * DAY + [False] * 4 * DAY
    rows = {
        **{name: level[name] for name in COLUMNS},
        "is_anomaly": flags,
        "severity": [9.0 * flag for flag in flags],
        "evidence": [9.0 * flag for flag in flags],
        "warming_up": [False] * level.num_rows,
    }
    arrays = [
        rows[field.name] if field.name in rows else pa.nulls(level.num_rows, field.type)
        for field in PREDICTIONS
    ]
    work.predictions.add(pa.table(arrays, schema=PREDICTIONS))
    work.find()
    work.ranking.save(
        rank_devices(
            work.incidents.load(), {"gaps": work.gaps.load()}, {}, predictions=work.predictions.load()
        )
    )
    (row,) = work.ranking.rows("start")
    assert row["start"] == START + timedelta(days=2)
    assert row["advice"] == f"s: {CHANGE_OF_UNIT}, × 10; {NEW_NORMAL}"
