"""Long-running operations: what is done a little later, and asked for at an address until then."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tests.emulators.batch_ai.answers import Answer, RefusedError

OPERATIONS = "/standin-operations/"


@dataclass
class _Operation:
    ends: float
    act: Callable[[], Answer]
    error: dict[str, str] | None
    answer: Answer | None = None


class Later:
    """All operations that were begun; each is done once, when it is asked for after its time."""

    def __init__(self, subscription: str, seconds: float) -> None:
        self._subscription, self._seconds = subscription, seconds
        self._operations: dict[str, _Operation] = {}
        self.ask_again_after = 0  # seconds; 0 leaves it to the client
        self.failing: list[tuple[str, dict[str, str]]] = []

    def begin(self, path: str, act: Callable[[], Answer], host: str) -> Answer:
        """The answer that tells where to ask."""
        failing = next((one for one in self.failing if one[0] in path.lower()), None)
        if failing is not None:
            self.failing.remove(failing)
        key = uuid.uuid4().hex
        ends = time.monotonic() + self._seconds
        self._operations[key] = _Operation(ends, act, failing[1] if failing else None)
        return self._not_yet(f"/subscriptions/{self._subscription}{OPERATIONS}{key}", host)

    def answer(self, path: str, host: str) -> Answer:
        """What has become of an operation."""
        one = self._operations.get(path.rsplit("/", 1)[-1])
        if one is None:
            raise RefusedError(404, "OperationNotFound", f"There is no operation {path}.")
        if time.monotonic() < one.ends:
            return self._not_yet(path, host)
        if one.error is not None:
            return Answer(409, {"error": one.error})
        if one.answer is None:
            one.answer = one.act()
        return one.answer

    def _not_yet(self, path: str, host: str) -> Answer:
        url = f"https://{host}{path}?api-version=2025-04-01"
        return Answer(202, None, {"Location": url, "Retry-After": str(self.ask_again_after)})
