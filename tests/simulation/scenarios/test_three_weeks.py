from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.simulation.scenarios import SCENARIOS, build
from batch_scoring.simulation.scenarios.plant import SENSORS, Plant
from batch_scoring.simulation.scenarios.three_weeks import THREE_WEEKS
from batch_scoring.simulation.settings import FAULTS, SCENARIO_NAMES, Simulation
from batch_scoring.tables.fault_labels import faults_only
from batch_scoring.tables.schemas import FAULT_LABELS, READINGS
from tests.simulation.fleets import during, readings_of

pytestmark = pytest.mark.slow

SIMULATION = Simulation(scenario="three_weeks")


@cache
def plant():
    return build(SIMULATION)


@cache
def readings():
    return pa.concat_tables(table for day in range(21) for table in plant().spans(day))


def uneventful(label, *kinds: str):
    """What would have been read had nothing of these kinds happened; nothing at all where none is named."""
    left = [one for one in THREE_WEEKS.happenings if kinds and one.kind not in kinds]
    scenario = replace(THREE_WEEKS, happenings=tuple(left))
    selection = Selection.read(label["device"], label["sensor"])
    plant = Plant(scenario, scenario.settings(SIMULATION), selection)
    return during(pa.concat_tables(table for day in range(21) for table in plant.spans(day)), label)


def labels(kind):
    return [row for row in plant().labels().to_pylist() if row["kind"] == kind]


def test_each_scenario_has_a_name_that_is_checked():
    assert tuple(SCENARIOS) == tuple(name for name in SCENARIO_NAMES if name != FAULTS)
    with pytest.raises(InputError, match="did you mean 'three_weeks'"):
        Simulation(scenario="three_week")


def test_settings_of_another_scenario_are_refused():
    with pytest.raises(InputError, match=r"simulate.devices: the scenario 'three_weeks' has its own"):
        build(Simulation(scenario="three_weeks", devices=20))


@pytest.mark.parametrize("seed", [1, 7])
def test_the_first_day_of_a_machine_is_like_the_others(seed):
    plant = build(replace(SIMULATION, seed=seed), Selection.read("pump-1", "vibration"))
    days = [pa.concat_tables(plant.spans(day))["value"].to_numpy() for day in range(10)]
    quiet = np.concatenate(days[1:])
    assert quiet.min() - 0.5 < days[0].min() <= days[0].max() < quiet.max() + 0.5


def test_seven_machines_live_three_weeks_across_the_change_to_summer_time():
    table = readings()
    assert table.schema.equals(READINGS)
    assert pc.count_distinct(table["device"]).as_py() == 8  # one has two ids
    assert set(pc.unique(table["sensor"]).to_pylist()) == set(SENSORS)
    times = table["timestamp"]
    assert pc.min(times).as_py() == datetime(2026, 3, 12, tzinfo=UTC)
    assert pc.max(times).as_py() == datetime(2026, 4, 1, 23, 59, tzinfo=UTC)


def test_the_same_seed_gives_the_same_readings_and_another_one_others():
    first = next(iter(plant().spans(3)))
    assert first.equals(next(iter(build(SIMULATION).spans(3))))
    assert not first.equals(next(iter(build(replace(SIMULATION, seed=8)).spans(3))))


def test_a_selection_is_the_same_rows_of_the_whole():
    part = build(SIMULATION, Selection.read(["press-3b", "mill-1"], "power"))
    whole = next(iter(plant().spans(20)))
    mine = pc.and_(
        pc.is_in(whole["device"], pa.array(["press-3b", "mill-1"])), pc.equal(whole["sensor"], "power")
    )
    assert next(iter(part.spans(20))).equals(whole.filter(mine))
    assert set(part.labels()["device"].to_pylist()) == {"press-3b", "mill-1"}
    with pytest.raises(InputError, match="'press-3a' is not among the 8 known"):
        build(SIMULATION, Selection.read("press-3a", None))


def test_every_kind_is_labelled_and_three_events_are_faults_of_a_machine():
    table = plant().labels()
    assert table.schema.equals(FAULT_LABELS)
    assert set(table["kind"].to_pylist()) == {one.kind for one in THREE_WEEKS.happenings}
    faults = faults_only(table).to_pylist()
    kinds = {(row["device"], row["kind"]) for row in faults if row["kind"] != "fleet_event"}
    assert kinds == {
        ("mill-1", "level_shift"),
        ("pump-1", "drift"),
        ("press-1", "stuck_value"),
        ("pump-1", "silence"),
    }
    # Models are trained on the first 70 % of the time.
    assert min(row["start"] for row in faults) > THREE_WEEKS.start + 0.7 * timedelta(days=21)


