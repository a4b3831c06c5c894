"""The combined detector: how far has no end, the SVM counts up to a decade, and each kind has its rule."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.combined_tails import CombinedModels, treat
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.score import predict
from tests.detection.detectors.test_preprocessing import FEATURES, windows_of
from tests.factories import fit_fleet, make_windows

HOUR_US = 3_600_000_000
PARAMETERS = FitParameters(false_alarm_rate=0.01)
RNG = np.random.default_rng(0)
NOISE = windows_of(RNG.normal(size=(400, 12)))
UNSEEN = windows_of(RNG.normal(size=(4000, 12)))


def series(X, devices=None):
    return make_windows(X, devices, features=list(FEATURES), window_us=HOUR_US)


def fitted(X):
    model, status = fit_fleet(series(X), FEATURES, PARAMETERS)
    return model, status["message"][0].as_py()


@pytest.fixture(scope="module")
def of_noise():
    return fitted(NOISE)[0]


def scored(model, X):
    return predict(series(X), model, "1").to_pydict()


def test_about_as_many_normal_windows_are_flagged_as_were_asked_for():
    devices, rng = [f"d{i}" for i in range(12)], np.random.default_rng(1)
    train = series(windows_of(rng.normal(size=(12 * 300, 12))), list(np.repeat(devices, 300)))
    later = series(windows_of(rng.normal(size=(12 * 1000, 12))), list(np.repeat(devices, 1000)))
    model, _ = fit_fleet(train, FEATURES, PARAMETERS)
    flagged = np.mean(predict(later, model, "1")["is_anomaly"].to_pylist())
    # The margin makes it fewer; it must not be more.
    assert 0.002 < flagged < 0.011
    assert set(model.table["threshold"].to_pylist()) == {-2.0}


@given(st.floats(5, 1e12), st.sampled_from([0, 2, 3]), st.sampled_from([-1, 1]))
def test_ten_times_worse_reads_worse_without_an_end(of_noise, size, column, sign):
    X = np.repeat(NOISE[:1], 2, axis=0)
    X[0, column] += sign * size
    X[1, column] += sign * 10 * size
    found = scored(of_noise, X)
    assert found["is_anomaly"] == [True, True]
    assert found["severity"][1] > found["severity"][0] + 0.1
    assert found["top_feature"] == [FEATURES[column]] * 2


def test_contributions_name_what_is_unusual_and_the_largest_is_the_score_itself(of_noise):
    X = np.repeat(NOISE[:1], 2, axis=0)
    X[1, 1] += 50
    found = scored(of_noise, X)
    assert found["contributions"][0] == []
    contributions = dict(found["contributions"][1])
    assert list(contributions) == list(FEATURES)
    assert contributions["std"] == pytest.approx(-found["score"][1], abs=1e-12)
    assert max(value for name, value in contributions.items() if name != "std") < 2


def test_an_unusual_combination_of_usual_features_is_told_by_the_svm():
    rng = np.random.default_rng(3)
    one = rng.uniform(-1, 1, 400)
    together, model_of = np.column_stack([one, one + 0.01 * rng.normal(size=400)]), ("p10", "p90")
    windows = make_windows(together, features=list(model_of))
    model, _ = fit_fleet(windows, model_of, FitParameters(false_alarm_rate=0.2))
    apart = make_windows([[0.5, 0.5], [0.5, -0.5]], features=list(model_of))
    found = predict(apart, model, "1").to_pydict()
    assert found["is_anomaly"] == [False, True]
    assert -found["score"][1] > max(value for _, value in found["contributions"][1])


def test_company_and_order_change_no_score(of_noise):
    alone = scored(of_noise, UNSEEN[:50])
    table = of_noise.table
    devices = table.schema.get_field_index("device")
    both = FleetModel.build(
        pa.concat_tables([table.set_column(devices, "device", [["d0"]]), table]), of_noise.info
    )
    windows = series(np.concatenate([UNSEEN[:50], UNSEEN[50:100]]), ["d1"] * 50 + ["d0"] * 50)
    order = np.random.default_rng(1).permutation(100)
    found = predict(windows.take(order), both, "1").sort_by(
        [("device", "ascending"), ("window_start", "ascending")]
    )
    assert found["score"].to_pylist()[50:] == alone["score"]


def test_a_constant_is_left_by_any_other_level_and_farther_is_worse():
    model, message = fitted(windows_of(np.full((60, 12), 7.0)))
    assert message.startswith("constant")
    assert model.table["kind"].to_pylist() == ["constant"]
    found = scored(model, windows_of(np.array([7.0, 7.0 + 1e-9, 7.1, 8.0, 7.0])[:, None] * np.ones((5, 12))))
    assert found["is_anomaly"] == [False, False, True, True, False]
    assert 0 < found["severity"][2] < found["severity"][3]


def test_a_counter_is_judged_by_its_steps():
    rng = np.random.default_rng(4)
    steps = rng.uniform(0.5, 1.5, (900, 12))
    X = windows_of(np.cumsum(steps.ravel()).reshape(steps.shape))
    model, message = fitted(X[:600])
    assert model.table["kind"].to_pylist() == ["counter"]
    assert "counter" in message
    later = scored(model, X[600:])
    # However far it has counted; the first window here has a predecessor, which is not among the rows.
    assert np.mean(later["is_anomaly"]) < 0.03
    stuck = X[700:701] * [1, 0, 1, 1, 0, 0]
    leap = X[700:701] + np.array([500, 0, 500, 500, 0, 500])
    orphan = X[700:701] * [1, 1, 1, 1, 1, 0]
    found = scored(model, np.concatenate([stuck, leap, orphan]))
    assert found["is_anomaly"] == [True, True, False]


def test_a_level_is_judged_by_its_hour():
    rng = np.random.default_rng(5)
    hours = np.arange(720) % 24
    level = 10 * np.sin(hours / 24 * 2 * np.pi)
    X = windows_of(level[:, None] + rng.normal(size=(720, 12)))
    model, message = fitted(X)
    assert "time of day taken out of mean, min, max" in message
    # At noon the cycle is at 0; the level of 6 o'clock is unusual then, and usual at 6.
    at = {hour: X[240 + hour].copy() for hour in (6, 12)}
    odd = X[:24].copy()
    odd[12, [0, 2, 3]] = at[6][[0, 2, 3]]
    found = scored(model, odd)
    assert found["is_anomaly"][12]
    assert not found["is_anomaly"][6]


def test_coming_back_to_the_usual_level_is_no_news(of_noise):
    X = NOISE[:3].copy()
    X[1, [0, 2, 3]] += 20
    X[1, 5], X[2, 5] = 20, -20
    assert scored(of_noise, X)["is_anomaly"] == [False, True, False]


def test_a_target_beyond_the_windows_is_extrapolated_and_said():
    rare = FitParameters(false_alarm_rate=1e-5)
    model, status = fit_fleet(series(NOISE), FEATURES, rare)
    assert (
        "400 windows do not show one in 100,000: the threshold is extrapolated"
        in status["message"][0].as_py()
    )
    assert model.table["threshold"].to_pylist() == [-5.0]
    assert not any(scored(model, UNSEEN)["is_anomaly"])


def test_a_jump_of_a_falling_counter_is_told_by_its_step_too():
    rng = np.random.default_rng(9)
    X = windows_of(1e6 - np.cumsum(rng.uniform(0.5, 1.5, 600 * 12)).reshape(600, 12))
    model, _ = fitted(X[:400])
    assert model.table["kind"].to_pylist() == ["counter"]
    later = X[400:410].copy()
    later[5, [0, 2, 3, 5]] -= 50
    found = scored(model, later)
    assert found["is_anomaly"] == [False] * 5 + [True] + [False] * 4
    # Farther from its usual level than the window before, as a counter always is: that makes it no old news.
    assert dict(found["contributions"][5])["diff_mean"] > 1


def test_whether_the_window_before_was_unusual_is_told_by_its_own_hour():
    levels = 10 * np.arange(24.0)
    models = CombinedModels(
        np.zeros(1, np.int64), np.zeros((1, 2)), np.ones((1, 2)), np.zeros(1, np.int64), levels[None, None]
    )
    # At 5 o'clock the mean is 2 above the 50 that is usual; at 4 it was the usual 40, or 43.
    X = np.array([[52.0, 12.0], [52.0, 9.0]])
    start_us, roles = np.full(2, 5 * HOUR_US), Roles.of(("mean", "diff_mean"))
    _, z = treat(X, start_us, HOUR_US, np.array([2]), models, roles)
    assert z.tolist() == [[2.0, 2.0], [12.0, 0.0]]
