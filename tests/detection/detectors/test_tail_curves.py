"""Decades never fall as a value grows, and are what the share of larger values says."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batch_scoring.detection.detectors.tail_curves import (
    decades,
    excess_at,
    fit_curve,
    fit_shape,
    tail_decades_of,
    value_at,
)

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


@given(arrays(np.float64, st.integers(10, 80), elements=st.floats(0, 100), unique=True), st.floats(0.05, 9))
def test_a_value_is_found_by_its_decades(values, wanted):
    curve = fit_curve(values)
    value = value_at(curve[None], np.array([wanted]))
    assert decades_of(curve, value)[0] == pytest.approx(wanted, rel=1e-6)


@given(st.floats(0.01, 9), st.floats(0.01, 100), st.floats(-0.5, 0.0))
@example(1.0, 1.0, -5e-324)
@example(8.0, 1.0, -1.1e-9)
def test_an_excess_is_found_by_its_decades_and_farther_is_rarer(wanted, scale, shape):
    scale, shape = np.full(2, scale), np.full(2, shape)
    excess = excess_at(np.array([wanted, 1.01 * wanted]), scale, shape)
    found = tail_decades_of(excess, scale, shape)
    np.testing.assert_allclose(found, [wanted, 1.01 * wanted], rtol=1e-6)
    assert excess[0] < excess[1]


@pytest.mark.parametrize("shape", [0.0, -0.2, -0.4])
def test_scale_and_shape_are_those_of_the_distribution(shape):
    # The tenth of largest values of a generalised Pareto distribution is one, of the same shape.
    uniform = np.random.default_rng(1).random((400, 700))
    values = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
    found = np.array([fit_shape(one) for one in values])
    # From above, in five fits of six: the standard error is .14 to .17 for 70 excesses.
    assert shape <= np.mean(found[:, 3]) + 0.05 <= shape + 0.25
    assert np.mean(found[:, 3] >= shape - 1e-9) > 0.8
    rare = 0.0005
    end = -np.log(rare) if shape == 0 else (rare**-shape - 1) / shape
    at_end = found[:, 2] + tail_decades_of(end - found[:, 0], found[:, 1], found[:, 3])
    assert -np.log10(rare) - 1 < np.median(at_end) < -np.log10(rare) + 0.1


def test_one_wild_value_makes_no_tail_heavier_than_exponential():
    values = np.append(np.random.default_rng(2).random(999), 1e6)
    assert fit_shape(values)[3] <= 0
