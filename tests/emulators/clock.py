"""The time of a stand-in, which may pass faster than ours."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The service's time: it begins now, and passes ``speed`` times as fast as ours."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._began, self._zero = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=(time.monotonic() - self._zero) * self.speed)

    def real(self, seconds: float) -> float:
        """How long so many of the service's seconds take here."""
        return seconds / self.speed
