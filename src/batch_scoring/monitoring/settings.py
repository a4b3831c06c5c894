"""Settings of the ``monitor`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.core.parameters import require
from batch_scoring.monitoring.drift import DriftLimits


@dataclass(frozen=True)
class MonitorParameters:
    """``params:monitor``; see conf/base/parameters_monitor.yml."""

    range: timedelta = timedelta(days=7)
    max_psi: float = 0.25
    min_coverage: float = 0.8
    min_windows: int = 100

    def __post_init__(self) -> None:
        checks = {
            "range": (self.range > timedelta(0), "a duration, such as '7d'"),
            "min_coverage": (0 <= self.min_coverage <= 1, "a number from 0 to 1"),
        }
        require(self, "monitor", checks)

    @property
    def limits(self) -> DriftLimits:
        """Return the limits beyond which a device is not ``ok``."""
        return DriftLimits(self.max_psi, self.min_coverage, self.min_windows)
