"""Settings of ``params:aggregate``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.digests import number_of
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.windows.features import DEFAULT_FEATURES

# The name under which the windows record the number of the settings they were made with.
MADE_WITH = "aggregate.settings"


@dataclass(frozen=True)
class AggregateParameters:
    """``params:aggregate``; see conf/base/parameters_aggregate.yml."""

    window: timedelta = timedelta(minutes=5)
    features: tuple[str, ...] = DEFAULT_FEATURES
    min_readings: int = 1

    @property
    def number(self) -> int:
        """A number of the settings that decide what a window is; equal settings have equal numbers."""
        return number_of([self.window // MICROSECOND, list(self.features), self.min_readings])
