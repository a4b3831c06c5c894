import hashlib
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.simulation import fleet as fleet_module
from batch_scoring.simulation.fleet import build_fleet
from batch_scoring.simulation.outages import gap_mask, late_of_day
from batch_scoring.tables.fault_labels import faults_only
from batch_scoring.tables.schemas import FAULT_LABELS, READINGS
from tests.simulation.fleets import (
    NO_FAULTS,
    a_quiet_simulation,
    a_simulation,
    day_table,
    is_malformed,
    readings_of,
    simulate_fleet,
)

simulations = st.builds(
    a_simulation,
    seed=st.integers(0, 2**40),
    devices=st.integers(1, 5),
    days=st.integers(1, 4),
    interval=st.sampled_from([timedelta(minutes=m) for m in (10, 30, 45, 60, 180)]),
    gaps_per_device_day=st.sampled_from([0, 0.5, 1]),
    late_per_device_day=st.sampled_from([0, 0.5, 1]),
    duplicate_share=st.sampled_from([0, 0.05, 1]),
    malformed_share=st.sampled_from([0, 0.05]),
)


@given(simulations, st.data())
def test_a_day_alone_is_that_day_of_the_whole(simulation, data):
    day = data.draw(st.integers(0, simulation.days - 1))
    whole = list(simulate_fleet(simulation))
    assert len(whole) == simulation.days
    assert same(day_table(build_fleet(simulation), day), whole[day])


