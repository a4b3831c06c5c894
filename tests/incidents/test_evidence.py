"""What a window counts follows its evidence, by its order of magnitude; whatever the evidence is."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.evidence import (
    levels_of,
    outlier_priority,
    silence_priority,
    urgency,
    window_evidence,
)


def counted(evidence, severity=0.0):
    columns = {"evidence": pa.array([evidence], pa.float64()), "severity": pa.array([severity], pa.float64())}
    columns["rule"] = pa.nulls(1, pa.string())
    return window_evidence(pa.table(columns))[0]


@given(st.floats(0, allow_nan=False), st.floats(0, allow_nan=False))
def test_more_evidence_counts_no_less_and_never_beyond_measure(one, other):
    low, high = sorted([one, other])
    assert 0 < counted(low) <= counted(high) < 7


def test_a_factor_of_ten_counts_one_more():
    assert counted(9.0) == pytest.approx(1.3)
    assert counted(999.0) - counted(99.0) == pytest.approx(1.0)


def test_without_evidence_the_severity_counts():
    assert counted(None, 9.0) == counted(9.0, 0.0)
    assert counted(None, None) == counted(float("nan")) == counted(0.0) == 0.3


def test_single_windows_lie_below_all_else_in_the_order_of_their_evidence():
    assert outlier_priority(np.array([0.0, 1.0, np.inf])).tolist() == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("is_device", "is_source", "least"), [(False, False, 5), (True, False, 15), (False, True, 50)]
)
def test_a_silence_ten_times_as_long_counts_twice_and_more_of_a_device_or_the_source(
    is_device, is_source, least
):
    priority = silence_priority(np.array([0.0, 1.0]), np.full(2, is_device), np.full(2, is_source))
    assert priority.tolist() == [least, 2 * least]


def test_every_priority_has_a_level():
    found = levels_of(np.array([0.0, 2.99, 3.0, 6.0, 12.0, np.inf])).to_pylist()
    assert found == ["low", "low", "medium", "high", "critical", "critical"]


AGES = st.integers(0, 400 * 24 * 3_600_000_000)


@given(st.floats(0.1, 1e3), AGES, AGES)
def test_what_goes_on_is_more_urgent_than_what_is_over_and_that_fades_after_a_week(priority, one, other):
    age, week = np.sort([one, other]), 7 * 24 * 3_600_000_000
    newer, older = urgency(np.full(2, priority), age, np.zeros(2, bool))
    assert priority >= newer >= older > 0
    assert newer == priority or age[0] > week
    assert urgency(np.full(1, priority), age[1:], np.ones(1, bool))[0] == pytest.approx(3 * priority)
    # However small the difference, of those that are over as long the larger one is first.
    assert urgency(np.full(1, 2 * priority), age[1:], np.zeros(1, bool))[0] == pytest.approx(2 * older)
