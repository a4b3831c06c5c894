"""Things to be done a little later, by one thread: what long-running operations and autoscaling wait for."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Agenda:
    """A queue of actions by time; each is called without any lock held."""

    def __init__(self) -> None:
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._changed = itertools.count(), threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this so many of our seconds from now."""
        with self._changed:
            heapq.heappush(self._actions, (time.monotonic() + seconds, next(self._order), action))
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(10)

    def _run(self) -> None:
        while (action := self._next()) is not None:
            action()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._closed:
                wait = self._actions[0][0] - time.monotonic() if self._actions else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._actions)[2]
                self._changed.wait(wait)
        return None
