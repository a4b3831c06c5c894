"""The settings of ``receive``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.parameters import require


@dataclass(frozen=True)
class ReceiveParameters:
    """See ``conf/base/parameters_receive.yml``.

    Raises
    ------
    InputError
        When a limit is not above zero.
    """

    max_events: int | None = None
    max_time: timedelta | None = None

    def __post_init__(self) -> None:
        checks = {
            "max_events": (self.max_events is None or self.max_events >= 1, "1 or more, or null"),
            "max_time": (
                self.max_time is None or self.max_time > timedelta(0),
                "a duration, such as '10m', or null",
            ),
        }
        require(self, "receive", checks)
