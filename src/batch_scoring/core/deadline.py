"""Give a call a deadline, whatever it waits for: a name, a connection, or an answer a byte at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, and raise what it raises, unless it takes longer.

    The call runs in a thread of its own. One that takes longer goes on there, and is ended with the process.

    Raises
    ------
    TimeoutError
        When it takes longer.

    Examples
    --------
    >>> call_within(60, lambda: 6 * 7)
    42
    """
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    if sys.is_finalizing():
        return call()  # a generator that is closed at the process's end: no thread runs any more
    # A daemon: the process does not wait for it at its end.
    Thread(target=run, daemon=True, name="with a deadline").start()
    try:
        value, error = outcome.get(timeout=max(seconds, 0))
    except Empty:
        raise TimeoutError(f"it took longer than {seconds:.3g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
