"""Overlapped work gives what work in turn gives, and leaves no thread behind."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.prefetch import computed, prefetched

NUMBERS = st.lists(st.integers(), max_size=20)


@given(NUMBERS)
def test_the_items_are_the_same_in_the_same_order(numbers):
    assert list(prefetched(iter(numbers))) == numbers


@given(NUMBERS, st.integers(1, 4))
def test_the_results_are_in_the_order_of_the_items(numbers, workers):
    assert list(computed(str, iter(numbers), workers)) == [str(n) for n in numbers]


def test_the_next_item_is_made_while_this_one_is_used():
    begun = threading.Event()

    def items():
        yield 1
        begun.set()
        yield 2

    ahead = prefetched(items())
    assert next(ahead) == 1
    assert begun.wait(120)


def test_no_more_items_are_made_than_asked_for():
    made = []

    def items():
        for n in range(10):
            made.append(n)
            yield n

    ahead = prefetched(items())
    next(ahead)
    ahead.close()
    assert len(made) <= 2


def test_items_are_computed_at_the_same_time():
    both = threading.Barrier(2, timeout=120)
    assert list(computed(lambda _: both.wait() >= 0, range(4), workers=2)) == [True] * 4


def test_no_more_items_are_read_than_there_are_threads_for():
    read = []

    def items():
        for n in range(10):
            read.append(n)
            yield n

    results = computed(str, items(), workers=2)
    next(results)
    assert len(read) == 3


def broken():
    yield 1
    raise RuntimeError("no more")


def test_an_error_comes_in_its_place():
    ahead = prefetched(broken())
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="no more"):
        next(ahead)
    results = computed(lambda n: 1 / n, [1, 2, 0, 3], workers=2)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(RuntimeError, match="no more"):
        list(computed(str, broken(), workers=2))


def test_stopping_early_ends_the_threads_and_closes_the_source():
    closed = []

    def items():
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    before = threading.active_count()
    for overlapped in (prefetched(items()), computed(str, items(), workers=2)):
        next(overlapped)
        overlapped.close()
    deadline = time.monotonic() + 120
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert closed == [True, True]


def test_stopping_waits_for_the_item_being_made():
    begun, made = threading.Event(), []

    def items():
        yield 1
        begun.set()
        time.sleep(0.05)
        made.append(2)
        yield 2

    ahead = prefetched(items())
    next(ahead)
    assert begun.wait(120)
    ahead.close()
    assert made == [2]
