"""What the service answers, and wrong answers on demand: 409, 429 with Retry-After, 5xx, quota reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.emulators.servers import Answer

QUOTA = "ClusterQuotaExceeded"


class RefusedError(Exception):
    """A request that is answered with an error in the form of the Resource Manager."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.answer = Answer(status, {"error": {"code": code, "message": message}}, headers or {})


@dataclass
class _Wrong:
    fits: Callable[[str, str], bool]
    refused: RefusedError
    times: int
    after: bool


class Answers:
    """Wrong answers, each for the next requests that it fits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Wrong] = []
        self.given = 0

    def add(
        self,
        status: int,
        code: str = "Injected",
        message: str = "An injected fault.",
        *,
        times: int = 1,
        method: str | None = None,
        part: str = "",
        retry_after: int | None = None,
        after: bool = False,
    ) -> None:
        """Answer so to requests with this method and this part of a path; with ``after`` when it was done."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

        def fits(asked: str, path: str) -> bool:
            return (method is None or asked == method) and part in path

        with self._lock:
            self._waiting.append(_Wrong(fits, RefusedError(status, code, message, headers), times, after))

    def clear(self) -> None:
        """Answer rightly from now on."""
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str, after: bool) -> Answer | None:
        """The wrong answer for a request, if there is one."""
        with self._lock:
            for wrong in self._waiting:
                if wrong.times and wrong.after is after and wrong.fits(method, path):
                    wrong.times -= 1
                    self.given += 1
                    return wrong.refused.answer
        return None
