"""Settings of the ``maintain`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, ClassVar

from batch_scoring.core.parameters import Settings, Valid, read_duration, require

FOREVER = "forever"
_FILES = Valid(lambda n: n == 0 or n >= 2, "2 or more, or 0 for never")
# A run that goes on may have written files that it has not committed yet.
_A_DAY = Valid(lambda length: length >= timedelta(days=1), "a day or more, such as '7d'")


@dataclass(frozen=True)
class KeepParameters:
    """How long each table keeps its rows, counted from its newest one: a duration or ``forever``."""

    readings: str = FOREVER
    windows: str = FOREVER
    predictions: str = FOREVER
    daily_totals: str = FOREVER
    incidents: str = FOREVER

    def __post_init__(self) -> None:
        day = timedelta(days=1)
        kept = {name: self.of(name) for name in vars(self)}
        require(
            self,
            "maintain.keep",
            {
                name: (one is None or one >= day, "'forever', or a day or more, such as '30d'")
                for name, one in kept.items()
            },
        )

    def of(self, table: str) -> timedelta | None:
        """Return how long a table keeps its rows; None is forever."""
        text = getattr(self, table, FOREVER)
        return None if text == FOREVER else read_duration(text, f"maintain.keep.{table}")


@dataclass(frozen=True)
class MaintainParameters(Settings):
    """``params:maintain``; see conf/base/parameters_maintain.yml."""

    where: ClassVar[str] = "maintain"

    keep: KeepParameters = field(default_factory=KeepParameters)
    compact_from: Annotated[int, _FILES] = 12
    vacuum_after: Annotated[timedelta, _A_DAY] = timedelta(days=7)
