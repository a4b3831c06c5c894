"""The baselines are what their names say, on the windows and the split of the models."""

import dataclasses

import numpy as np
import pytest

from batch_scoring.evaluation.metrics.baselines import BASELINES, Series, rolling_z, verdict_of_baseline
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows, excess, verdict_of_models
from batch_scoring.tables.intervals import Timeline

HOUR = 3_600_000_000


def sensor_windows(X, train, devices=("a",), score=None, is_anomaly=None, budget=0.01):
    """The same windows of an hour for each device; the first ``train`` of them to learn from."""
    X = np.atleast_2d(np.asarray(X, float))
    n, each = len(X), len(X) // len(devices)
    place = np.arange(n) % each
    return SensorWindows(
        sensor="s",
        devices=list(devices),
        features=("mean", "std")[: X.shape[1]],
        timeline=Timeline(np.arange(n) // each, place * HOUR, (place + 1) * HOUR),
        X=X,
        is_in_range=place >= train,
        version=np.zeros(n, int),
        trained_from=np.zeros((1, len(devices)), int),
        trained_to=np.full((1, len(devices)), train * HOUR),
        budget=np.full(n, budget),
        score=np.ones(n) if score is None else np.asarray(score, float),
        threshold=np.zeros(n),
        is_anomaly=np.zeros(n, bool) if is_anomaly is None else np.asarray(is_anomaly),
    )


def noise(n, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_the_robust_z_score_is_the_largest_distance_from_the_median_in_mads():
    X = np.array([[0, 5], [1, 5], [2, 5], [3, 5], [4, 5], [8, 5], [2, 5.5]], float)
    windows = sensor_windows(X, 5, budget=0.5)
    verdict = verdict_of_baseline("robust_z", windows, 0)
    # Median 2, MAD 1: half of the training windows are at most 1 / 1.4826 away.
    assert verdict.is_anomaly.tolist() == [True, True]
    assert verdict.excess[0] == pytest.approx(1 + (6 - 1) / 1.4826)
    # A feature that did not change is measured in next to nothing.
    assert verdict.excess[1] > 1e6


def test_a_baseline_flags_the_asked_for_share_of_training_like_windows():
    windows = sensor_windows(noise(4000), 2000, budget=0.05)
    for name in ("robust_z", "isolation_forest", "random"):
        assert verdict_of_baseline(name, windows, 0).is_anomaly.mean() == pytest.approx(0.05, abs=0.02)


def test_what_stands_out_is_suspicious_to_all_but_chance():
    X = noise(400)
    X[350] = 12
    windows = sensor_windows(X, 300)
    for name in BASELINES:
        verdict = verdict_of_baseline(name, windows, 0)
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
    windows = sensor_windows(X, 30, score=score, budget=0.5)
    for verdict in (verdict_of_baseline("robust_z", windows, 0), verdict_of_models(windows)):
        assert np.isnan(verdict.excess[8])
        assert not verdict.is_anomaly[8]
    assert np.isnan(verdict_of_baseline("robust_z", windows, 0).excess[5])


def test_a_device_with_nothing_to_learn_from_gets_no_verdict_and_harms_no_other():
    X = np.concatenate([noise(40), np.full((40, 2), np.nan)])
    verdict = verdict_of_baseline("robust_z", sensor_windows(X, 30, ["a", "b"], budget=0.1), 0)
    alone = verdict_of_baseline("robust_z", sensor_windows(X[:40], 30, budget=0.1), 0)
    assert verdict.excess[:10].tolist() == alone.excess.tolist()
    assert np.isnan(verdict.excess[10:]).all()


def test_a_baseline_learns_from_the_windows_of_the_version_that_scored_a_window():
    X = np.concatenate([noise(20), noise(20, seed=1) + 9, noise(20, seed=2) + 9])
    # The second version was trained after the level had changed, and scored the last windows.
    two = dataclasses.replace(
        sensor_windows(X, 20),
        version=np.repeat([0, 1], [40, 20]),
        trained_from=np.array([[0], [20 * HOUR]]),
        trained_to=np.array([[20 * HOUR], [40 * HOUR]]),
    )
    assert two.is_test.tolist() == [False] * 20 + [True] * 40
    verdict = verdict_of_baseline("robust_z", two, 0)
    assert verdict.is_anomaly[:20].all() and verdict.is_anomaly[20:].mean() < 0.2
    alone = dataclasses.replace(sensor_windows(X[20:], 20))
    assert verdict.excess[20:].tolist() == pytest.approx(
        verdict_of_baseline("robust_z", alone, 0).excess.tolist()
    )


def test_windows_that_another_version_was_trained_on_are_new_to_the_one_that_scored_them():
    windows = dataclasses.replace(
        sensor_windows(noise(6), 2, score=[0, 0, 1, 1, 5, np.nan]),
        is_in_range=np.ones(6, bool),
        version=np.array([0, 0, 1, 0, 0, 0]),
        trained_from=np.zeros((2, 1), int),
        trained_to=np.array([[4 * HOUR], [2 * HOUR]]),
    )
    assert windows.is_seen.tolist() == [True, True, False, True, False, False]
    assert windows.is_test.tolist() == [False, False, True, False, True, True]


def test_chance_is_drawn_for_each_device_alone_and_the_same_way_each_time():
    both = sensor_windows(noise(80), 30, ["a", "b"])
    one, again = (verdict_of_baseline("random", both, 0).excess for _ in range(2))
    assert one.tolist() == again.tolist()
    assert one[:10].tolist() != one[10:].tolist()
    alone = sensor_windows(noise(40), 30)
    assert verdict_of_baseline("random", alone, 0).excess.tolist() == one[:10].tolist()


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
