"""Adds up what a run spends on reading, scoring and writing; until it is switched on it does nothing."""

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

    Reading, scoring and writing go on at the same time, each in threads of its own. What is added up is the
    time spent in each, so the sum may be more than the time that has passed.

    Attributes
    ----------
    is_on : bool

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
        """Begin to add up."""
        self.is_on = True

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by what they were spent on."""
        return dict(self._seconds)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of things, such as windows."""
        return dict(self._counts)

    def add(self, what: str, seconds: float) -> None:
        """Add seconds."""
        if self.is_on:
            with self._lock:
                self._seconds[what] += seconds  # type: ignore[assignment]

    def count(self, what: str, n: int) -> None:
        """Add to a number of things."""
        if self.is_on:
            with self._lock:
                self._counts[what] += n

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Add the time that a block takes; one inside another, in the same thread, counts once."""
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
        """The function, with the time of each call added."""
        if not self.is_on:
            return function

        def call(item: T) -> R:
            with self.during(what):
                return function(item)

        return call

    def each(self, what: str, items: Iterable[T]) -> Iterable[T]:
        """The items, with the time that making each of them takes added."""
        return self._each(what, items) if self.is_on else items

    def waiting(self, what: str, items: Iterable[T]) -> Iterable[T]:
        """The items, with the time that is waited for each of them taken away from a block around them."""
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
