"""The baselines are what their names say, on the windows and the split of the models."""

import numpy as np
import pytest

from batch_scoring.evaluation.metrics.baselines import BASELINES, Series, rolling_z, verdict_of_baseline
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows, excess, verdict_of_models
from batch_scoring.tables.intervals import Timeline

HOUR = 3_600_000_000


def sensor_windows(X, train, devices=("a",), score=None, is_anomaly=None):
    """The same windows of an hour for each device; the first ``train`` of them to learn from."""
    X = np.atleast_2d(np.asarray(X, float))
    n, each = len(X), len(X) // len(devices)
    place = np.arange(n) % each
    return SensorWindows(
        "s",
        list(devices),
        ("mean", "std")[: X.shape[1]],
        Timeline(np.arange(n) // each, place * HOUR, (place + 1) * HOUR),
        X,
        place < train,
        place >= train,
        np.ones(n) if score is None else np.asarray(score, float),
        np.zeros(n),
        np.zeros(n, bool) if is_anomaly is None else np.asarray(is_anomaly),
    )


def noise(n, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_the_robust_z_score_is_the_largest_distance_from_the_median_in_mads():
    X = np.array([[0, 5], [1, 5], [2, 5], [3, 5], [4, 5], [8, 5], [2, 5.5]], float)
    windows = sensor_windows(X, 5)
    verdict = verdict_of_baseline("robust_z", windows, 0.5, 0)
    # Median 2, MAD 1: half of the training windows are at most 1 / 1.4826 away.
    assert verdict.is_anomaly.tolist() == [True, True]
    assert verdict.excess[0] == pytest.approx(1 + (6 - 1) / 1.4826)
    # A feature that did not change is measured in next to nothing.
    assert verdict.excess[1] > 1e6


def test_a_baseline_flags_the_asked_for_share_of_training_like_windows():
    windows = sensor_windows(noise(4000), 2000)
    for name in ("robust_z", "isolation_forest", "random"):
        assert verdict_of_baseline(name, windows, 0.05, 0).is_anomaly.mean() == pytest.approx(0.05, abs=0.02)


def test_what_stands_out_is_suspicious_to_all_but_chance():
    X = noise(400)
    X[350] = 12
    windows = sensor_windows(X, 300)
    for name in BASELINES:
        verdict = verdict_of_baseline(name, windows, 0.01, 0)
        assert (np.argmax(verdict.excess) == 50) == (name != "random")
        assert verdict.is_anomaly[50] == (name != "random")


def test_the_rolling_z_score_knows_the_day_before_and_nothing_else():
    generator = np.random.default_rng(0)
    value = generator.normal(size=200) + np.repeat([0.0, 50.0], 100)
    start = np.arange(200) * HOUR
    series = Series(value[:, None], value, start, start + HOUR, np.arange(200) < 100, 0)
    z = rolling_z(series)
    for place in (40, 100, 130, 199):
        day = value[place - 24 : place]
        assert z[place] == pytest.approx(abs(value[place] - day.mean()) / day.std())
    assert z[:6].tolist() == [0.0] * 6


def test_a_rolling_z_score_of_a_series_that_stands_still_is_finite():
    value, start = np.full(60, 3.3), np.arange(60) * HOUR
    value[50] = 3.4
    z = rolling_z(Series(value[:, None], value, start, start + HOUR, np.arange(60) < 40, 0))
    assert np.isfinite(z).all()
    assert np.argmax(z) == 50
    assert z[49] == 0


def test_of_a_window_without_a_prediction_or_with_a_broken_feature_nobody_says_anything():
    X = noise(40)
    X[35] = np.nan
    score = np.ones(40)
    score[38] = np.nan
    windows = sensor_windows(X, 30, score=score)
    for verdict in (verdict_of_baseline("robust_z", windows, 0.5, 0), verdict_of_models(windows)):
        assert np.isnan(verdict.excess[8])
        assert not verdict.is_anomaly[8]
    assert np.isnan(verdict_of_baseline("robust_z", windows, 0.5, 0).excess[5])


def test_a_device_with_nothing_to_learn_from_gets_no_verdict_and_harms_no_other():
    X = np.concatenate([noise(40), np.full((40, 2), np.nan)])
    verdict = verdict_of_baseline("robust_z", sensor_windows(X, 30, ["a", "b"]), 0.1, 0)
    alone = verdict_of_baseline("robust_z", sensor_windows(X[:40], 30), 0.1, 0)
    assert verdict.excess[:10].tolist() == alone.excess.tolist()
    assert np.isnan(verdict.excess[10:]).all()


def test_chance_is_drawn_for_each_device_alone_and_the_same_way_each_time():
    both = sensor_windows(noise(80), 30, ["a", "b"])
    one, again = (verdict_of_baseline("random", both, 0.1, 0).excess for _ in range(2))
    assert one.tolist() == again.tolist()
    assert one[:10].tolist() != one[10:].tolist()
    alone = sensor_windows(noise(40), 30)
    assert verdict_of_baseline("random", alone, 0.1, 0).excess.tolist() == one[:10].tolist()


def test_the_models_scale_is_0_at_the_training_median_and_1_at_the_threshold():
    windows = sensor_windows(noise(6), 3, score=[1, 2, 3, 2, 0, -2], is_anomaly=[0, 0, 0, 0, 0, 1])
    verdict = verdict_of_models(windows)
    assert verdict.excess.tolist() == [0, 1, 2]
    assert verdict.is_anomaly.tolist() == [False, False, True]


def test_where_the_usual_lies_beyond_the_threshold_the_order_is_kept():
    suspicion = np.array([1.0, 2.0, 3.0])
    turned = excess(suspicion, np.array(1.0), np.array(2.5))
    assert turned[0] == 1
    assert np.all(np.diff(turned) > 0)
    assert excess(suspicion, np.array(2.0), np.array(2.0)).tolist() == [0, 1, 2]
