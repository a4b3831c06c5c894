"""The median and the spread are those of the many, whatever a few windows did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.detectors.center_and_spread import center_and_spread

NORMAL = np.random.default_rng(0).normal(5.0, 2.0, size=(4000, 2))


def test_a_normal_distribution_has_its_own():
    center, spread = center_and_spread(NORMAL)
    np.testing.assert_allclose(center, 5.0, atol=0.1)
    np.testing.assert_allclose(spread, 2.0, rtol=0.05)


@given(st.integers(3, 60), st.integers(0, 10_000))
def test_the_spread_is_that_of_a_plain_sort(n, seed):
    rng = np.random.default_rng(seed)
    # Rounded, so that values repeat.
    X = rng.normal(size=(n, 3)).round(rng.integers(0, 3))
    before = X.copy()
    center, spread = center_and_spread(X)
    assert center.tolist() == np.median(X, axis=0).tolist()
    last = n - 1
    outer = np.sort(np.abs(X - center), axis=0)[int(np.ceil(0.9 * last))] / 1.6449
    cut = int(np.ceil(0.005 * last))
    inner = np.sort(X, axis=0)[cut : n - cut].std(axis=0)
    expected = np.maximum(outer, 0.5 * inner)
    has = expected > 0
    np.testing.assert_allclose(spread[has], expected[has], rtol=1e-12)
    assert np.array_equal(X, before)
    # The layout of the array is no matter.
    assert np.array_equal(center_and_spread(np.asfortranarray(X)), [center, spread])


def test_wild_windows_in_training_change_next_to_nothing():
    X = NORMAL.copy()
    X[:15] = 1e6
    center, spread = center_and_spread(X)
    np.testing.assert_allclose(center, 5.0, atol=0.15)
    np.testing.assert_allclose(spread, 2.0, rtol=0.1)


def test_a_feature_that_mostly_stands_still_has_a_spread():
    X = np.zeros((100, 3))
    X[::10, 0] = [3.0] * 10
    X[7, 1] = 3.0
    _, spread = center_and_spread(X)
    assert spread[0] == pytest.approx(3.0 / 1.6449)
    assert spread[1] == pytest.approx(X[:, 1].std())
    assert 0 < spread[2] <= 1e-12
