"""Decades never fall as a value grows, and are what the share of larger values says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batch_scoring.detection.detectors.tail_curves import decades, fit_curve

FINITE = st.floats(-1e6, 1e6)


def decades_of(curve, values):
    return decades(curve[None], np.array([len(values)]), np.asarray(values, np.float64))


@given(arrays(np.float64, st.integers(2, 80), elements=FINITE), st.lists(FINITE, min_size=2, max_size=20))
def test_what_is_larger_is_never_less_rare(values, asked):
    found = decades_of(fit_curve(values), sorted(asked))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-9).all()
    assert found.min() >= 0


def test_a_tenth_is_one_decade_and_the_tail_goes_on():
    values = np.random.default_rng(0).exponential(size=100_000)
    curve = fit_curve(values)
    expected = np.array([0.5, 1.0, 2.0, 3.0, 9.0])
    # Of an exponential distribution, 10^-x of the values lie above x ln 10.
    np.testing.assert_allclose(decades_of(curve, expected * np.log(10)), expected, rtol=0.06)


def test_of_few_values_the_tail_has_twenty_or_half_of_them():
    for n, n_tail in ((19, 9), (30, 15), (60, 20), (199, 20), (300, 30), (2000, 75)):
        curve = fit_curve(np.arange(float(n)))
        assert (curve[8], 10 ** -curve[10]) == (n - n_tail - 1, pytest.approx(n_tail / n))


def test_each_value_is_judged_by_the_curve_it_belongs_to():
    one, other = (fit_curve(np.random.default_rng(seed).normal(size=200)) for seed in (1, 2))
    both = decades(np.stack([one, other]), np.array([1, 2]), np.array([1.5, 0.2, 4.0]))
    assert both.tolist() == [*decades_of(one, [1.5]), *decades_of(other, [0.2, 4.0])]


def test_values_that_are_all_equal_make_a_step():
    found = decades_of(fit_curve(np.full(50, 3.0)), [2.9, 3.0, 3.1])
    assert found[0] == found[1] == 0
    assert found[2] > 100
