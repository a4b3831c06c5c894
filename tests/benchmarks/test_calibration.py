"""The benchmark of the calibration counts what its docstring says, and puts faults only where it should."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import count, put_faults, runs

HOUR_US = 3_600_000_000


def test_flagged_windows_two_apart_are_one_alert():
    start = np.arange(10) * HOUR_US
    flagged = np.isin(np.arange(10), [0, 3, 7, 8])
    assert [rows.tolist() for rows in runs(flagged, start, HOUR_US)] == [[0, 3], [7, 8]]
    assert runs(np.zeros(10, bool), start, HOUR_US) == []


def test_faults_are_put_in_after_a_time_and_are_where_they_are_said_to_be():
    time = np.arange(20_000) * 300_000_000
    value = np.random.default_rng(0).normal(size=time.size)
    before = value.copy()
    faults = put_faults(value, time, int(time[1_000]), np.random.default_rng(3))
    changed = time[value != before]
    assert faults
    assert changed.min() >= time[1_000]
    assert all(any(first <= moment <= last for first, last in faults) for moment in changed.tolist())
    assert all(((changed >= first) & (changed <= last)).any() for first, last in faults)


def test_shares_alerts_and_ranks_are_counted_by_series():
    n = 100
    flagged = np.zeros((4, n), bool)
    flagged[:3, 50] = True  # three sensors of a server at once
    flagged[0, 10:12] = True  # a fault, found
    flagged[3, 20:50] = True  # a level that has changed
    rows = {
        "device": np.repeat(["a"], 4 * n),
        "sensor": np.repeat(list("stuv"), n),
        "start": np.tile(np.arange(n) * HOUR_US, 4),
        "is_anomaly": flagged.ravel(),
        "evidence": flagged.ravel().astype(float),
        "threshold": np.full(4 * n, -1.0),
    }
    faults = {("a", "s"): [(10 * HOUR_US, 12 * HOUR_US - 1)], ("a", "t"): [(70 * HOUR_US, 70 * HOUR_US)]}
    found = count(rows, faults, HOUR_US)
    # At one in ten: 1 of 9.8, 1 of 9.9, 1 of 10 and 30 of 10.
    assert found["over"] == pytest.approx((1 / 9.8 + 1 / 9.9 + 1 / 10 + 3) / 4)
    assert found["over_alone"] == found["over_lasting"] == pytest.approx(3 / 4)
    assert found["found"] == 1 / 2
    assert found["right"] == 1 / 5
    assert found["false_a_week"] == pytest.approx(4 / (400 / (24 * 7)))
    # One normal window is as high as the two of the first fault; the second fault is as low as 98 of 99.
    assert found["roc_auc"] == pytest.approx(((97 + 1 / 2) / 98 + 98 / 2 / 99) / 2)
