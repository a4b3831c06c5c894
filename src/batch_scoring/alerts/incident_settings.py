"""Settings of the ``incidents`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import require
from batch_scoring.incidents.joining import JoinRules


@dataclass(frozen=True)
class NotifyParameters:
    """``params:incidents``, the group ``notify``; see conf/base/parameters_incidents.yml."""

    max_age: timedelta = timedelta(days=1)
    min_severity: float = 0.0
    time_limit: timedelta = timedelta(minutes=1)
    sinks: tuple[dict[str, Any], ...] = ({"type": "log"},)

    def __post_init__(self) -> None:
        read_sinks(self.sinks)


@dataclass(frozen=True)
class IncidentParameters:
    """``params:incidents``; see conf/base/parameters_incidents.yml."""

    tolerated_gap: int = 2
    min_windows: int = 1
    cool_down: timedelta = timedelta(hours=1)
    ranked_days: int = 30
    notify: NotifyParameters = field(default_factory=NotifyParameters)

    def __post_init__(self) -> None:
        least = {"tolerated_gap": 0, "min_windows": 1, "ranked_days": 1}
        checks = {name: (getattr(self, name) >= n, f"{n} or more") for name, n in least.items()}
        require(self, "incidents", checks)

    @property
    def rules(self) -> JoinRules:
        """Return the rules by which anomalous windows are one incident."""
        return JoinRules(self.tolerated_gap, self.min_windows, self.cool_down // MICROSECOND)
