"""Settings of the ``incidents`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import require
from batch_scoring.incidents.devices import RollUpRules
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.silence import SilenceRules


@dataclass(frozen=True)
class SilenceParameters:
    """``params:incidents``, the group ``silence``; see conf/base/parameters_incidents.yml."""

    after: timedelta = timedelta(minutes=30)
    device_after: timedelta = timedelta(hours=12)

    def __post_init__(self) -> None:
        longer = "a duration longer than 0, such as '30m'"
        checks = {name: (getattr(self, name) > timedelta(0), longer) for name in ("after", "device_after")}
        require(self, "incidents.silence", checks)


@dataclass(frozen=True)
class LastingParameters:
    """``params:incidents``, the group ``lasting``; see conf/base/parameters_incidents.yml."""

    after: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        longer = "1h or longer, such as '24h'"
        require(self, "incidents.lasting", {"after": (self.after >= timedelta(hours=1), longer)})


@dataclass(frozen=True)
class IncidentParameters:
    """``params:incidents``; see conf/base/parameters_incidents.yml."""

    tolerated_gap: int = 2
    min_windows: int = 1
    cool_down: timedelta = timedelta(hours=1)
    flapping: timedelta = timedelta(hours=24)
    outlier_windows: int = 2
    ranked_days: int = 30
    silence: SilenceParameters = field(default_factory=SilenceParameters)
    lasting: LastingParameters = field(default_factory=LastingParameters)
    notify: Any = None

    def __post_init__(self) -> None:
        if self.notify is not None:
            raise InputError(
                "incidents.notify: there is no such setting any more; its settings are in `alerts`"
            )
        least = {"tolerated_gap": 0, "min_windows": 1, "ranked_days": 1, "outlier_windows": 0}
        checks = {name: (getattr(self, name) >= n, f"{n} or more") for name, n in least.items()}
        checks["flapping"] = (self.flapping >= timedelta(0), "0s or longer, such as '24h'")
        require(self, "incidents", checks)

    @property
    def rules(self) -> JoinRules:
        """Return the rules by which anomalous windows are one incident."""
        return JoinRules(self.tolerated_gap, self.min_windows, self.cool_down // MICROSECOND)

    @property
    def roll_up_rules(self) -> RollUpRules:
        """Return the rules by which a person sees one incident."""
        silence = SilenceRules(self.silence.after // MICROSECOND, self.silence.device_after // MICROSECOND)
        return RollUpRules(
            self.rules.cool_down_us,
            silence,
            self.outlier_windows,
            lasting_us=self.lasting.after // MICROSECOND,
            flapping_us=self.flapping // MICROSECOND,
            block_us=timedelta(days=self.ranked_days) // MICROSECOND,
        )
