from datetime import timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.simulation.outages import gaps_of_day, late_of_day
from tests.simulation.fleets import a_quiet_simulation, readings_of, simulate_fleet


def test_a_gap_goes_on_after_midnight_and_ends_when_it_should():
    simulation = a_quiet_simulation(
        gaps_per_device_day=0.3, devices=200, sensors=("vibration",), interval=timedelta(minutes=30)
    )
    table = pa.concat_tables(simulate_fleet(simulation))
    gaps, following = gaps_of_day(simulation, 0), gaps_of_day(simulation, 1)
    overnight = np.flatnonzero((gaps.last > 48) & ~np.isin(gaps.device, following.device))
    assert len(overnight)
    for which in overnight:
        own = readings_of(table, simulation.device_names[gaps.device[which]], "vibration")
        cells = [(time - simulation.start) // simulation.interval for time in own["timestamp"].to_pylist()]
        assert set(range(96)) - set(cells) == set(range(gaps.first[which], gaps.last[which]))


def test_gaps_last_five_minutes_to_six_hours_and_begin_on_their_day():
    gaps = gaps_of_day(a_quiet_simulation(gaps_per_device_day=1, devices=500), 2)
    assert len(gaps.device) == 500
    length = gaps.last - gaps.first
    assert length.min() >= 1 and 30 < length.max() <= 36
    assert gaps.first.min() >= 288 and gaps.first.max() < 432


def test_no_link_breaks_on_the_last_evening_which_no_file_follows():
    simulation = a_quiet_simulation(late_per_device_day=1)
    assert [len(late_of_day(simulation, day).device) for day in range(-1, 3)] == [0, 3, 3, 0]
