"""Settings of ``params:aggregate``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from batch_scoring.windows.features import DEFAULT_FEATURES


@dataclass(frozen=True)
class AggregateParameters:
    """``params:aggregate``; see conf/base/parameters_aggregate.yml."""

    window: timedelta = timedelta(minutes=5)
    features: tuple[str, ...] = DEFAULT_FEATURES
    min_readings: int = 1
