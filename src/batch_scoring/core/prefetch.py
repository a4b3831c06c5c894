"""Read, compute and write in parallel, in order and with few items in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _End:
    """Marks the end of the items."""


_END: Final = _End()


def prefetched(items: Iterable[T]) -> Iterator[T]:
    """Yield items while a thread prepares the next one.

    Parameters
    ----------
    items : iterable
        Read in one thread of its own, which is not the caller's.

    Yields
    ------
    item
        The same items in the same order. An error in making one is raised here in its place.
        When the caller stops early, the thread stops after its current item and ``items`` is
        closed.

    Examples
    --------
    >>> list(prefetched(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    iterator = iter(items)
    thread = ThreadPoolExecutor(1, "prefetched")
    try:
        ahead: Future[T | _End] = thread.submit(next, iterator, _END)
        while not isinstance(item := ahead.result(), _End):
            ahead = thread.submit(next, iterator, _END)
            yield item
            # Kept while the next one is awaited, it would be one more item in memory.
            del item
    finally:
        thread.shutdown(wait=True, cancel_futures=True)
        _close(iterator)


def computed(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Apply a function to items in several threads; yield results in the order of the items.

    Parameters
    ----------
    function : callable
        Runs in the threads; its results must not depend on concurrent calls.
    items : iterable
        Read in the caller's thread, at most ``workers`` items ahead of the result in use.
    workers : int
        The number of threads. One computes the next result while the caller uses this one.

    Yields
    ------
    result
        As ``map`` does. An error of the function is raised in place of its result. When the
        caller stops early, running calls finish and pending ones are dropped.

    Examples
    --------
    >>> list(computed(len, ["a", "bb", ""], workers=2))
    [1, 2, 0]
    """
    iterator = iter(items)
    threads = ThreadPoolExecutor(workers, "computed")
    try:
        ahead: deque[Future[R]] = deque()
        for item in iterator:
            ahead.append(threads.submit(function, item))
            del item
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
        _close(iterator)


def _close(iterator: Iterator[T]) -> None:
    """Close a generator now rather than at its garbage collection."""
    if isinstance(iterator, Generator):
        iterator.close()
