"""Call a function in several threads at the same instant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(work: Callable[[], T], threads: int = 2) -> list[T]:
    """What each thread's call returned; an error of one of them is raised."""
    together = threading.Barrier(threads)

    def begin(_: int) -> T:
        together.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))
