"""Counters and daily cycles are told from training windows, and from nothing else."""

from itertools import pairwise

import numpy as np
import pytest

from batch_scoring.detection.detectors.preprocessing import (
    Roles,
    follows_time_of_day,
    hour_levels,
    hour_of,
    is_counter,
    without_count,
)

FEATURES = ("mean", "std", "min", "max", "change", "diff_mean")
ROLES = Roles.of(FEATURES)


def windows_of(values):
    """Features of rows of values, one row a window."""
    mean = values.mean(axis=1)
    return np.column_stack(
        [mean, values.std(axis=1), values.min(axis=1), values.max(axis=1), values[:, -1] - values[:, 0],
         np.diff(mean, prepend=mean[0])]
    )  # fmt: skip


def folds_of(n):
    edges = np.linspace(0, n, 6).astype(int)
    rows = np.arange(n)
    return [(slice(a, b), np.r_[rows[:a], rows[b:]]) for a, b in pairwise(edges)]


def test_features_are_found_by_their_names():
    assert (ROLES.levels.tolist(), ROLES.mean, ROLES.change, ROLES.diff_mean) == ([0, 2, 3], 0, 4, 5)
    other = Roles.of(("std", "mean"))
    assert (other.levels.tolist(), other.place_of_mean, other.has_previous_mean) == ([1], 0, False)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_always_rises_or_always_falls_is_a_counter(sign):
    steps = np.random.default_rng(0).uniform(0, 2, (300, 12))
    values = sign * np.cumsum(steps.ravel()).reshape(steps.shape)
    X = windows_of(values)
    assert is_counter(X, ROLES)
    freed, is_orphan = without_count(X, ROLES)
    assert is_orphan.tolist() == [True] + [False] * 299
    # Counted from the window before, a window is one step ahead; and it drifts no more.
    np.testing.assert_allclose(freed[1:, 0], X[1:, 5], atol=1e-9)
    assert abs(freed[1:, :4]).max() < 30 < abs(X[:, :4]).max()


def test_a_walk_a_ramp_with_resets_and_noise_are_no_counters():
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=3600)).reshape(300, 12)
    sawtooth = (np.arange(3600) % 240).reshape(300, 12)
    for values in (walk, sawtooth, rng.normal(size=(300, 12))):
        assert not is_counter(windows_of(values), ROLES)
    assert not is_counter(np.arange(20.0)[:, None], Roles.of(("mean",)))


def test_the_level_of_an_hour_is_its_median_shrunk():
    hours = np.repeat(np.arange(24), 8)
    levels = (10.0 * (hours == 3) + 1.0)[:, None]
    found = hour_levels(levels, hours)
    assert found.shape == (1, 24)
    assert found[0, 3] == pytest.approx(10.0 * 8 / 10)
    assert (np.delete(found[0], 3) == 0).all()


def test_an_hour_with_two_windows_has_no_level():
    found = hour_levels(np.array([[9.0], [9.0], [1.0], [1.0], [1.0]]), np.array([0, 0, 5, 5, 5]))
    assert found[0].tolist() == [0.0] * 24


def test_a_daily_cycle_is_taken_and_noise_is_not():
    rng = np.random.default_rng(2)
    hours = np.arange(480) % 24
    cycle = 3 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(size=480)
    noise = rng.normal(size=480)
    walk = np.cumsum(rng.normal(size=480))
    start_us = np.arange(480) * 3_600_000_000
    found = follows_time_of_day(np.column_stack([cycle, noise, walk]), start_us, folds_of(480))
    assert found.tolist() == [True, False, False]


def test_what_was_seen_on_one_day_only_is_no_time_of_day():
    # A step every hour: the hours explain it as well as anything could.
    rng = np.random.default_rng(6)
    day = (5.0 * (np.arange(288) // 12) + rng.normal(size=288))[:, None]
    start_us = 300_000_000 * np.arange(288)
    alternate = [(slice(first, 288, 2), np.arange(1 - first, 288, 2)) for first in range(2)]
    assert not follows_time_of_day(day, start_us, alternate).any()
    # The same again two days later is one.
    days = [(slice(0, 288), np.arange(288, 576)), (slice(288, 576), np.arange(288))]
    later = np.append(start_us, start_us + 2 * 86_400_000_000)
    assert follows_time_of_day(np.tile(day, (2, 1)), later, days).all()


def test_hours_are_those_of_utc():
    assert hour_of(np.array([0, 3_599_999_999, 3_600_000_000, 86_400_000_000])).tolist() == [0, 0, 1, 0]
