"""Settings of the ``incidents`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import Settings, Valid, at_least
from batch_scoring.incidents.devices import RollUpRules
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.silence import SilenceRules

_LONGER = Valid(lambda length: length > timedelta(0), "a duration longer than 0, such as '30m'")
_NOT_BELOW_0 = Valid(lambda length: length >= timedelta(0), "0s or longer, such as '24h'")
_AN_HOUR = Valid(lambda length: length >= timedelta(hours=1), "1h or longer, such as '24h'")


@dataclass(frozen=True)
class SilenceParameters(Settings):
    """``params:incidents``, the group ``silence``; see conf/base/parameters_incidents.yml."""

    where: ClassVar[str] = "incidents.silence"

    after: Annotated[timedelta, _LONGER] = timedelta(minutes=30)
    device_after: Annotated[timedelta, _LONGER] = timedelta(hours=12)


@dataclass(frozen=True)
class LastingParameters(Settings):
    """``params:incidents``, the group ``lasting``; see conf/base/parameters_incidents.yml."""

    where: ClassVar[str] = "incidents.lasting"

    after: Annotated[timedelta, _AN_HOUR] = timedelta(hours=24)


@dataclass(frozen=True)
class IncidentParameters(Settings):
    """``params:incidents``; see conf/base/parameters_incidents.yml."""

    where: ClassVar[str] = "incidents"

    tolerated_gap: Annotated[int, at_least(0)] = 2
    min_windows: Annotated[int, at_least(1)] = 1
    cool_down: timedelta = timedelta(hours=1)
    flapping: Annotated[timedelta, _NOT_BELOW_0] = timedelta(hours=24)
    outlier_windows: Annotated[int, at_least(0)] = 2
    ranked_days: Annotated[int, at_least(1)] = 30
    silence: SilenceParameters = field(default_factory=SilenceParameters)
    lasting: LastingParameters = field(default_factory=LastingParameters)
    notify: Any = None

    def __post_init__(self) -> None:
        if self.notify is not None:
            raise InputError(
                "incidents.notify: there is no such setting any more; its settings are in `alerts`"
            )
        super().__post_init__()

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
