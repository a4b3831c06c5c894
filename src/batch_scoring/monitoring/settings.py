"""Settings of the ``monitor`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from batch_scoring.core.parameters import SHARE, Settings, positive
from batch_scoring.monitoring.drift import DriftLimits


@dataclass(frozen=True)
class MonitorParameters(Settings):
    """``params:monitor``; see conf/base/parameters_monitor.yml."""

    where: ClassVar[str] = "monitor"

    range: Annotated[timedelta, positive("7d")] = timedelta(days=7)
    max_psi: float = 0.25
    min_coverage: Annotated[float, SHARE] = 0.8
    min_windows: int = 100

    @property
    def limits(self) -> DriftLimits:
        """Return the limits beyond which a device is not ``ok``."""
        return DriftLimits(self.max_psi, self.min_coverage, self.min_windows)
