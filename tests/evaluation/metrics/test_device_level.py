"""A device is as suspicious as its three worst sensors."""

import numpy as np
import pytest

from batch_scoring.evaluation.metrics.device_level import DeviceWindows, device_score


def test_the_mean_of_the_three_worst_sensors_is_the_score_whatever_their_order():
    excess = np.random.default_rng(0).random((5, 40))
    excess[excess < 0.2] = np.nan
    excess[:, 7] = np.nan
    device, start = np.repeat([0, 1], 20), np.tile(np.arange(20), 2) * 10
    expected = [np.sort(column[np.isfinite(column)])[-3:].mean() for column in excess[:, :7].T]
    for order in (excess, excess[::-1]):
        windows = DeviceWindows()
        for sensor in order:
            windows.add(device, start, np.zeros(40, bool), sensor)
        score = device_score(windows.worst)
        assert score[:7] == pytest.approx(expected)
        assert np.isnan(score[7])


def test_sensors_may_have_other_windows_than_others():
    windows = DeviceWindows()
    windows.add(np.array([1, 1]), np.array([10, 20]), np.array([False, True]), np.array([1.0, 2.0]))
    windows.add(np.array([0, 1]), np.array([20, 10]), np.array([True, False]), np.array([5.0, 3.0]))
    windows.add(np.array([1]), np.array([20]), np.array([False]), np.array([np.nan]))
    assert windows.device.tolist() == [0, 1, 1]
    assert windows.start.tolist() == [20, 10, 20]
    assert windows.is_labelled.tolist() == [True, False, True]
    assert device_score(windows.worst).tolist() == [5.0, 2.0, 2.0]


def test_each_device_is_ranked_alone_and_one_without_both_classes_is_not():
    windows = DeviceWindows()
    windows.add(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([True, False, False, False]), np.arange(4.0)
    )
    ranked = windows.rankings(3)
    assert ranked["ranked_devices"].tolist() == [1, 0, 0]
    assert ranked["device_roc_auc"].tolist() == [0, 0, 0]
