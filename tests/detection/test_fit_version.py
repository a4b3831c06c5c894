"""What fits of some windows come to, held to FIT_VERSION: who changes the one raises the other."""

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit import FIT_VERSION
from tests.detection.detectors.test_preprocessing import FEATURES, windows_of
from tests.factories import fit_fleet, make_windows

HOUR_US = 3_600_000_000


def a_fleet():
    """A plain series, one that follows the time of day, a counter and a constant; 240 hours of each."""
    rng = np.random.default_rng(8)
    noise = rng.normal(size=(240, 12))
    cycle = 10 * np.sin(np.arange(240) / 24 * 2 * np.pi)[:, None] + rng.normal(size=(240, 12))
    counter = np.cumsum(rng.uniform(0.5, 1.5, 240 * 12)).reshape(240, 12)
    series = {"plain": noise, "daily": cycle, "counter": counter, "constant": np.full((240, 12), 7.0)}
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
    (4, "one_class_svm"): {
        "nu": 1.3,
        "gamma": 1.19315,
        "rho": 9.9453,
        "mean": 4394.22,
        "scale": 2538.16,
        "support_vectors": 794.547,
        "dual_coef": 73,
        "threshold": 3.64429,
        "train_flag_rate": 0.00833333,
    },
    (4, "combined"): {
        "nu": 1.3,
        "gamma": 1.19315,
        "rho": 9.74748,
        "mean": 92.6737,
        "scale": 15.5808,
        "support_vectors": 839.12,
        "dual_coef": 72.9,
        "threshold": 8,
        "train_flag_rate": 0.0166667,
        "center": 92.5986,
        "spread": 14.9617,
        "time_of_day": 381.392,
        "distance_curve": 36.4715,
        "svm_curve": 30.7849,
        "curve": 16.2018,
    },
}


@pytest.mark.parametrize("detector", ["one_class_svm", "combined"])
def test_fits_that_change_are_another_version(detector):
    assert summary(detector) == pytest.approx(KNOWN[FIT_VERSION, detector], rel=1e-3)