@given(simulations)
def test_every_expected_reading_arrives_once_but_those_in_gaps_and_dropouts_and_duplicates(simulation):
    fleet = build_fleet(simulation)
    per_day, devices = simulation.readings_per_day, np.arange(simulation.devices)
    there = np.ones((simulation.devices, 2, per_day * simulation.days), bool)
    for day in range(simulation.days):
        cells = slice(day * per_day, (day + 1) * per_day)
        there[:, :, cells] &= ~gap_mask(simulation, day, devices, cells.start, cells.stop)[:, None, :]
    for fault in fleet.faults().to_pylist():
        if fault["kind"] == "dropout":
            first, last = ((fault[at] - simulation.start) // simulation.interval for at in ("start", "end"))
            row = simulation.device_names.index(fault["device"])
            there[row, simulation.sensor_names.index(fault["sensor"]), first:last] = False
    table = pa.concat_tables(simulate_fleet(simulation))
    times = table.group_by(["timestamp", "device", "sensor"]).aggregate([([], "count_all")])
    duplicates = pc.sum(pc.subtract(times["count_all"], 1)).as_py() or 0
    assert times.num_rows == there.sum()
    assert table.num_rows == there.sum() + duplicates
    assert pc.max(times["count_all"]).as_py() in ((2,) if simulation.duplicate_share == 1 else (1, 2, None))


@given(simulations)
def test_a_duplicate_follows_its_reading_and_is_exactly_the_same(simulation):
    table = pa.concat_tables(simulate_fleet(simulation))
    keys = table.select(["timestamp", "device", "sensor"]).to_pandas()
    repeated = np.flatnonzero(keys.duplicated())
    assert same(table.take(repeated), table.take(repeated - 1))


@given(simulations)
def test_readings_arrive_in_order_but_the_late_ones_which_come_on_the_next_day(simulation):
    for day, table in enumerate(simulate_fleet(simulation)):
        midnight = pa.scalar(simulation.start + timedelta(days=day), table.schema.field("timestamp").type)
        late = set(late_of_day(simulation, day - 1).device)
        on_time = table.filter(
            pc.invert(pc.is_in(table["device"], pa.array(names(simulation, late), pa.string())))
        )
        assert same(
            on_time, on_time.sort_by([(name, "ascending") for name in ("timestamp", "device", "sensor")])
        )
        before = table.filter(pc.less(table["timestamp"], midnight))
        assert set(before["device"].to_pylist()) <= set(names(simulation, late))
        assert pc.all(pc.less(table["timestamp"], midnight.as_py() + timedelta(days=1))).as_py() in (
            True,
            None,
        )
        if before.num_rows:
            assert pc.min(before["timestamp"]).as_py() >= midnight.as_py() - timedelta(hours=4)


def test_late_readings_wait_until_the_link_is_back():
    quiet = {"late_per_device_day": 0.4, "interval": timedelta(minutes=1), "days": 2}
    candidates = (a_quiet_simulation(seed=seed, **quiet) for seed in range(99))
    simulation = next(one for one in candidates if len(late_of_day(one, 0).device) == 1)
    cut = late_of_day(simulation, 0)
    device = simulation.device_names[cut.device[0]]
    gone, back = (simulation.start + int(cell[0]) * simulation.interval for cell in (cut.first, cut.last))
    first, second = simulate_fleet(simulation)
    assert pc.max(readings_of(first, device, "vibration")["timestamp"]).as_py() == gone - simulation.interval
    times, devices = second["timestamp"].to_pylist(), second["device"].to_pylist()
    position = devices.index(device)
    assert times[position] == gone
    assert max(times[:position]) == back - simulation.interval
    own = [time for time, one in zip(times, devices, strict=True) if one == device]
    assert own == sorted(own)
    assert first.num_rows + second.num_rows == 3 * 2 * 2880


@given(simulations, st.data())
def test_a_selection_is_the_same_rows_of_the_whole(simulation, data):
    device = data.draw(st.sampled_from(simulation.device_names))
    selection = Selection.read(device, data.draw(st.sampled_from([None, "vibration"])))
    for whole, part in zip(simulate_fleet(simulation), simulate_fleet(simulation, selection), strict=True):
        mask = pc.equal(whole["device"], device)
        if selection.sensors:
            mask = pc.and_(mask, pc.equal(whole["sensor"], "vibration"))
        assert same(part, whole.filter(mask))


@pytest.mark.slow
@given(simulations, st.integers(1, 3000))
def test_the_length_of_a_span_changes_nothing(simulation, span_readings):
    whole = day_table(build_fleet(simulation), simulation.days - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_module, "SPAN_READINGS", span_readings)
        spans = list(build_fleet(simulation).spans(simulation.days - 1))
    assert same(pa.concat_tables(spans), whole)


def test_another_seed_gives_other_readings():
    one, other = (next(iter(simulate_fleet(a_quiet_simulation(seed=seed)))) for seed in (1, 2))
    assert np.mean(one["value"].to_numpy() == other["value"].to_numpy()) < 0.1


def test_more_devices_leave_the_first_ones_as_they_are():
    few_devices, many = (next(iter(simulate_fleet(a_quiet_simulation(devices=n)))) for n in (2, 9))
    mine = many.filter(pc.is_in(many["device"], pa.array(["pump-01", "pump-02"])))
    assert same(few_devices, mine)


def test_a_day_has_the_columns_of_readings_and_says_what_made_it():
    fleet = build_fleet(a_simulation())
    table = day_table(fleet, 0)
    assert table.schema.equals(READINGS)
    assert table.schema.metadata[b"simulation"] == fleet.schema.metadata[b"simulation"]
    assert len(table.schema.metadata[b"simulation"]) == 64


def test_malformed_values_are_null_nan_infinite_and_out_of_range():
    simulation = a_quiet_simulation(malformed_share=0.5, devices=5)
    values = pa.concat_tables(simulate_fleet(simulation))["value"]
    known = values.drop_null().to_numpy()
    assert values.null_count > 0 and np.isnan(known).any() and np.isinf(known).any()
    assert {-9999.0, 65535.0} < set(known[np.isfinite(known)])
    share = (is_malformed(known).sum() + values.null_count) / len(values)
    assert share == pytest.approx(0.5, abs=0.05)


@given(simulations)
def test_the_wild_readings_that_are_sent_are_labelled_and_nothing_else(simulation):
    fleet = build_fleet(simulation)
    table = pa.concat_tables(simulate_fleet(simulation))
    value = table["value"].fill_null(0).to_numpy()
    sent = table.filter(pa.array(np.isin(value, [-9999.0, 65535.0])))
    labels = fleet.wild_readings()
    assert set(labels["kind"].to_pylist()) <= {"wild_reading"}
    columns = ("device", "sensor", "timestamp", "value")
    wanted = set(zip(*(sent[name].to_pylist() for name in columns), strict=True))
    columns = ("device", "sensor", "start", "size")
    assert set(zip(*(labels[name].to_pylist() for name in columns), strict=True)) == wanted
    lengths = pc.subtract(labels["end"], labels["start"]).to_pylist()
    assert set(lengths) <= {simulation.interval}


def test_labels_are_faults_and_wild_readings_by_device_sensor_and_start():
    fleet = build_fleet(a_simulation(malformed_share=0.01))
    labels = fleet.labels()
    assert labels.num_rows == fleet.faults().num_rows + fleet.wild_readings().num_rows > 10
    assert labels.equals(labels.sort_by([(n, "ascending") for n in ("device", "sensor", "start")]))
    assert faults_only(labels).equals(fleet.faults().combine_chunks())


# The fleet that figures are compared on: readings and faults, byte for byte.
READINGS_OF_SEED_7 = "cb31a51da86726cbf87c8a71bd696fb03e6b1bfef602788c99f396867e013b57"
FAULTS_OF_SEED_7 = "98b2e1d60ed00b17a90f288a6b73ef11d75ff1b9c195f698634c4d1315a9cc20"


@pytest.mark.slow
def test_the_default_fleet_is_the_one_of_the_first_release():
    fleet = build_fleet(fleet_module.Simulation())
    assert digest(day_table(fleet, day) for day in range(14)) == READINGS_OF_SEED_7
    assert digest([fleet.faults()]) == FAULTS_OF_SEED_7


def digest(tables) -> str:
    found = hashlib.sha256()
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.combine_chunks())
        found.update(sink.getvalue())
    return found.hexdigest()


