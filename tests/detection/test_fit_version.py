"""What fits of some windows come to, held to FIT_VERSION: who changes the one raises the other."""

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.detection.detectors import combined_tails
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit import FIT_VERSION
from tests.detection.detectors.test_preprocessing import FEATURES, windows_of
from tests.factories import fit_fleet, make_windows

HOUR_US = 3_600_000_000


def a_fleet():
    """A plain series, one that follows the time of day, a counter, a constant, one that comes back from far
    away twice, and one that is off half of the time; 240 hours of each."""
    rng = np.random.default_rng(8)
    noise = rng.normal(size=(240, 12))
    cycle = 10 * np.sin(np.arange(240) / 24 * 2 * np.pi)[:, None] + rng.normal(size=(240, 12))
    counter = np.cumsum(rng.uniform(0.5, 1.5, 240 * 12)).reshape(240, 12)
    broken = noise[::-1] + 30.0 * np.isin(np.arange(240), [70, 71, 72, 160, 161])[:, None]
    is_on = np.isin(np.arange(240) // 4 % 5, [0, 3])
    series = {
        "switched": 100.0 * is_on[:, None] + noise,
        "broken": broken,
        "plain": noise,
        "daily": cycle,
        "counter": counter,
        "constant": np.full((240, 12), 7.0),
    }
    X = np.concatenate([windows_of(values) for values in series.values()])
    devices = [name for name in series for _ in range(240)]
    return make_windows(X, devices, features=list(FEATURES), window_us=HOUR_US)


def summary(detector):
    """One number for each column of numbers of a fleet's models: the sum of their sizes."""
    model, _ = fit_fleet(a_fleet(), FEATURES, FitParameters(detector=detector, false_alarm_rate=0.01))
    sums = {}
    for field in model.info.schema:
        column = model.table[field.name].combine_chunks()
        values = column.flatten() if pa.types.is_list(field.type) else column
        if pa.types.is_floating(values.type):
            sizes = np.abs(values.to_numpy(zero_copy_only=False))
            sums[field.name] = float(sizes[np.isfinite(sizes)].sum())
    return sums


# By version of the fit and detector.
KNOWN = {
    (8, "one_class_svm"): {
        "nu": 1.5,
        "gamma": 1.52648,
        "rho": 18.5141,
        "mean": 4520.62,
        "scale": 2749.27,
        "support_vectors": 1238.63,
        "dual_coef": 121,
        "threshold": 9.18817,
        "train_flag_rate": 0.00833333,
    },
    (8, "combined"): {
        "nu": 1.5,
        "gamma": 1.52648,
        "rho": 17.304,
        "mean": 112.766,
        "scale": 214.679,
        "support_vectors": 1369.01,
        "dual_coef": 120.9,
        "threshold": 12,
        "train_flag_rate": 0.0458333,
        "center": 101.725,
        "spread": 266.296,
        "time_of_day": 381.392,
        "distance_curve": 54.9785,
        "svm_curve": 35.1738,
        "curve": 24.1248,
        "levels": 1297.52,
        "may_stay": 24.0,
    },
}


def test_the_fleet_has_a_step_back_from_far_away(monkeypatch):
    """Which is no news (version 4): where it counts, other models come of it."""
    monkeypatch.setattr(combined_tails, "_FAR", np.inf)
    assert summary("combined") != pytest.approx(KNOWN[FIT_VERSION, "combined"], rel=1e-3)


@pytest.mark.parametrize("detector", ["one_class_svm", "combined"])
def test_fits_that_change_are_another_version(detector):
    assert summary(detector) == pytest.approx(KNOWN[FIT_VERSION, detector], rel=1e-3)
