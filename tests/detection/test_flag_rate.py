"""A flag rate is told from chance by the number of alarms, not of windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.flag_rate import begins_alarm, least_rate

# The exact one-sided 99 % lower bounds of a Poisson mean (chi-square quantiles by two).
EXACT = {1: 0.01005, 2: 0.14855, 5: 1.2791, 10: 4.1302, 30: 18.742, 100: 78.215}


def test_the_bound_is_the_exact_one_of_a_poisson_variable_or_a_little_lower():
    n = np.array(list(EXACT))
    bound = least_rate(n, n, np.full(n.size, 1)) * 1.0
    exact = np.array(list(EXACT.values()))
    assert (bound <= exact + 0.01).all()
    assert (bound >= exact - 0.12).all()


def test_one_long_alarm_proves_nothing_and_many_short_ones_do():
    one, many = least_rate(np.array([50, 50]), np.array([1, 50]), np.array([1000, 1000]))
    assert one < 0.001 < 0.03 < many


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 1000))
def test_the_bound_never_exceeds_the_rate(alarms, longer, quiet):
    flagged = alarms + longer
    assert 0 <= least_rate(flagged, alarms, flagged + quiet) <= flagged / (flagged + quiet)


def test_without_windows_the_bound_is_nothing():
    assert least_rate(np.array([0]), np.array([0]), np.array([0])).tolist() == [0.0]


def test_an_alarm_ends_with_its_device():
    device, flags = np.array([0, 0, 1, 1]), np.array([False, True, True, True])
    assert begins_alarm(device, flags).tolist() == [False, True, True, False]
    assert begins_alarm(device[:0], flags[:0]).tolist() == []