def test_all_values_malformed_is_no_error():
    table = day_table(build_fleet(a_quiet_simulation(malformed_share=1)), 0)
    assert is_malformed(table["value"].to_numpy(zero_copy_only=False)).all()


def test_sensors_follow_the_load_together_and_temperature_lags_behind():
    simulation = a_quiet_simulation(devices=8, days=7, sensors=("power", "temperature", "vibration"))
    table = pa.concat_tables(simulate_fleet(simulation))
    lags = []
    for device in simulation.device_names:
        power, vibration, temperature = (
            readings_of(table, device, sensor)["value"].to_numpy()
            for sensor in ("power", "vibration", "temperature")
        )
        assert np.corrcoef(power, vibration)[0, 1] > 0.9
        shifted = [
            np.corrcoef(power[: -12 or None], temperature[k : len(power) - 12 + k])[0, 1] for k in range(12)
        ]
        lags.append(int(np.argmax(shifted)))
    assert min(lags) >= 1  # of ten minutes each


def test_weekends_are_quieter_than_weekdays():
    simulation = a_quiet_simulation(devices=20, days=7, sensors=("power",), interval=timedelta(hours=1))
    daily = [np.mean(table["value"].to_numpy()) for table in simulate_fleet(simulation)]
    assert max(daily[5:]) < min(daily[:5])


def test_values_have_the_resolution_of_their_sensor():
    table = day_table(build_fleet(a_quiet_simulation()), 0)
    for sensor, decimals in (("temperature", 1), ("vibration", 2)):
        values = readings_of(table, "pump-01", sensor)["value"].to_numpy()
        assert np.array_equal(values, np.round(values, decimals))
        assert len(np.unique(values)) > 20


def test_several_sensors_of_a_kind_differ():
    table = day_table(build_fleet(a_quiet_simulation(sensors=("power", "power_motor"))), 0)
    one, other = (readings_of(table, "pump-01", s)["value"].to_numpy() for s in ("power", "power_motor"))
    assert not np.array_equal(one, other)


def test_an_unknown_device_is_an_error_that_suggests_near_ones():
    with pytest.raises(InputError, match="device 'pump-1' is not among the 3 known; did you mean 'pump-01'"):
        build_fleet(a_simulation(), Selection.read("pump-1", None))


def test_a_fleet_without_faults_has_an_empty_table_of_labels():
    table = build_fleet(a_simulation(faults_per_device=NO_FAULTS)).faults()
    assert table.num_rows == 0 and table.schema.equals(FAULT_LABELS)


def same(left: pa.Table, right: pa.Table) -> bool:
    """Whether two tables have the same rows; Arrow says that NaN is not NaN."""
    values = (one["value"].to_numpy() for one in (left, right))
    return (
        left.drop_columns("value").equals(right.drop_columns("value"))
        and left["value"].is_null().equals(right["value"].is_null())
        and np.array_equal(*values, equal_nan=True)
    )


def names(simulation, devices):
    return [simulation.device_names[index] for index in devices]
