"""Settings of the ``monitor`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.errors import InputError
from batch_scoring.monitoring.drift import DriftLimits


@dataclass(frozen=True)
class MonitorParameters:
    """``params:monitor``; see conf/base/parameters_monitor.yml."""

    range: timedelta = timedelta(days=7)
    max_psi: float = 0.25
    min_coverage: float = 0.8
    min_windows: int = 100

    def __post_init__(self) -> None:
        if self.range <= timedelta(0):
            raise InputError("monitor.range is 0; it must be a duration, such as 7d")
        if not 0 <= self.min_coverage <= 1:
            raise InputError(f"monitor.min_coverage is {self.min_coverage}; it must be in [0, 1]")

    @property
    def limits(self) -> DriftLimits:
        """Return the limits beyond which a device is not ``ok``."""
        return DriftLimits(self.max_psi, self.min_coverage, self.min_windows)
