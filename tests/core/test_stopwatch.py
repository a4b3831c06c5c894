"""Seconds are added up where they are spent, once, and not at all while the stopwatch is off."""

import time

import pytest

from batch_scoring.core import stopwatch
from batch_scoring.core.stopwatch import Stopwatch
from tests.at_once import at_once


@pytest.fixture
def watch():
    one = Stopwatch()
    one.start()
    return one


class Clock:
    """Time passes when somebody says so, not when the machine is busy."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def slowly(self, items, seconds):
        for item in items:
            self.sleep(seconds)
            yield item


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    return clock


def test_until_it_is_started_things_are_passed_on_as_they_are():
    watch, items = Stopwatch(), [1, 2]
    assert watch.each("read", items) is items
    assert watch.waiting("write", items) is items
    assert watch.timed("score", len) is len
    with watch.during("read"):
        watch.count("windows", 3)
    assert (watch.seconds, watch.counts) == ({}, {})


def test_the_time_that_items_take_is_that_of_making_not_of_using_them(watch, clock):
    for _ in watch.each("read", clock.slowly([1, 2, 3], 0.5)):
        clock.sleep(10)
    assert watch.seconds == {"read": 1.5}


def test_waiting_is_taken_away_from_the_block_around_it(watch, clock):
    with watch.during("write"):
        for _ in watch.waiting("write", clock.slowly([1, 2, 3], 10)):
            clock.sleep(0.5)
    assert watch.seconds == {"write": 1.5}


def test_a_block_inside_another_of_its_kind_counts_once(watch, clock):
    with watch.during("read"), watch.during("read"):
        clock.sleep(0.5)
    assert watch.seconds == {"read": 0.5}


def test_threads_add_up_to_more_than_the_time_that_passes(watch):
    call = watch.timed("score", time.sleep)
    at_once(lambda: call(0.05), 4)
    assert watch.seconds["score"] >= 0.2


def test_the_time_of_a_failure_counts(watch, clock):
    def fail(_):
        clock.sleep(0.5)
        raise ValueError

    with pytest.raises(ValueError):
        watch.timed("score", fail)(1)
    assert watch.seconds == {"score": 0.5}
