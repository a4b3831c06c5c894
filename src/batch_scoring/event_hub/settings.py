"""The settings of ``receive`` and ``publish``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import SHARE, Settings, Valid, at_least

_LENGTH = Valid(lambda length: length > timedelta(0), "a duration, such as '10m', or null")
_RATE = Valid(lambda rate: rate > 0, "a number above 0, or null for no limit")


@dataclass(frozen=True)
class ReceiveParameters(Settings):
    """See ``conf/base/parameters_receive.yml``.

    Raises
    ------
    InputError
        When a limit is not above zero.
    """

    where: ClassVar[str] = "receive"

    max_events: Annotated[int | None, at_least(1, ", or null")] = None
    max_time: Annotated[timedelta | None, _LENGTH] = None


@dataclass(frozen=True)
class PublishParameters(Settings):
    """See ``conf/base/parameters_publish.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = "publish"

    from_: datetime | None = None
    to: datetime | None = None
    readings_per_second: Annotated[float | None, _RATE] = None
    real_time: bool = False
    readings_per_event: Annotated[int, at_least(1)] = 1
    duplicate_share: Annotated[float, SHARE] = 0.0
    disorder_share: Annotated[float, SHARE] = 0.0
    malformed_share: Annotated[float, SHARE] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.readings_per_second is not None and self.real_time:
            raise InputError("publish.real_time and publish.readings_per_second exclude each other; set one")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise InputError(f"publish.to: {self.to} is not after publish.from, {self.from_}")