def test_shifts_follow_local_time_before_and_after_the_change():
    own = readings_of(readings(), "press-1", "state")
    on = own.filter(pc.equal(own["value"], 2))["timestamp"].to_pylist()
    first = {}
    for at in on:
        first.setdefault(at.date(), at)
    hours = {day.isoformat(): at.hour + at.minute / 60 for day, at in first.items()}
    assert hours["2026-03-26"] == pytest.approx(6, abs=0.05)
    assert hours["2026-03-30"] == pytest.approx(5, abs=0.05)
    assert "2026-03-28" not in hours and "2026-03-29" not in hours  # a weekend


def test_a_wild_reading_is_one_reading():
    for label in labels("wild_reading"):
        assert label["end"] - label["start"] == THREE_WEEKS.interval
        assert during(readings(), label).tolist() == [label["size"]]


def test_a_silent_device_sends_nothing_and_a_young_one_nothing_before_it_begins():
    for label in labels("silence"):
        assert len(during(readings(), label)) == 0
    young = labels("young")[0]
    own = readings_of(readings(), young["device"], "power")["timestamp"]
    assert timedelta(0) <= pc.min(own).as_py() - young["start"] < timedelta(minutes=5)


def test_a_renamed_device_goes_on_under_its_new_id():
    before, after = (readings_of(readings(), id, "cycles") for id in ("press-3", "press-3b"))
    change = labels("renamed")[0]["start"]
    assert pc.max(before["timestamp"]).as_py() < change <= pc.min(after["timestamp"]).as_py()
    gap = after["value"][0].as_py() - before["value"][-1].as_py()
    assert 0 <= gap < 20


def test_a_unit_change_is_the_same_temperature_in_fahrenheit():
    label = labels("unit_change")[0]
    changed, celsius = during(readings(), label), uneventful(label, "unit_change")
    assert len(changed) > 5 * 1440 * 0.99
    assert changed == pytest.approx(celsius * 1.8 + 32, abs=0.15)


def test_a_machine_that_is_off_draws_nothing_and_cools_down():
    label = next(row for row in labels("off") if row["sensor"] == "power")
    assert during(readings(), label).max() < 1
    assert set(during(readings(), label | {"sensor": "state"})) == {0}
    temperature = during(readings(), label | {"sensor": "temperature"})
    assert temperature[-300:].max() < 40 < uneventful(label | {"sensor": "temperature"}).max()


def test_a_maintenance_runs_tests_and_resets_the_counter():
    label = next(r for r in labels("maintenance") if (r["device"], r["sensor"]) == ("mill-1", "state"))
    assert set(during(readings(), label)) == {3}
    cycles = readings_of(readings(), "mill-1", "cycles")
    before = cycles.filter(pc.less(cycles["timestamp"], label["start"]))["value"][-1].as_py()
    assert during(readings(), label | {"sensor": "cycles"}).max() < 10 < 10_000 < before


def test_a_counter_counts_up_but_for_maintenance():
    values = readings_of(readings(), "pump-1", "cycles")["value"].to_numpy()
    assert (np.diff(values) >= 0).all() and np.array_equal(values, np.floor(values))


def test_a_fleet_event_hits_every_machine_at_once():
    events = labels("fleet_event")
    assert len({row["device"] for row in events}) == 7
    for label in events[:3]:
        hit, normal = during(readings(), label), uneventful(label, "fleet_event")
        assert hit == pytest.approx(normal * 0.65, abs=0.011)


def test_faults_have_the_size_of_their_labels():
    shift = labels("level_shift")[0]
    moved = during(readings(), shift) - uneventful(shift, "level_shift")
    assert np.ptp(moved) < 0.021 and moved.max() < -0.5
    drift = next(row for row in labels("drift") if row["sensor"] == "vibration")
    grown = during(readings(), drift) - uneventful(drift, "drift")
    assert grown[-1] > 0.5 and grown[len(grown) // 2] == pytest.approx(grown[-1] / 2, rel=0.05)
    stuck = labels("stuck_value")[0]
    assert len(set(during(readings(), stuck))) == 1


def test_nothing_else_changes_a_reading():
    start, end = THREE_WEEKS.start, datetime(2026, 3, 30, tzinfo=UTC)
    quiet = {"device": "pump-1", "sensor": "pressure", "start": start, "end": end}
    assert np.array_equal(during(readings(), quiet), uneventful(quiet))
