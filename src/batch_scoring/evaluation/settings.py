"""Settings of the ``evaluate`` pipeline, and the budget of false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from batch_scoring.core.ids import require_known
from batch_scoring.core.parameters import Settings, Valid, at_least
from batch_scoring.evaluation.metrics.baselines import BASELINES
from batch_scoring.training.settings import TrainParameters

MIN_RATE = 1e-6
_RATE = Valid(lambda rate: 0 < rate < 1, "a number between 0 and 1, or null for train's")


@dataclass(frozen=True)
class EvaluateParameters(Settings):
    """``params:evaluate``; see conf/base/parameters_evaluate.yml."""

    where: ClassVar[str] = "evaluate"

    from_: datetime | None = None
    to: datetime | None = None
    false_alarm_rate: Annotated[float | None, _RATE] = None
    baselines: tuple[str, ...] = tuple(BASELINES)
    bootstrap: Annotated[int, at_least(0)] = 1000
    seed: Annotated[int, at_least(0)] = 0
    data: str = "data"

    def __post_init__(self) -> None:
        require_known("evaluate.baselines", self.baselines, BASELINES)
        super().__post_init__()


def target_rate(settings: EvaluateParameters, train: TrainParameters, window_us: int) -> float:
    """Return the share of normal windows that may be flagged: the false-alarm budget.

    Parameters
    ----------
    settings : EvaluateParameters
        Where it names no rate, that of ``train`` counts.
    window_us : int
        Length of a window, for budgets per unit of time.
    """
    if settings.false_alarm_rate is not None:
        return settings.false_alarm_rate
    rate = train.for_windows(window_us).fit.false_alarm_rate
    # A calibration accepts a rate of 0; baselines and budgets need more.
    return rate or MIN_RATE
