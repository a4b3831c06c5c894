"""What is unusual for the time only counts little: the whole machine read the same at another time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.evidence import LEVEL_FROM
from batch_scoring.incidents.other_times import EXPLAINED, MAX_EXPLAINED
from batch_scoring.tables.schemas import GAPS, INCIDENTS, STAY, TIMESTAMP, windows_schema
from tests.factories import START, START_US
from tests.incidents.test_devices import RULES

HOUR, HOUR_US = timedelta(hours=1), 3_600_000_000
SENSORS = ("power", "pressure", "temperature")
# Windows of an hour. A machine runs from 6 to 18; on the eighth day something happens at noon.
DAYS, NOON = 9, 7 * 24 + 12
LASTS = 4
ADVICE = "unusual for the time only: all sensors read as on "
AGAIN = "cycles begins again: somebody was at the machine"


def machine(device="a", sensors=SENSORS, first=0, **changed):
    """The windows of a machine whose sensors follow its load; ``changed`` overwrites what happens at noon."""
    random = np.random.default_rng(7)
    hours = np.arange(first, DAYS * 24)
    runs = (hours % 24 >= 6) & (hours % 24 < 18)
    here = (hours >= NOON) & (hours < NOON + LASTS)
    runs &= ~(here & changed.pop("stands_still", False))
    parts = []
    for number, sensor in enumerate(sensors):
        mean = 10.0 * runs + number + random.normal(0, 0.1, hours.size)
        std = np.where(runs, 1.0, 0.1) + random.normal(0, 0.01, hours.size)
        if sensor == "cycles":
            mean = np.cumsum(1.0 + 9 * runs)
            mean -= np.where(hours >= NOON + 1, mean[NOON - first], 0.0) if changed.get("restarts") else 0.0
        for name, values in (("mean", mean), ("std", std)):
            values[here] = changed.get(f"{sensor}_{name}", values[here])
        columns = {
            "window_start": pa.array(START_US + hours * HOUR_US).cast(TIMESTAMP),
            "window_end": pa.array(START_US + (hours + 1) * HOUR_US).cast(TIMESTAMP),
            "device": [device] * hours.size,
            "sensor": [sensor] * hours.size,
            "count": [60] * hours.size,
            "mean": mean,
            "std": std,
        }
        parts.append(pa.table(columns).cast(windows_schema(["mean", "std"])))
    return pa.concat_tables(parts)


def incident(sensor="temperature", first=NOON, device="a", **more):
    """What is unusual for four hours, and over."""
    row = {
        "incident_id": f"{device}{sensor}{first}",
        "device": device,
        "sensor": sensor,
        "start": START + first * HOUR,
        "end": START + (first + LASTS) * HOUR,
        "state": "closed",
        "n_windows": LASTS,
        "peak_severity": 2.0,
        "peak_at": START + first * HOUR,
        "top_feature": "mean",
        "evidence": 10.0,
        "warming_up": False,
    }
    return row | more


def listed(windows, *rows):
    """The list of incidents of one machine, read beside its windows."""
    incidents = pa.Table.from_pylist([*rows], INCIDENTS)
    return roll_up(incidents, last_windows(windows), RULES, 0, {}, lambda *_: windows).to_pylist()


def last_windows(windows):
    """The last row of each series of windows; schema GAPS."""
    of_series = windows.group_by(["device", "sensor"]).aggregate(
        [("window_end", "max"), ("window_start", "min")]
    )
    last = [
        {"device": device, "sensor": sensor, "state": "last", "start": end, "first_start": start}
        for device, sensor, end, start in zip(*of_series.to_pydict().values(), strict=True)
    ]
    return pa.Table.from_pylist(last, GAPS)


def priority(*rows):
    """What the worst of the list counts where nothing is known beside it."""
    return max(row["priority"] for row in listed(machine().slice(0, 0), *rows))


def test_a_machine_that_stands_still_reads_as_at_night_and_counts_a_tenth():
    (row,) = listed(machine(stands_still=True), incident())
    # The newest night before noon: its last hour.
    assert row["advice"].startswith(ADVICE)
    assert row["priority"] == pytest.approx(EXPLAINED * priority(incident()))
    assert row["level"] == "low"


@pytest.mark.parametrize("evidence", [10.0, 1000.0])
def test_while_the_machine_stands_still_that_stays_medium(evidence):
    (row,) = listed(machine(stands_still=True), incident(state="open", evidence=evidence))
    assert row["advice"].startswith(ADVICE)
    whole = priority(incident(state="open", evidence=evidence))
    assert row["priority"] == pytest.approx(max(EXPLAINED * whole, LEVEL_FROM[0]))
    assert row["level"] != "low"


def test_it_names_a_time_at_which_the_machine_really_stood_still():
    (row,) = listed(machine(stands_still=True), incident())
    moment = row["advice"].removeprefix(ADVICE)
    assert not "06:00" <= moment[11:16] < "18:00"
    assert (
        f"{START + (NOON - 7 * 24) * HOUR:%Y-%m-%d %H:%M}" <= moment < f"{START + NOON * HOUR:%Y-%m-%d %H:%M}"
    )


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"temperature_mean": 2.0}, id="a sensor reads as at night while the machine runs"),
        pytest.param({"temperature_std": 0.0}, id="a sensor sticks at a usual value"),
        pytest.param({"pressure_mean": 30.0}, id="a sensor reads what it never did"),
        pytest.param({"pressure_mean": np.nan}, id="a sensor reads nothing"),
    ],
)
def test_a_fault_in_one_sensor_is_like_no_other_time(fault):
    (row,) = listed(machine(**fault), incident())
    assert (row["advice"], row["priority"]) == ("", priority(incident()))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"top_feature": "equal_run"}, id="a value that does not change"),
        pytest.param({"beyond_limits": True}, id="beyond a limit"),
        pytest.param({"top_feature": STAY, "top_value": 4.0, "upper": 1.0}, id="a stay that lasts too long"),
        pytest.param({"evidence": 1.0}, id="low anyway"),
        pytest.param({"warming_up": True}, id="warming up"),
    ],
)
def test_some_incidents_are_not_looked_at(more):
    (row,) = listed(machine(stands_still=True), incident(**more))
    assert ADVICE not in row["advice"]
    assert row["priority"] == priority(incident(**more))


def test_a_fault_that_comes_again_was_not_usual_before():
    windows = machine(stands_still=True)
    nights = [incident("pressure", 24 * day + hour) for day in range(8) for hour in (-6, -2, 2)]
    before = [row for row in nights if 0 <= (row["start"] - START) / HOUR < NOON]
    advice = {row["start"]: row["advice"] for row in listed(windows, *before, incident())}
    assert advice[START + NOON * HOUR] == ""


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(machine(sensors=("pressure", "temperature"), stands_still=True), id="two sensors"),
        pytest.param(machine(first=3 * 24, stands_still=True), id="days too few"),
        pytest.param(machine("b", stands_still=True), id="no windows of this machine"),
    ],
)
def test_what_shows_too_little_explains_nothing(windows):
    (row,) = listed(windows, incident())
    assert row["advice"] == ""


@pytest.mark.parametrize("size", [pytest.param(0.0, id="constants"), pytest.param(0.1, id="noise")])
def test_sensors_that_show_nothing_of_the_machine_explain_nothing(size):
    # A temperature that reads as at night, by day.
    windows, random = machine(temperature_mean=2.0, temperature_std=0.1), np.random.default_rng(1)
    others = np.array(windows["sensor"].to_pylist()) != "temperature"
    for name, value in (("mean", 10.0), ("std", 1.0)):
        place, values = windows.schema.get_field_index(name), windows[name].to_numpy().copy()
        # As near to each other as a tenth of what is usual, when it matters.
        values[others] = value + size * random.uniform(-1, 1, others.sum())
        hours = np.arange(others.sum()) % (DAYS * 24)
        values[np.flatnonzero(others)[(hours >= NOON - 7 * 24) & (hours % 24 >= 20)]] = value
        values[np.flatnonzero(others)[(hours >= NOON) & (hours < NOON + LASTS)]] = value
        windows = windows.set_column(place, windows.schema.field(place), pa.array(values))
    (row,) = listed(windows, incident())
    assert row["advice"] == ""


def test_most_windows_of_an_incident_have_to_be_like_others():
    mean = np.full(LASTS, 2.0)
    mean[:2] = 50.0
    (row,) = listed(machine(stands_still=True, temperature_mean=mean), incident())
    assert row["advice"] == ""
    mean[1] = 2.0
    (row,) = listed(machine(stands_still=True, temperature_mean=mean), incident())
    assert row["advice"].startswith(ADVICE)


def test_a_counter_that_begins_again_says_that_somebody_was_there_once_it_is_over():
    windows = machine(sensors=(*SENSORS, "cycles"), restarts=True, pressure_mean=30.0)
    (row,) = listed(windows, incident("pressure"))
    assert (row["advice"], row["priority"]) == (
        AGAIN,
        pytest.approx(EXPLAINED * priority(incident("pressure"))),
    )
    # Whatever goes on after it is news.
    (row,) = listed(windows, incident("pressure", state="open"))
    assert row["advice"] == ""


def test_a_counter_that_begins_again_every_day_explains_nothing():
    windows = machine(sensors=(*SENSORS, "cycles"), restarts=True, pressure_mean=30.0)
    place, mean = windows.schema.get_field_index("mean"), windows["mean"].to_numpy().copy()
    is_counter = np.array(windows["sensor"].to_pylist()) == "cycles"
    mean[is_counter] = 1.0 + (np.arange(DAYS * 24) - NOON) % 24
    windows = windows.set_column(place, windows.schema.field(place), pa.array(mean))
    (row,) = listed(windows, incident("pressure"))
    assert row["advice"] == ""


def test_a_counter_that_goes_on_explains_nothing():
    (row,) = listed(machine(sensors=(*SENSORS, "cycles"), pressure_mean=30.0), incident("pressure"))
    assert row["advice"] == ""


def fleet(sensor, n_others, devices, windows, **more):
    """The list of one incident of each device, in a fleet with others that send that sensor."""
    known = {"sensor": sensor, "state": "last", "start": START, "first_start": START}
    others = [{"device": f"z{number:03}"} | known for number in range(n_others)]
    gaps = pa.concat_tables([last_windows(windows), pa.Table.from_pylist(others, GAPS)])
    rows = [incident(sensor, device=name, evidence=10.0 + n, **more) for n, name in enumerate(devices)]
    return roll_up(pa.Table.from_pylist(rows, INCIDENTS), gaps, RULES, 0, {}, lambda *_: windows).to_pylist()


def test_only_the_worst_are_looked_at():
    devices = [f"m{number:02}" for number in range(MAX_EXPLAINED + 1)]
    windows = pa.concat_tables([machine(device, stands_still=True) for device in devices])
    found = fleet("temperature", 200, devices, windows)
    assert [row["device"] for row in found if not row["advice"]] == [devices[0]]


def test_no_window_is_read_of_machines_with_one_sensor():
    gaps = last_windows(machine(sensors=["temperature"]))
    table = pa.Table.from_pylist([incident()], INCIDENTS)
    (row,) = roll_up(table, gaps, RULES, 0, {}, lambda *_: pytest.fail("read")).to_pylist()
    assert row["advice"] == ""


@pytest.mark.parametrize(("n_still", "is_explained"), [(3, True), (2, True), (1, False), (0, False)])
def test_an_event_of_the_fleet_is_explained_where_most_of_its_machines_are(n_still, is_explained):
    devices = ["a", "b", "c"]
    windows = pa.concat_tables(
        [
            machine(name, stands_still=True) if place < n_still else machine(name, temperature_mean=50.0)
            for place, name in enumerate(devices)
        ]
    )
    (row,) = fleet("temperature", 0, devices, windows)
    assert row["kind"] == "fleet_event"
    assert row["advice"].startswith(ADVICE) == is_explained


def test_a_machine_that_sends_another_unit_says_nothing_of_an_event():
    devices = ["a", "b", "c"]
    windows = pa.concat_tables(
        [machine("a", stands_still=True), machine("b", temperature_mean=50.0), machine("c")]
    )
    rows = [incident(device=name, unit="°C → °F" if name != "a" else None) for name in devices]
    (row,) = listed(windows, *rows)
    assert (row["kind"], row["advice"].startswith(ADVICE)) == ("fleet_event", True)
