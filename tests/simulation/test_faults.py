from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.simulation.faults import KINDS
from batch_scoring.simulation.fleet import build_fleet
from batch_scoring.simulation.settings import FaultRates
from tests.simulation.fleets import NO_FAULTS, a_quiet_simulation, a_simulation, during, simulate_fleet

rates = st.sampled_from([0, 0.5, 1, 4])
simulations = st.builds(
    a_simulation,
    seed=st.integers(0, 2**40),
    devices=st.integers(1, 4),
    days=st.integers(1, 4),
    interval=st.sampled_from([timedelta(minutes=10), timedelta(hours=3)]),
    gaps_per_device_day=st.sampled_from([0, 1]),
    late_per_device_day=st.just(0.5),
    malformed_share=st.sampled_from([0, 0.1]),
    faults_in_last_share=st.sampled_from([0, 0.01, 0.3, 1]),
    faults_per_device=st.builds(FaultRates, rates, rates, rates, rates, rates, rates),
)


@given(simulations)
def test_faults_lie_in_the_last_share_of_the_time_and_do_not_overlap(simulation):
    labels = build_fleet(simulation).faults().to_pylist()
    end = simulation.start + simulation.days * timedelta(days=1)
    zone = simulation.faults_in_last_share * (end - simulation.start)
    for fault in labels:
        assert end - zone <= fault["start"] < fault["end"] <= end
    for fault, following in pairwise(labels):
        same = (fault["device"], fault["sensor"]) == (following["device"], following["sensor"])
        assert not same or fault["end"] <= following["start"]


@given(simulations)
def test_dropouts_have_no_readings_and_stuck_values_are_constant_and_no_gap_hides_a_fault(simulation):
    table = pa.concat_tables(simulate_fleet(simulation))
    for fault in build_fleet(simulation).faults().to_pylist():
        values = during(table, fault)
        if fault["kind"] == "dropout":
            assert len(values) == 0
            continue
        assert len(values) >= (fault["end"] - fault["start"]) // simulation.interval
        assert np.isfinite(values).all()
        if fault["kind"] == "stuck_value":
            assert len(np.unique(values)) == 1


def one_kind(kind: str, **settings):
    rates = FaultRates(**{one: 1.0 if one == kind else 0.0 for one in KINDS})
    broken = a_quiet_simulation(devices=12, faults_per_device=rates, **settings)
    healthy = a_quiet_simulation(devices=12, faults_per_device=NO_FAULTS, **settings)
    tables = [pa.concat_tables(simulate_fleet(one)) for one in (broken, healthy)]
    for fault in build_fleet(broken).faults().to_pylist():
        yield fault, *(during(table, fault) for table in tables)


def test_a_spike_starts_at_its_highest_and_fades():
    for fault, broken, healthy in one_kind("spike", interval=timedelta(minutes=1), days=1):
        height = np.sign(fault["size"]) * (broken - healthy)
        assert 1 <= len(height) <= 5 and height[0] > 0
        assert (np.diff(height) < 0).all()


def test_a_level_shift_moves_every_value_by_the_same():
    for fault, broken, healthy in one_kind("level_shift"):
        moved = broken - healthy
        assert np.sign(moved).tolist() == [np.sign(fault["size"])] * len(moved)
        assert np.ptp(moved) < 0.11  # as good as the resolution is


def test_a_drift_grows_steadily():
    for fault, broken, healthy in one_kind("drift"):
        moved = np.sign(fault["size"]) * (broken - healthy)
        half = len(moved) // 2
        assert moved[-1] == pytest.approx(moved.max()) and moved[-1] > 0
        assert moved[half - 1] == pytest.approx(moved[-1] / 2, abs=moved[-1] / len(moved) + 0.2)


def test_a_noise_burst_is_as_much_noisier_as_its_label_says():
    ratios = []
    for fault, broken, healthy in one_kind("noise_burst", interval=timedelta(minutes=1), days=1):
        ratios.append(np.std(np.diff(broken)) / np.std(np.diff(healthy)) / (1 + fault["size"]))
        assert fault["size"] >= 2
    assert np.median(ratios) == pytest.approx(1, abs=0.2)


def test_a_fault_goes_up_where_there_is_no_room_below():
    down = 0
    for fault, broken, healthy in one_kind("level_shift", sensors=("power", "vibration"), days=14, seed=3):
        assert np.ptp(broken - healthy) < 0.11  # nothing is cut off at 0
        down += fault["size"] < 0
    assert 0 < down < 12


def test_the_number_of_faults_is_the_rate_times_the_devices():
    simulation = a_simulation(devices=10, faults_per_device=FaultRates(0.25, 0, 0.5, 1, 0, 0.04))
    counts = build_fleet(simulation).faults()["kind"].value_counts().to_pylist()
    assert {one["values"]: one["counts"] for one in counts} == {"spike": 3, "drift": 5, "stuck_value": 10}


def test_faults_strike_different_sensors_while_there_are_any():
    labels = build_fleet(a_simulation(devices=9)).faults()
    assert labels.num_rows == 24 > 18 - 1
    pairs = labels.group_by(["device", "sensor"]).aggregate([([], "count_all")])
    assert pairs.num_rows == 18
    assert labels["size"].null_count == 8  # four stuck values, four dropouts
