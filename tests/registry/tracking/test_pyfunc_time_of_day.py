"""The logged model judges windows at their own time, where its detector goes by the time of day."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.score import predict
from batch_scoring.registry.tracking import TrainingRun, artifacts_of, register
from tests.detection.detectors.test_preprocessing import FEATURES, windows_of
from tests.factories import fit_fleet, make_windows
from tests.fleet_models import training_of

# It imports MLflow.
pytestmark = pytest.mark.slow
HOUR_US = 3_600_000_000


@cache
def fleet():
    """Windows of 20 days of a device with a daily cycle, and the models of it."""
    rng = np.random.default_rng(5)
    level = 10 * np.sin(np.arange(480) / 24 * 2 * np.pi)
    X = windows_of(level[:, None] + rng.normal(size=(480, 12)))
    windows = make_windows(X, ["a"] * 480, features=list(FEATURES), window_us=HOUR_US)
    model, _ = fit_fleet(windows, FEATURES, FitParameters(false_alarm_rate=0.01))
    assert model.detector.needs_time_of_day(model.rows)
    return windows, model


class Scorer:
    """The script itself, which MLflow runs to load a model."""

    def __init__(self) -> None:
        from batch_scoring.registry.tracking.pyfunc_model import FleetScorer

        self._scorer = FleetScorer()
        self._scorer.model = fleet()[1]

    def predict(self, frame):
        return self._scorer.predict(None, frame)


@pytest.fixture
def loaded():
    return Scorer()


def as_frame(windows):
    return windows.select(["device", "window_start", *FEATURES]).to_pandas()


@pytest.mark.parametrize(
    "told",
    [
        lambda start: start,
        lambda start: start.dt.tz_localize(None),
        lambda start: start.dt.tz_convert("Asia/Kathmandu"),
        lambda start: start.dt.as_unit("ns"),
        lambda start: start.map(lambda moment: moment.isoformat()),
        lambda start: start.map(lambda moment: f"{moment:%Y-%m-%d %H:%M}{':00Z' * (moment.hour % 2)}"),
    ],
    ids=["utc", "no zone is utc", "another zone", "nanoseconds", "texts", "texts of two forms"],
)
def test_windows_are_judged_at_their_own_time(loaded, told):
    windows, model = fleet()
    some = windows.slice(6, 30)
    frame = as_frame(some)
    frame["window_start"] = told(frame["window_start"])
    expected = predict(some, model, "1")["score"].to_pylist()
    assert loaded.predict(frame)["score"].tolist() == expected


def test_the_same_features_are_usual_at_their_hour_and_an_anomaly_at_another(loaded):
    # Of six in the morning, when the cycle is at its height.
    frame = pd.concat([as_frame(fleet()[0].slice(30, 1))] * 2, ignore_index=True)
    frame["window_start"] += pd.to_timedelta([0, 12], "h")
    assert loaded.predict(frame)["is_anomaly"].tolist() == [False, True]


def test_without_the_time_nothing_is_judged_and_the_message_says_what_to_give(loaded):
    with pytest.raises(ValueError, match="give the windows' start in a column window_start"):
        loaded.predict(as_frame(fleet()[0].slice(0, 2)).drop(columns="window_start"))


def test_a_window_whose_time_is_missing_has_no_score_and_the_others_have_theirs(loaded):
    frame = as_frame(fleet()[0].slice(0, 3))
    expected = loaded.predict(frame)["score"].tolist()
    frame.loc[1, "window_start"] = pd.NaT
    found = loaded.predict(frame)
    assert found["score"].isna().tolist() == [False, True, False]
    assert found["score"].dropna().tolist() == [expected[0], expected[2]]


def test_mlflow_lets_times_and_texts_through(store):
    run = TrainingRun(store, 0)
    version = register(store, run.run_id, training_of(fleet()[1], "f"))
    run.end("FINISHED")
    import mlflow

    from_mlflow = mlflow.pyfunc.load_model(artifacts_of(store, version))
    frame = as_frame(fleet()[0].slice(6, 10))
    expected = Scorer().predict(frame)["score"].tolist()
    assert from_mlflow.predict(frame)["score"].tolist() == expected
    frame["window_start"] = frame["window_start"].map(lambda moment: moment.isoformat())
    assert from_mlflow.predict(frame)["score"].tolist() == expected
