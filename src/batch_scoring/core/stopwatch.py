"""Measure the time a run spends on reading, scoring and writing; does nothing until it is started."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Stopwatch:
    """Seconds and counts of a process, by name, from all of its threads.

    Reading, scoring and writing run at the same time in threads of their own. The time spent in each
    is added up, so the sum may exceed the elapsed time.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> watch.start()
    >>> list(watch.each("read", "ab"))
    ['a', 'b']
    >>> watch.count("devices", 2)
    >>> list(watch.seconds), watch.counts
    (['read'], {'devices': 2})
    """

    def __init__(self) -> None:
        self.is_on = False
        self._seconds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._own = threading.local()

    def start(self) -> None:
        """Start measuring."""
        self.is_on = True

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by activity."""
        return dict(self._seconds)

    @property
    def counts(self) -> dict[str, int]:
        """Counts by name, such as windows."""
        return dict(self._counts)

    def add(self, what: str, seconds: float) -> None:
        """Add seconds to an activity."""
        if self.is_on:
            with self._lock:
                self._seconds[what] += seconds  # type: ignore[assignment]

    def count(self, what: str, n: int) -> None:
        """Add n to a count."""
        if self.is_on:
            with self._lock:
                self._counts[what] += n

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Add the duration of a block; blocks nested in one thread count once."""
        inside: set[str] = self._own.__dict__.setdefault("inside", set())
        if not self.is_on or what in inside:
            yield
            return
        inside.add(what)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(what, time.perf_counter() - began)
            inside.discard(what)

    def timed(self, what: str, function: Callable[[T], R]) -> Callable[[T], R]:
        """Wrap a function so that the duration of each call is added."""
        if not self.is_on:
            return function

        def call(item: T) -> R:
            with self.during(what):
                return function(item)

        return call

    def each(self, what: str, items: Iterable[T]) -> Iterable[T]:
        """Yield the items, adding the time taken to make each of them."""
        return self._each(what, items) if self.is_on else items

    def waiting(self, what: str, items: Iterable[T]) -> Iterable[T]:
        """Yield the items, subtracting the time waited for each from the enclosing block."""
        return self._waiting(what, items) if self.is_on else items

    def _each(self, what: str, items: Iterable[T]) -> Iterator[T]:
        iterator = iter(items)
        while True:
            with self.during(what):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item
            del item

    def _waiting(self, what: str, items: Iterable[T]) -> Iterator[T]:
        iterator = iter(items)
        while True:
            began = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.add(what, began - time.perf_counter())
            yield item
            del item


stopwatch = Stopwatch()
