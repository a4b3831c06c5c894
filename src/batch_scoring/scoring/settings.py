"""Settings of the ``score`` pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class ScoreParameters:
    """``params:score``; see conf/base/parameters_score.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    allowed_lateness: timedelta = timedelta(0)
    rescore: bool = False
    max_failed_share: float = 0.5
    recalibrate: Literal["daily", "never"] = "daily"
