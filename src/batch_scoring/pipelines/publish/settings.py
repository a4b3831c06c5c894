"""The settings of ``publish``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from batch_scoring.core.errors import InputError

_SHARES = ("duplicate_share", "disorder_share", "malformed_share")


@dataclass(frozen=True)
class PublishParameters:
    """See ``conf/base/parameters_publish.yml``.

    Raises
    ------
    InputError
        When a number is not valid.
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
        if self.readings_per_second is not None and self.readings_per_second <= 0:
            raise InputError("publish.readings_per_second must be above 0, or null for no limit")
        if self.readings_per_second is not None and self.real_time:
            raise InputError(
                "publish.real_time: what is sent when its time comes has no readings_per_second; "
                "set one of the two"
            )
        if self.readings_per_event < 1:
            raise InputError(f"publish.readings_per_event: {self.readings_per_event} is not 1 or more")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"publish.{name}: {getattr(self, name)} is not between 0 and 1")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise InputError(f"publish.to: {self.to} is not after publish.from, {self.from_}")
