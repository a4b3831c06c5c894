"""A stay at a level is usual up to a good margin beyond the stays of training."""

import numpy as np
import pytest

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.levels import comes_to
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.detection.detectors.stays import usual_stays
from batch_scoring.detection.score import predict
from batch_scoring.windows.features import DEFAULT_FEATURES
from tests.detection.detectors.test_levels import series, windows_at
from tests.factories import fit_fleet

HOUR_US = 3_600_000_000
WINDOW_US = HOUR_US // 2


def usual(*stays, gaps=()):
    """The limits at two levels of a machine that stays at them for some windows each, in turn."""
    level = np.full(sum(stays), -1)
    level[np.cumsum(stays)[:-1]] = np.arange(1, len(stays)) % 2
    start = np.arange(level.size) * WINDOW_US
    for window, n in gaps:
        start[window:] += n * WINDOW_US
    return usual_stays(level, start, WINDOW_US, 2).tolist()


def test_twice_the_longest_is_usual():
    assert usual(*[10, 6] * 30) == [10.0, 6.0]


def test_more_is_usual_of_stays_with_a_long_tail():
    short, long = usual(*[10, 4] * 30, *[10, 8, 10, 16, 10, 32] * 2)
    assert short == 10.0
    assert long > 2 * 16


def test_fewer_than_ten_stays_show_nothing():
    assert usual(*[40, 10] * 9, 40)[1] == np.inf
    assert usual(*[40, 10] * 10, 40) == [40.0, 10.0]


def test_a_week_shows_what_is_usual_and_less_does_not():
    assert usual(*[5, 5] * 34)[0] == 5.0
    assert usual(*[5, 5] * 33) == [np.inf, np.inf]


def test_nothing_shorter_than_an_hour_is_too_long():
    assert usual(*[20, 1] * 20)[1] == 1.0
    start = np.arange(2100) * (HOUR_US // 12)
    assert usual_stays(np.arange(2100) % 2, start, HOUR_US // 12, 2).tolist() == [1.0, 1.0]


def test_a_stay_ends_where_a_silence_begins():
    stays = [10, 6] * 30
    assert usual(*stays, gaps=[(105, 500)]) == usual(*stays)
    # A window or two that are missing are none.
    assert usual(*stays, gaps=[(105, 1)])[0] == 11.0


def test_a_machine_comes_to_the_level_that_its_mean_is_nearest_to():
    X = np.zeros((5, len(DEFAULT_FEATURES)))
    roles = Roles.of(DEFAULT_FEATURES)
    X[:, roles.mean] = [0.0, 40.0, 60.0, 101.0, 20.0]
    X[:, roles.diff_mean] = np.diff(X[:, roles.mean], prepend=0.0)
    low, high = np.array([[-1.0, 99.0, np.inf]]), np.array([[1.0, 101.0, np.inf]])
    assert comes_to(X, low, high, roles).tolist() == [-1, -1, 1, -1, 0]


@pytest.mark.slow
def test_a_prediction_says_how_long_a_machine_may_stay():
    value = np.tile(np.repeat([0.0, 100.0], 300), 40)
    windows = series(windows_at(value))
    model, _ = fit_fleet(windows, DEFAULT_FEATURES, FitParameters(false_alarm_rate=0.002))
    assert model.table["may_stay"].to_pylist() == [[10.0, 10.0]]
    found = predict(windows, model, "1")["may_stay"].to_pylist()
    assert [place for place, hours in enumerate(found) if hours is not None] == list(range(60, 4800, 60))
    assert set(found) == {None, 10.0}


def test_a_machine_without_levels_stays_nowhere():
    windows = series(windows_at(np.full(2000, 100.0)))
    model, _ = fit_fleet(windows, DEFAULT_FEATURES, FitParameters(false_alarm_rate=0.01))
    assert model.table["may_stay"].to_pylist() == [[]]
    assert predict(windows, model, "1")["may_stay"].null_count == windows.num_rows
