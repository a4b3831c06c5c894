import numpy as np

from batch_scoring.simulation.fleet import build_fleet
from batch_scoring.simulation.physics import as_read, load_at
from tests.simulation.fleets import a_simulation


def test_a_sensor_reads_at_its_resolution_and_not_below_its_least():
    machines = build_fleet(a_simulation()).machines
    values = np.full((3, 2, 1), -50.123) + np.array([0, 50, 60])[None, None, :]
    read = as_read(machines, values)
    assert np.array_equal(read[0], [[-40, -0.1, 9.9], [0, 0, 9.88]])


def test_the_lagged_load_is_what_a_first_order_lag_makes_of_the_load():
    machines = build_fleet(a_simulation(devices=20)).machines
    hours = np.arange(0, 14 * 24, 1 / 60)[None, :]
    load, lagged = load_at(machines, hours, 0)
    change = np.gradient(lagged, hours[0], axis=1)
    residual = machines.lag_hours * change - (load - lagged)
    assert np.median(np.abs(residual)) < 0.002  # the median: the tabulated week has corners
    assert np.abs(load - lagged).mean() > 0.02
