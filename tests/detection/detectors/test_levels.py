"""A machine that is off half of the time has two levels: each is measured by itself, and so is the change."""

import numpy as np
import pytest

from batch_scoring.detection.comparison import ChampionChallenger, PromotionLimits, decide
from batch_scoring.detection.detectors import combined_fit
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.combined import combined_arrays
from batch_scoring.detection.detectors.levels import (
    Levels,
    Stays,
    as_list,
    find_levels,
    levels_of_models,
    list_size,
    states,
)
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.detection.score import predict
from batch_scoring.windows.features import DEFAULT_FEATURES
from tests.detection.detectors.test_preprocessing import windows_of
from tests.factories import fit_fleet, make_windows

FEATURES = tuple(DEFAULT_FEATURES)
ROLES = Roles.of(FEATURES)
PARAMETERS = FitParameters(false_alarm_rate=0.002)
PER_WINDOW = 5


def runs_of(seed, n, *levels, stay=60):
    """The level of each of n readings of a machine that stays at each for about so many, in turn."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(stay // 2, 2 * stay, 2 * n // stay)
    return np.repeat(np.resize(levels, lengths.size), lengths)[:n].astype(float)


def windows_at(value, seed=9):
    """Windows of five readings around values: noise of 2 at 100, of a hundredth of that at 0."""
    value = value + np.random.default_rng(seed).normal(size=value.size) * (0.02 + 0.02 * value)
    X = windows_of(value.reshape(-1, PER_WINDOW))
    # `diff_mean` from the window before is already there; no reading equals the one before.
    return np.column_stack([X[:, [0, 1, 2, 3, 4, 5]], np.ones(len(X))])


def series(X):
    return make_windows(X, features=list(FEATURES))


TRAIN = windows_at(runs_of(1, 8000, 0.0, 100.0))


@pytest.fixture(scope="module")
def off_half_of_the_time():
    model, status = fit_fleet(series(TRAIN), FEATURES, PARAMETERS)
    assert "2 levels, such as off and on: each measured by itself" in status["message"][0].as_py()
    return model


def scored(model, X):
    return predict(series(X), model, "1").to_pydict()


def test_levels_are_found_where_the_mean_stays():
    low, high = find_levels(TRAIN, ROLES)
    assert low[0] < 0 < high[0] < 2
    assert 90 < low[1] < 100 < high[1] < 110
    three = find_levels(windows_at(runs_of(2, 12_000, 0.0, 50.0, 100.0)), ROLES)
    assert three[0].size == 3


@pytest.mark.parametrize(
    "value",
    [
        runs_of(1, 8000, 100.0),
        # A wave, which is at its ends for longest.
        50 + 40 * np.sin(np.arange(8000) / 200),
        # Off for good, once: a transition.
        np.repeat([0.0, 100.0], 4000),
        # Two levels that are as wide as they are apart.
        runs_of(1, 8000, 0.0, 100.0) + np.random.default_rng(0).uniform(-30, 30, 160).repeat(50),
        # Any load.
        np.random.default_rng(0).uniform(0, 100, 160).repeat(50),
        # Off for a moment, twice.
        np.where(np.isin(np.arange(8000) // 20, [100, 300]), 0.0, 100.0),
    ],
)
def test_one_level_a_wave_a_step_and_any_load_are_none(value):
    assert find_levels(windows_at(value), ROLES) is None


def test_features_that_do_not_show_a_change_show_no_levels():
    assert find_levels(TRAIN[:, :2], Roles.of(FEATURES[:2])) is None


def test_a_window_is_at_a_level_the_first_at_it_or_changing():
    low, high = np.array([[0.0, 90.0]]), np.array([[2.0, 110.0]])
    # mean, std, min, max, change, diff_mean, equal_run
    X = np.array(
        [
            [1, 0, 0, 2, 0, 0, 1],
            [100, 1, 98, 102, 0, 0, 1],
            [40, 49, 0, 101, 100, 39, 1],  # both levels in one window
            [100, 1, 98, 102, 0, 60, 1],  # the first after it
            [1, 0, 0, 2, 0, -60, 1],
            [85, 20, 55, 100, -45, -15, 1],  # on the way down
            [70, 1, 68, 72, 1, -30, 1],  # another level is not on the way
            [70, 1, 68, 72, 1, 0, 1],
            [46, 1, 42, 50, 1, 0, 1],  # about the middle is neither level
            [130, 20, 108, 150, 42, 0, 1],  # beyond the highest or the lowest there is nothing to change to
            [-9, 3, -12, -6, -6, 0, 1],
        ],
        float,
    )
    assert states(X, low, high, ROLES).tolist() == [0, 1, 4, 3, 2, 4, 1, 1, 0, 1, 0]
    # With places for more levels, as beside models that have more.
    padded = (np.pad(one, ((0, 0), (0, 2)), constant_values=np.inf) for one in (low, high))
    assert states(X, *padded, ROLES).tolist() == [0, 1, 8, 5, 4, 8, 1, 1, 0, 1, 0]


def test_what_lies_between_or_beyond_levels_is_an_anomaly_and_expected_is_the_nearer_one(
    off_half_of_the_time,
):
    values = {70.0: 100.0, 130.0: 100.0, 10.0: 0.0, 100.0: 100.0, 0.0: 0.0}
    for value, nearer in values.items():
        found = scored(off_half_of_the_time, windows_at(np.full(60, value)))
        assert np.mean(found["is_anomaly"][1:]) == (value != nearer)
        by_mean = [n for n, name in enumerate(found["top_feature"]) if name in ("mean", "min", "max") and n]
        for n in by_mean:
            assert found["expected"][n] == pytest.approx(nearer, abs=5)
            assert nearer - 25 < found["lower"][n] <= found["upper"][n] < nearer + 25


def test_without_levels_the_same_windows_would_be_usual(monkeypatch):
    monkeypatch.setattr(combined_fit, "_NARROWER", 0.0)
    model, status = fit_fleet(series(TRAIN), FEATURES, PARAMETERS)
    assert "levels" not in status["message"][0].as_py()
    assert not any(scored(model, windows_at(np.full(60, 70.0)))["is_anomaly"])


def test_starts_and_stops_raise_no_more_alarms_than_asked_for(off_half_of_the_time):
    X = windows_at(runs_of(5, 40_000, 0.0, 100.0), seed=3)
    assert np.mean(scored(off_half_of_the_time, X)["is_anomaly"]) < 2 * PARAMETERS.rate


def test_a_value_that_is_stuck_while_the_machine_is_on_is_found_though_off_is_always_the_same():
    value = runs_of(1, 8000, 0.0, 100.0)
    X = windows_at(value)
    off = value.reshape(-1, PER_WINDOW).max(axis=1) == 0
    X[off] = 0.0
    X[off, FEATURES.index("equal_run")] = 60.0
    X[:, FEATURES.index("diff_mean")] = np.diff(X[:, 0], prepend=X[0, 0])
    model, _ = fit_fleet(series(X), FEATURES, PARAMETERS)
    stuck = np.array([[100.0, 2, 97, 103, 0, 0, 1], [100.0, 2, 97, 103, 0, 0, 30], [0, 0, 0, 0, 0, 0, 300]])
    assert scored(model, stuck)["is_anomaly"] == [False, True, False]


def test_where_the_hour_tells_the_level_the_time_of_day_stays():
    hours = np.arange(24 * 21) % 24
    X = windows_at(np.repeat(100.0 * ((hours >= 6) & (hours < 18)), PER_WINDOW))
    hourly = make_windows(X, features=list(FEATURES), window_us=3_600_000_000)
    message = fit_fleet(hourly, FEATURES, PARAMETERS)[1]["message"][0].as_py()
    assert find_levels(X, ROLES) is not None
    assert "levels" not in message and "time of day" in message


def test_levels_of_many_models_are_read_as_they_were_written():
    rng, d = np.random.default_rng(0), len(FEATURES)

    def levels(k):
        bounds = np.sort(rng.normal(size=2 * k)).reshape(k, 2).T
        usual = rng.uniform(1, 2, (2, 1, 2 * k + 1, d))
        return Levels(np.zeros(1, np.int64), bounds[:1], bounds[1:], *usual)

    written = [levels(2), levels(3), levels(2)]
    assert [as_list(one).size for one in written] == [list_size(one.low.size, d) for one in written]
    lists = [as_list(written[0]), np.zeros(0), as_list(written[1]), as_list(written[2])]
    read = levels_of_models(np.concatenate(lists), np.cumsum([0, *(one.size for one in lists)]), d)
    assert read.place.tolist() == [0, -1, 1, 2]
    X = rng.normal(size=(50, d))
    for model, one in zip((0, 2, 3), written, strict=True):
        place, state = read.of(X, np.full(50, model), ROLES)
        _, its_state = one.of(X, np.zeros(50, np.int64), ROLES)
        assert (read.center[place, state] == one.center[0, its_state]).all()
        assert (read.spread[place, state] == one.spread[0, its_state]).all()


def test_a_state_that_is_rare_has_what_is_usual_in_all_but_those_at_a_level():
    stays = Stays.of(TRAIN, *find_levels(TRAIN, ROLES), ROLES)
    rows = (stays.state != 2) | (np.cumsum(stays.state == 2) <= 5)
    X, state = TRAIN[rows], stays.state[rows]
    found = stays.levels(X.T, state, np.zeros(7), np.ones(7), ROLES)
    assert found.center[0, 2, :6] == pytest.approx(np.median(X[state >= 2], axis=0)[:6])
    assert found.center[0, 3, :6] == pytest.approx(np.median(X[state == 3], axis=0)[:6])


def test_models_beside_others_score_as_alone(off_half_of_the_time):
    plain = windows_at(np.full(8000, 100.0))
    both = make_windows(np.concatenate([TRAIN, plain]), ["a"] * 1600 + ["b"] * 1600, features=list(FEATURES))
    model, _ = fit_fleet(both, FEATURES, PARAMETERS)
    combined, _ = combined_arrays(model.rows)
    assert combined.levels.place.tolist() == [0, -1]
    X = windows_at(runs_of(6, 1000, 0.0, 100.0, 60.0))
    of_a = predict(make_windows(X, ["a"] * 200, features=list(FEATURES)), model, "1")
    assert of_a["score"].to_pylist() == scored(off_half_of_the_time, X)["score"]


def test_a_challenger_with_levels_is_no_other_order_of_a_champion_without(off_half_of_the_time, monkeypatch):
    monkeypatch.setattr(combined_fit, "_NARROWER", 0.0)
    without, _ = fit_fleet(series(TRAIN), FEATURES, PARAMETERS)
    new = series(windows_at(runs_of(11, 5000, 0.0, 100.0), seed=11))
    versions = ChampionChallenger()
    versions.add(new, off_half_of_the_time, without)
    assert versions.result().rank_stability is None
    assert decide(versions.result(), PromotionLimits())[0]
    alike = ChampionChallenger()
    alike.add(new, off_half_of_the_time, off_half_of_the_time)
    assert alike.result().rank_stability == pytest.approx(1.0)
