"""The settings of ``receive`` and ``publish``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import require

_SHARES = ("duplicate_share", "disorder_share", "malformed_share")


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


@dataclass(frozen=True)
class PublishParameters:
    """See ``conf/base/parameters_publish.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    from_: datetime | None = None
    to: datetime | None = None
    readings_per_second: float | None = None
    real_time: bool = False
    readings_per_event: int = 1
    duplicate_share: float = 0.0
    disorder_share: float = 0.0
    malformed_share: float = 0.0

    def __post_init__(self) -> None:
        rate = self.readings_per_second
        checks = {
            "readings_per_second": (rate is None or rate > 0, "a number above 0, or null for no limit"),
            "readings_per_event": (self.readings_per_event >= 1, "1 or more"),
            **{name: (0 <= getattr(self, name) <= 1, "a number from 0 to 1") for name in _SHARES},
        }
        require(self, "publish", checks)
        if rate is not None and self.real_time:
            raise InputError("publish.real_time and publish.readings_per_second exclude each other; set one")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise InputError(f"publish.to: {self.to} is not after publish.from, {self.from_}")
