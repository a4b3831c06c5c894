"""The budget is the one that train keeps to, unless another is named."""

import pytest

from batch_scoring.evaluation.settings import EvaluateParameters, target_rate
from batch_scoring.training.settings import TrainParameters

HOUR = 3_600_000_000


def test_a_budget_told_by_the_week_becomes_a_rate_by_the_length_of_the_windows():
    train = TrainParameters(false_alarms_per_sensor_per_week=2.0)
    assert target_rate(EvaluateParameters(), train, HOUR) == pytest.approx(2 / 168)
    assert target_rate(EvaluateParameters(), train, HOUR // 12) == pytest.approx(2 / 168 / 12)


def test_a_rate_that_is_named_wins():
    assert target_rate(EvaluateParameters(false_alarm_rate=0.3), TrainParameters(), HOUR) == 0.3
