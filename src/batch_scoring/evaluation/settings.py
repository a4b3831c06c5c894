"""Settings of the ``evaluate`` pipeline, and the budget of false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from batch_scoring.core.errors import InputError
from batch_scoring.evaluation.metrics.baselines import BASELINES
from batch_scoring.training.settings import TrainParameters

MIN_RATE = 1e-6


@dataclass(frozen=True)
class EvaluateParameters:
    """``params:evaluate``; see conf/base/parameters_evaluate.yml."""

    from_: datetime | None = None
    to: datetime | None = None
    false_alarm_rate: float | None = None
    baselines: tuple[str, ...] = tuple(BASELINES)
    bootstrap: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.baselines:
            if name not in BASELINES:
                raise InputError(
                    f"evaluate.baselines: {name!r} is not known; known are {', '.join(map(repr, BASELINES))}"
                )
        rate = self.false_alarm_rate
        if rate is not None and not 0 < rate < 1:
            raise InputError(
                f"evaluate.false_alarm_rate is {rate}; it must be in (0, 1), or null for train's"
            )
        if self.bootstrap < 0 or self.seed < 0:
            raise InputError("evaluate.bootstrap and evaluate.seed must not be negative")


def target_rate(settings: EvaluateParameters, train: TrainParameters, window_us: int) -> float:
    """Return the share of normal windows that may be flagged: the false-alarm budget.

    Parameters
    ----------
    settings : EvaluateParameters
        Where it names no rate, that of ``train`` counts.
    train : TrainParameters
    window_us : int
        Length of a window, for budgets per unit of time.
    """
    if settings.false_alarm_rate is not None:
        return settings.false_alarm_rate
    rate = train.for_windows(window_us).fit.false_alarm_rate
    # A calibration accepts a rate of 0; baselines and budgets need more.
    return rate or MIN_RATE
