"""Which windows a day has, and where their readings are."""

from datetime import date, timedelta

import pytest
from batch_scoring.windows.days import WindowDay, window_days
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import DAY_US, MINUTE_US, START_US

FIRST = date(2026, 1, 5)
DAYS = {FIRST + timedelta(days=n): f"s/{n}" for n in range(-3, 4)}


def span(minutes: float, features=("mean",), day=FIRST) -> WindowDay:
    return WindowDay.of(day, timedelta(minutes=minutes), features)


def test_windows_that_divide_a_day_lie_within_it():
    assert span(5) == WindowDay(START_US, START_US + DAY_US, START_US)
    assert span(5).sources(DAYS) == ["s/0"]


def test_a_feature_of_the_window_before_needs_the_end_of_the_day_before():
    assert span(5, ["diff_mean"]).read_from_us == START_US - 5 * MINUTE_US
    assert span(5, ["diff_mean"]).sources(DAYS) == ["s/-1", "s/0"]


def test_windows_across_midnight_need_the_day_after():
    day_and_a_half = span(36 * 60, ["diff_mean"])
    assert day_and_a_half.first_us == START_US + DAY_US // 2
    assert day_and_a_half.end_us == START_US + 2 * DAY_US
    assert day_and_a_half.sources(DAYS) == ["s/-1", "s/0", "s/1"]


@pytest.mark.parametrize(("minutes", "before"), [(5, 0), (1440, 0), (7, 1), (2160, 2)])
def test_readings_may_lie_in_windows_of_days_before(minutes, before):
    days = window_days([FIRST], timedelta(minutes=minutes))
    assert days == [FIRST - timedelta(days=n) for n in range(before, -1, -1)]


@given(st.integers(1, 5000), st.integers(0, 7 * 1440 - 1))
def test_every_reading_is_in_one_windows_day_that_reads_its_file(minutes, minute):
    time_us = START_US + minute * MINUTE_US
    day = FIRST + timedelta(days=minute // 1440)
    spans = [span(minutes, day=one) for one in window_days([day], timedelta(minutes=minutes))]
    holding = [one for one in spans if one.first_us <= time_us < one.end_us]
    assert len(holding) == 1
    assert holding[0].sources({day: "here"}) == ["here"]


@pytest.mark.parametrize("window", [timedelta(minutes=5), timedelta(hours=7), timedelta(days=3)])
def test_the_first_day_of_the_calendar_has_no_day_before(window):
    assert window_days([date.min], window) == [date.min]
    first = WindowDay.of(date.min, window, ["mean", "diff_mean"])
    assert first.sources({date.min: "a"}) == ["a"]
