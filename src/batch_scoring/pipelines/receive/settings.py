"""The settings of ``receive``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.errors import InputError


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
        if self.max_events is not None and self.max_events < 1:
            raise InputError(f"receive.max_events: {self.max_events} is not 1 or more, or null")
        if self.max_time is not None and self.max_time <= timedelta(0):
            raise InputError("receive.max_time must be above 0 s, such as 10m, or null")
