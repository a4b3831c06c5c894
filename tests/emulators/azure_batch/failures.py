"""What goes wrong between a client and the stand-in: refusals, and answers that get lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Failure:
    """For the next ``times`` requests that fit; without a status the work is done and its answer lost."""

    status: int | None
    code: str
    times: int
    fits: Callable[[str, str], bool]
    retry_after: float | None = None


class Failures:
    """Failures on demand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Failure] = []
        self.happened: Counter[str] = Counter()

    def refuse(
        self,
        status: int,
        code: str,
        times: int = 1,
        fits: Callable[[str, str], bool] = lambda method, path: True,
        retry_after: float | None = None,
    ) -> None:
        """Answer with an error, nothing is done."""
        with self._lock:
            self._waiting.append(Failure(status, code, times, fits, retry_after))

    def lose_answer(
        self, times: int = 1, fits: Callable[[str, str], bool] = lambda method, path: method == "POST"
    ) -> None:
        """Do what is asked for, then break the connection."""
        with self._lock:
            self._waiting.append(Failure(None, "AnswerLost", times, fits))

    def take(self, method: str, path: str) -> Failure | None:
        """The first one that fits, used up once."""
        with self._lock:
            for failure in self._waiting:
                if failure.times and failure.fits(method, path):
                    failure.times -= 1
                    self.happened[failure.code] += 1
                    return failure
        return None
