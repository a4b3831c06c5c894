"""What can befall the jobs and nodes of the stand-ins, on demand."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from enum import StrEnum


class Fault(StrEnum):
    """What can befall a job or a node."""

    IMAGE = "image pull failure"
    STUCK = "stuck job"
    NODE_LOST = "node lost"
    SLOW_START = "slow start"


class Faults:
    """Faults on demand, each for the next jobs (or nodes) that it fits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, Callable[[Hashable], bool], float, int]] = []
        self.happened: Counter[Fault] = Counter()

    def add(
        self,
        fault: Fault,
        times: int = 1,
        seconds: float = 0.0,
        fits: Callable[[Hashable], bool] = lambda key: True,
    ) -> None:
        """``seconds`` after the job's start a node is lost; by so many more a slow one starts."""
        with self._lock:
            self._waiting.append((fault, fits, seconds, times))

    def take(self, fault: Fault, key: Hashable) -> float | None:
        """The seconds of the first one of this kind that fits, which is used up; else None."""
        with self._lock:
            for index, (kind, fits, seconds, times) in enumerate(self._waiting):
                if kind is fault and fits(key):
                    self._waiting[index : index + 1] = [(kind, fits, seconds, times - 1)] if times > 1 else []
                    self.happened[fault] += 1
                    return seconds
        return None
