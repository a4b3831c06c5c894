"""Counters and daily cycles are told from training windows, and from nothing else."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.detectors.preprocessing import (
    HOURS,
    SLOTS,
    Ordered,
    Roles,
    find_seasonality,
    has_steady_trend,
    hour_levels,
    is_counter,
    is_state,
    slot_of,
    without_count,
)

FEATURES = ("mean", "std", "min", "max", "change", "diff_mean")
ROLES = Roles.of(FEATURES)
HOUR_US = 3_600_000_000
MONDAY_US = 1_767_571_200_000_000


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


def test_a_counter_may_stand_still_while_the_machine_does():
    runs = np.arange(3600) % 720 < 240  # a shift of eight hours, windows of an hour
    values = np.cumsum(np.random.default_rng(0).uniform(0, 2, 3600) * runs).reshape(300, 12)
    assert is_counter(windows_of(values), ROLES)
    assert not is_counter(windows_of(values[:20]), ROLES)  # too few to know
    rare = np.cumsum(np.arange(3600) % 720 == 0).reshape(300, 12)  # a setting that was raised five times
    assert not is_counter(windows_of(rare), ROLES)


def test_a_walk_a_ramp_with_resets_and_noise_are_no_counters():
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=3600)).reshape(300, 12)
    sawtooth = (np.arange(3600) % 240).reshape(300, 12)
    for values in (walk, sawtooth, rng.normal(size=(300, 12))):
        assert not is_counter(windows_of(values), ROLES)
    assert not is_counter(np.arange(20.0)[:, None], Roles.of(("mean",)))


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (100.0 - np.arange(400) // 60, True),
        (np.where(np.arange(400) < 200, 0.0, 5.0), False),
        (np.arange(400) + 100 * np.sin(np.arange(400) / 24 * 2 * np.pi), False),
        (np.random.default_rng(1).normal(size=400).cumsum(), False),
        (np.zeros(400), False),
    ],
    ids=["percent of a battery", "step", "cycle that rises", "wanders", "constant"],
)
def test_only_what_keeps_to_a_straight_line_has_a_steady_trend(level, expected):
    assert has_steady_trend(level, np.arange(400)) == expected
    # Where windows are missing, time goes on.
    kept = np.arange(400) % 100 < 60
    assert has_steady_trend(level[kept], np.arange(400)[kept]) == expected


def test_the_level_of_an_hour_is_its_median_shrunk():
    hours = np.repeat(np.arange(24), 8)
    level = Ordered(10.0 * (hours == 3)[:, None] + 1.0, hours, HOURS)
    found, medians = hour_levels(level, np.ones(192, bool))
    assert medians.tolist() == [1.0]
    assert found.shape == (1, 24)
    assert found[0, 3] == pytest.approx(10.0 * 8 / 10)
    assert (np.delete(found[0], 3) == 0).all()


def test_an_hour_with_two_windows_has_no_level():
    hours = np.array([0, 0, 5, 5, 5])
    level = Ordered(np.array([[9.0, 9.0, 1.0, 1.0, 1.0]]).T, hours, HOURS)
    found, _ = hour_levels(level, np.ones(5, bool))
    assert found[0].tolist() == [0.0] * 24


@given(st.integers(1, 60), st.integers(0, 1000))
def test_the_levels_of_some_windows_are_those_of_a_plain_loop(n, seed):
    rng = np.random.default_rng(seed)
    slots, levels, rows = rng.integers(0, 5, n), rng.normal(size=(n, 2)), rng.random(n) < 0.7
    rows[0] = True
    found, medians = hour_levels(Ordered(levels, slots, 5), rows)
    assert medians.tolist() == np.median(levels[rows], axis=0).tolist()
    for level, of_slot in zip(levels.T, found, strict=True):
        for slot in range(5):
            own = level[rows & (slots == slot)]
            middle = np.median(own) - np.median(level[rows]) if own.size > 2 else 0
            assert of_slot[slot] == pytest.approx(middle * own.size / (own.size + 2), abs=1e-12)


def seasonal(levels, start_us, folds, zone="UTC"):
    """Which levels have the hour taken out, and from how many slots."""
    found = find_seasonality(levels, start_us, folds, zone)
    return (found.is_seasonal.tolist(), found.n_slots) if found else None


def test_a_daily_cycle_is_taken_and_noise_is_not():
    rng = np.random.default_rng(2)
    hours = np.arange(480) % 24
    cycle = 3 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(size=480)
    noise = rng.normal(size=480)
    walk = np.cumsum(rng.normal(size=480))
    start_us = np.arange(480) * HOUR_US
    levels = np.column_stack([cycle, noise, walk])
    assert seasonal(levels, start_us, folds_of(480)) == ([True, False, False], HOURS)
    assert seasonal(levels[:, 1:], start_us, folds_of(480)) is None


def test_what_the_hours_add_is_known_with_and_without_each_block():
    rng = np.random.default_rng(2)
    hours, noise = np.arange(480) % 24, rng.normal(size=480)
    levels = np.column_stack([3 * np.sin(hours / 24 * 2 * np.pi) + rng.normal(size=480), noise])
    found = find_seasonality(levels, np.arange(480) * HOUR_US, folds_of(480), "UTC")
    of_hour = Ordered(levels, hours, HOURS)
    rows = [np.isin(np.arange(480), rest) for _, rest in [(None, np.arange(480)), *folds_of(480)]]
    for one, some in zip([found.of_slot, *found.of_folds], rows, strict=True):
        assert one[0].tolist() == hour_levels(of_hour, some)[0][0].tolist()
        assert one[1].tolist() == [0.0] * HOURS


def test_a_cycle_that_has_ended_is_not_taken():
    rng = np.random.default_rng(2)
    cycle = 3 * np.sin(np.arange(480) / 24 * 2 * np.pi) + rng.normal(size=480)
    cycle[400:] = rng.normal(size=80)
    assert seasonal(cycle[:, None], np.arange(480) * HOUR_US, folds_of(480)) is None


def test_a_weekend_has_hours_of_its_own_once_two_have_been_seen():
    rng = np.random.default_rng(3)
    start_us = MONDAY_US + np.arange(28 * 24) * HOUR_US
    hours, day = np.arange(28 * 24) % 24, np.arange(28 * 24) // 24 % 7
    shift = 10.0 * ((hours >= 6) & (hours < 18) & (day < 5))
    levels = (shift + rng.normal(size=shift.size))[:, None]
    assert seasonal(levels, start_us, folds_of(shift.size)) == ([True], SLOTS)
    # After one week the newest days are those of the first weekend, which no hour explains.
    week = slice(0, 7 * 24)
    assert seasonal(levels[week], start_us[week], folds_of(7 * 24)) is None


def test_what_was_seen_on_one_day_only_is_no_time_of_day():
    # A step every hour: the hours explain it as well as anything could.
    rng = np.random.default_rng(6)
    day = (5.0 * (np.arange(288) // 12) + rng.normal(size=288))[:, None]
    start_us = 300_000_000 * np.arange(288)
    alternate = [(slice(first, 288, 2), np.arange(1 - first, 288, 2)) for first in range(2)]
    assert seasonal(day, start_us, alternate) is None
    # The same again two days later is one.
    days = [(slice(0, 288), np.arange(288, 576)), (slice(288, 576), np.arange(288))]
    later = np.append(start_us, start_us + 2 * 86_400_000_000)
    assert seasonal(np.tile(day, (2, 1)), later, days) == ([True], HOURS)


def test_hours_are_those_of_the_zone_and_its_summer_time():
    assert slot_of(np.array([0, HOUR_US - 1, HOUR_US, 24 * HOUR_US])).tolist() == [0, 0, 1, 0]
    # The clocks went from 2 to 3 on Sunday, 2026-03-29, in Berlin.
    change = 1_774_746_000_000_000
    found = slot_of(change + np.array([-1, 0, 24 * HOUR_US]), "Europe/Berlin")
    assert found.tolist() == [1 + HOURS, 3 + HOURS, 3]


@given(
    st.integers(0, 4_000_000_000), st.sampled_from(["Asia/Kathmandu", "America/St_Johns", "Europe/Berlin"])
)
def test_slots_are_what_a_clock_of_the_zone_shows(seconds, zone):
    shown = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    expected = shown.hour + HOURS * (shown.weekday() >= 5)
    assert slot_of(np.array([seconds * 1_000_000]), zone).tolist() == [expected]


def test_few_values_or_repeats_are_a_state_and_a_rounded_measurement_is_not():
    rng = np.random.default_rng(7)
    run = np.full((300, 1), 3.0)
    roles = Roles.of((*FEATURES, "equal_run"))
    valve = windows_of(rng.integers(0, 2, (300, 12)).astype(float))
    rounded = windows_of(np.round(rng.normal(20, 2, (300, 12)), 1))
    held = windows_of(np.repeat(np.round(rng.normal(20, 2, 60), 3), 60).reshape(300, 12))
    found = [is_state(np.hstack([X, run]), roles) for X in (valve, rounded, held)]
    assert found == [True, False, True]


def test_windows_that_follow_none_say_nothing_of_steps():
    """Of readings an hour, say, in windows of five minutes: `diff_mean` is 0 in all of them."""
    X = windows_of(np.random.default_rng(0).uniform(0.5, 1.5, 300).cumsum()[:, None])
    X[:, ROLES.diff_mean] = 0.0
    assert is_counter(X, ROLES)
    assert not is_state(X, ROLES)
    held = windows_of(np.repeat(np.random.default_rng(0).normal(size=100), 3)[:, None])
    held[:, ROLES.diff_mean] = 0.0
    assert is_state(held, ROLES)
