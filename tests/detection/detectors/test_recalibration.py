"""A curve fitted anew is training's where the windows are the same, and follows windows that differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.detectors.combined_tails import evidence_at
from batch_scoring.detection.detectors.recalibration import recalibrated
from batch_scoring.detection.detectors.tail_curves import fit_shape

MARGIN = 0.1


def curve_of(values):
    """The combined curve that training fits to these values."""
    begin, scale, top, shape = fit_shape(values)
    return np.array([begin, scale, top, MARGIN, shape])


def evidence(n, seed, scale=1.0):
    return scale * np.random.default_rng(seed).exponential(size=n)


@given(st.lists(st.tuples(st.integers(2, 900), st.integers(0, 99)), min_size=1, max_size=6))
def test_a_curve_fitted_anew_to_as_many_windows_as_training_had_is_the_one_that_training_fits(sizes):
    values = [evidence(n, seed).round(2) for n, seed in sizes]
    own = np.array([curve_of(evidence(n, seed + 1)) for n, seed in sizes])
    counts = np.array([n for n, _ in sizes])
    found = recalibrated(own, counts, np.concatenate(values), counts)
    assert np.array_equal(found, [curve_of(one) for one in values])


@given(st.lists(st.tuples(st.integers(30, 900), st.integers(0, 1000)), min_size=2, max_size=6))
def test_no_bit_of_a_curve_depends_on_the_other_series(series):
    n = np.array([size for size, _ in series])
    counts = np.array([min(size, learned) for size, learned in series])
    own = np.array([curve_of(evidence(size, 1)) for size in n])
    parts = [evidence(count, count) for count in counts]
    found = recalibrated(own, n, np.concatenate(parts), counts)
    for row, part in enumerate(parts):
        one = slice(row, row + 1)
        assert np.array_equal(recalibrated(own[one], n[one], part, counts[one])[0], found[row])


def test_a_series_without_new_windows_keeps_its_curve():
    own = np.array([curve_of(evidence(500, 1)), curve_of(evidence(500, 2))])
    found = recalibrated(own, np.array([500, 500]), evidence(40, 3), np.array([0, 40]))
    assert np.array_equal(found[0], own[0])
    assert not np.array_equal(found[1], own[1])


@pytest.mark.parametrize("learned", [1, 50, 250])
def test_windows_like_those_of_training_leave_the_curve_where_it_was(learned):
    # Over many series, since each is chance.
    n, m = np.full(200, 500), 200
    own = np.array([curve_of(evidence(500, seed)) for seed in range(m)])
    new = np.concatenate([evidence(learned, 1000 + seed) for seed in range(m)])
    found = recalibrated(own, n, new, np.full(m, learned))
    before, after = (evidence_at(np.full(m, 2.0), curves) for curves in (own, found))
    assert after.mean() == pytest.approx(before.mean(), rel=0.02)


@pytest.mark.parametrize(("scale", "is_rarer"), [(1.5, True), (0.5, False)])
def test_the_more_unusual_the_new_windows_the_more_an_anomaly_takes(scale, is_rarer):
    own = curve_of(evidence(500, 1))[None]
    two = np.full(1, 2.0)
    limits = [
        evidence_at(two, recalibrated(own, np.array([500]), evidence(k, 2, scale), np.array([k])))[0]
        for k in (100, 250, 500)
    ]
    own_limit = evidence_at(two, own)[0]
    assert limits == sorted(limits, reverse=not is_rarer)
    assert all((limit > own_limit) == is_rarer for limit in limits)
