"""Ranked evidence is a plain recursion over each series, and a device's is that of its worst sensors."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batch_scoring.detection.ranking import ewma, worst_three

EVIDENCE = st.floats(0, 1e6)


@given(st.lists(arrays(np.float64, st.integers(1, 12), elements=EVIDENCE), max_size=6))
def test_each_series_is_averaged_by_itself(series):
    starts = np.cumsum([0, *map(len, series)])[:-1].astype(np.int64)
    found = ewma(np.concatenate([np.zeros(0), *series]), starts)
    expected = []
    for one in series:
        before = 0.0
        for value in one:
            expected.append(value + 0.5 * before)
            before += 0.1 * (value - before)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_lasts_ranks_above_a_single_window_as_strange():
    evidence = np.array([0, 0, 6, 0, 0, 0, 6, 6, 6, 0], np.float64)
    found = ewma(evidence, np.array([0, 5]))
    assert found.argmax() == 8
    assert (found >= evidence).all()


@given(arrays(np.float64, st.integers(0, 20), elements=EVIDENCE), st.integers(0, 100))
def test_a_device_is_as_strange_as_its_three_worst_sensors(evidence, seed):
    group = np.random.default_rng(seed).integers(0, 4, evidence.size)
    found = worst_three(evidence, group, 4)
    for number in range(4):
        worst = np.sort(evidence[group == number])[-3:]
        np.testing.assert_allclose(found[number], worst.mean() if worst.size else 0.0, rtol=1e-12)
