"""Settings of the ``train`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from batch_scoring.core.ids import require_known
from batch_scoring.core.parameters import require, require_zone
from batch_scoring.detection.comparison import PromotionLimits
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.warm_up import WEEK

_WEEK_US = 7 * 86_400 * 1_000_000
# Windows of days or weeks: a budget of one a week would flag each of them.
_MOST = 0.1


@dataclass(frozen=True)
class TrainParameters:
    """``params:train``; see conf/base/parameters_train.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    share: float = 0.7
    range: timedelta | None = None
    hold_out: timedelta | None = None
    promote: Literal["always", "if_not_worse", "never"] = "if_not_worse"
    promotion: PromotionLimits = field(default_factory=PromotionLimits)
    false_alarms_per_sensor_per_week: float = 1.0
    warm_up: timedelta = WEEK
    features: tuple[str, ...] | None = None
    timezone: str | None = None
    fit: FitParameters = field(default_factory=FitParameters)

    def __post_init__(self) -> None:
        checks = {
            "false_alarms_per_sensor_per_week": (
                self.false_alarms_per_sensor_per_week > 0,
                "a positive number",
            ),
            "share": (0 < self.share <= 1, "more than 0 and at most 1, such as 0.7"),
            "range": (self.range is None or self.range > timedelta(0), "a duration, such as '28d', or null"),
            "warm_up": (self.warm_up >= timedelta(0), "a duration, such as '7d', or '0s'"),
        }
        require(self, "train", checks)
        if self.timezone is not None:
            require_zone("train.timezone", self.timezone)
        require_known("train.fit.detector", [self.fit.detector], DETECTORS)
        DETECTORS[self.fit.detector].check(self.fit)

    def in_zone(self, default: str) -> TrainParameters:
        """Return these settings with hours of the day in ``timezone``, or in that of the readings."""
        return replace(self, fit=replace(self.fit, timezone=self.timezone or default))

    def for_windows(self, window_us: int) -> TrainParameters:
        """Return these settings with the false-alarm rate of the budget; window length in microseconds."""
        if self.fit.false_alarm_rate is not None:
            return self
        rate = min(self.false_alarms_per_sensor_per_week * window_us / _WEEK_US, _MOST)
        return replace(self, fit=replace(self.fit, false_alarm_rate=rate))
