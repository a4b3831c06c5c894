"""Seconds are added up where they are spent, once, and not at all while the stopwatch is off."""

import time

import pytest

from batch_scoring.core.stopwatch import Stopwatch
from tests.at_once import at_once


@pytest.fixture
def watch():
    one = Stopwatch()
    one.start()
    return one


def slowly(items, seconds=0.02):
    for item in items:
        time.sleep(seconds)
        yield item


def test_until_it_is_started_things_are_passed_on_as_they_are():
    watch, items = Stopwatch(), [1, 2]
    assert watch.each("read", items) is items
    assert watch.waiting("write", items) is items
    assert watch.timed("score", len) is len
    with watch.during("read"):
        watch.count("windows", 3)
    assert (watch.seconds, watch.counts) == ({}, {})


def test_the_time_that_items_take_is_that_of_making_not_of_using_them(watch):
    for _ in watch.each("read", slowly([1, 2, 3])):
        time.sleep(0.05)
    assert 0.06 <= watch.seconds["read"] < 0.12


def test_waiting_is_taken_away_from_the_block_around_it(watch):
    with watch.during("write"):
        for _ in watch.waiting("write", slowly([1, 2, 3], 0.1)):
            time.sleep(0.01)
    assert 0.03 <= watch.seconds["write"] < 0.15


def test_a_block_inside_another_of_its_kind_counts_once(watch):
    began = time.perf_counter()
    with watch.during("read"), watch.during("read"):
        time.sleep(0.05)
    assert 0.05 <= watch.seconds["read"] <= time.perf_counter() - began


def test_threads_add_up_to_more_than_the_time_that_passes(watch):
    call = watch.timed("score", time.sleep)
    at_once(lambda: call(0.05), 4)
    assert watch.seconds["score"] >= 0.2


def test_the_time_of_a_failure_counts(watch):
    def fail(_):
        time.sleep(0.02)
        raise ValueError

    with pytest.raises(ValueError):
        watch.timed("score", fail)(1)
    assert watch.seconds["score"] >= 0.02
