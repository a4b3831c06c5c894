"""The parameters of `train` as they come from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from batch_scoring.fleet.one_class_svm import FitParameters


@dataclass(frozen=True)
class TrainParameters:
    """``params:train``; see conf/base/parameters_train.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    share: float = 0.7
    features: tuple[str, ...] | None = None
    fit: FitParameters = field(default_factory=FitParameters)
