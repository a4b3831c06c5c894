"""What a training lacks or holds is noted, and what comes back every week is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.moments import microseconds
from batch_scoring.detection.warm_up import WEEK
from batch_scoring.tables.schemas import STATUS
from batch_scoring.training.history import (
    NO_WEEKEND,
    OUTAGE,
    STRETCH,
    WARMING_UP,
    History,
    describe_level,
    describe_time,
)
from tests.factories import make_windows

HOUR = 3_600_000_000
MONDAY = microseconds(datetime(2026, 1, 5, tzinfo=UTC))


def kinds_of_time(hours, begins=MONDAY, cycle=WEEK):
    start = begins + np.asarray(hours) * HOUR
    return [note.partition(":")[0] for note in describe_time(start, start + HOUR, cycle)]


def kinds_of_level(level):
    start = MONDAY + np.arange(len(level)) * HOUR
    return [note.partition(":")[0] for note in describe_level(start, start + HOUR, np.asarray(level, float))]


def test_a_week_is_enough_and_an_hour_less_is_not():
    assert kinds_of_time(range(168)) == []
    assert kinds_of_time(range(167)) == [WARMING_UP]
    assert kinds_of_time(range(167), cycle=timedelta(days=1)) == []


def test_monday_to_friday_saw_no_weekend():
    assert kinds_of_time(range(120)) == [WARMING_UP, NO_WEEKEND]
    weekdays = [hour for hour in range(336) if hour % 168 < 120]
    assert kinds_of_time(weekdays, cycle=timedelta(days=1)) == [NO_WEEKEND]


def test_a_device_that_begins_on_a_friday_evening_is_young(tmp_path):
    friday = microseconds(datetime(2026, 3, 13, 18, tzinfo=UTC))
    assert kinds_of_time(range(54), friday) == [WARMING_UP]


def test_an_outage_is_one_that_does_not_come_back():
    hours = np.arange(24 * 28)
    assert kinds_of_time(hours[(hours < 200) | (hours >= 272)]) == [OUTAGE]
    assert kinds_of_time(hours[(hours < 200) | (hours >= 223)]) == []
    # Nothing is sent on Sundays.
    assert kinds_of_time(hours[hours % 168 < 144]) == []


def test_a_stretch_far_from_the_rest_is_noted_with_its_times():
    level = np.random.default_rng(0).normal(size=500)
    assert kinds_of_level(level) == []
    level[100:104] += 20
    assert kinds_of_level(level) == [STRETCH]
    (note,) = describe_level(MONDAY + np.arange(500) * HOUR, MONDAY + np.arange(1, 501) * HOUR, level)
    assert "2026-01-09 04:00 UTC to 2026-01-09 08:00 UTC" in note


def test_single_wild_windows_and_shifts_are_no_stretch():
    level = np.random.default_rng(0).normal(size=500)
    level[[50, 90, 200]] += 50
    assert kinds_of_level(level) == []
    shifts = np.where(np.arange(500) % 24 < 6, 20.0, 0.0) + np.random.default_rng(0).normal(size=500)
    assert kinds_of_level(shifts) == []
    rare_shifts = np.where(np.arange(500) % 168 < 5, 20.0, 0.0) + np.random.default_rng(0).normal(size=500)
    assert kinds_of_level(rare_shifts) == []


@given(st.lists(st.sampled_from([0.0, 1.0, 5.0, np.nan, 1e308, -1e308]), min_size=1, max_size=40))
def test_any_level_can_be_described(level):
    assert len(kinds_of_level(level)) <= 1


def status(*rows):
    columns = ("device", "sensor", "stage", "status", "n_windows", "n_anomalies", "message")
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema=STATUS)


def test_notes_are_added_to_the_messages_of_devices_with_a_model():
    history = History(("mean",), WEEK)
    windows = make_windows(np.zeros((40, 1)), ["a"] * 20 + ["b"] * 20, "s", ["mean"])
    assert [part for parts in history.observe([[windows]]) for part in parts] == [windows]
    table = status(
        ("a", "s", "train", "ok", 20, 0, "thinned"),
        ("b", "s", "train", "too_few_windows", 20, None, "20 usable windows"),
        ("c", "s", "train", "ok", 20, 0, ""),
    )
    messages = history.add_to(table)["message"].to_pylist()
    assert messages[0].startswith(f"thinned; {WARMING_UP}: trained on 1 h 40 m, less than 7 d")
    assert messages[1:] == ["20 usable windows", ""]
    assert history.summary(table).startswith(f"of 3 models 1 {WARMING_UP}, 1 {NO_WEEKEND}; first 'a'")
    assert history.summary(table.slice(1)) == ""


@pytest.mark.parametrize("features", [("std",), ("std", "mean")])
def test_the_stretch_is_looked_for_in_the_mean(features):
    X = np.random.default_rng(0).normal(size=(2100, len(features)))
    X[300:400, -1] += 30
    history = History(features, WEEK)
    list(history.observe([[make_windows(X, ["a"] * 2100, "s", features)]]))
    text = history.add_to(status(("a", "s", "train", "ok", 2100, 0, "")))["message"][0].as_py()
    assert (STRETCH in text) == ("mean" in features)
