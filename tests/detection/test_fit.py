"""A fleet is fitted device by device; a bad one is named and stops nobody."""

import numpy as np
import pytest

from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.one_class_svm import OneClassSvm, fit_device
from tests.factories import fit_fleet, make_windows

FEATURES = ["mean", "f1"]
PLAIN = FitParameters(detector="one_class_svm")


def a_fleet():
    rng = np.random.default_rng(0)
    parts = {
        "good": rng.normal(size=(60, 2)),
        "all-nan": np.full((60, 2), np.nan),
        "constant": np.full((60, 2), 3.0),
        "short": rng.normal(size=(3, 2)),
        "../../etc/x": rng.normal(size=(60, 2)),
        "Pumpe №7/Süd": rng.normal(size=(60, 2)),
        "holes": np.where(rng.random((60, 1)) < 0.2, np.nan, rng.normal(size=(60, 2))),
    }
    devices = [name for name, X in parts.items() for _ in range(len(X))]
    return parts, make_windows(np.concatenate(list(parts.values())), devices)


def test_every_device_is_in_the_status_and_the_good_ones_in_the_model():
    parts, windows = a_fleet()
    model, status = fit_fleet(windows, FEATURES, FitParameters())
    rows = {row["device"]: row for row in status.to_pylist()}
    assert list(rows) == sorted(parts)
    assert {name: row["status"] for name, row in rows.items()} == {
        "good": "ok", "all-nan": "bad_features", "constant": "constant", "short": "too_few_windows",
        "../../etc/x": "ok", "Pumpe №7/Süd": "ok", "holes": "ok",
    }  # fmt: skip
    assert set(model.devices.to_pylist()) == set(parts) - {"all-nan", "short"}
    assert "3 usable windows, train.fit.min_windows is 30" in rows["short"]["message"]
    assert "not finite" in rows["holes"]["message"]


def test_each_model_is_the_one_its_device_gets_alone():
    parts, windows = a_fleet()
    model, _ = fit_fleet(windows, FEATURES, PLAIN)
    rows = {row["device"]: row for row in model.table.to_pylist()}
    for name in ("good", "../../etc/x", "constant"):
        alone = fit_device(parts[name], PLAIN)
        assert rows[name]["support_vectors"] == alone.support_vectors.ravel().tolist()
        assert (rows[name]["threshold"], rows[name]["rho"]) == (alone.threshold, alone.rho)
        assert rows[name]["n_train"] == len(parts[name])


def test_threads_and_order_change_nothing():
    _, windows = a_fleet()
    shuffled = windows.take(np.random.default_rng(1).permutation(windows.num_rows))
    one, _ = fit_fleet(windows, FEATURES, FitParameters())
    two, _ = fit_fleet(shuffled, FEATURES, FitParameters())
    assert one.table.equals(two.table)


def test_one_failing_fit_is_reported_and_the_others_go_on(monkeypatch):
    parts, windows = a_fleet()

    def fails_for_one(self, series, parameters):
        if series.X[0, 0] == parts["good"][0, 0]:
            raise FloatingPointError("no luck")
        return fit_device(series.X, parameters).as_fitted()

    monkeypatch.setattr(OneClassSvm, "fit", fails_for_one)
    model, status = fit_fleet(windows, FEATURES, PLAIN)
    row = next(row for row in status.to_pylist() if row["device"] == "good")
    assert (row["status"], row["message"]) == ("fit_failed", "FloatingPointError: no luck")
    assert "good" not in model.devices.to_pylist()
    assert model.table.num_rows == 4


def test_no_model_at_all_is_no_error():
    model, status = fit_fleet(make_windows(np.ones((2, 1))), ["mean"], FitParameters())
    assert model is None
    assert status["status"].to_pylist() == ["too_few_windows"]


def test_the_model_knows_its_windows():
    _, windows = a_fleet()
    model, _ = fit_fleet(windows, FEATURES, FitParameters())
    assert model.info.window_seconds == 300
    assert model.info.features == ("mean", "f1")
    assert set(model.info.libraries) == {"numpy", "scikit-learn", "batch_scoring"}
    row = next(r for r in model.table.to_pylist() if r["device"] == "good")
    assert row["trained_from"] == windows["window_start"][0].as_py()
    assert (row["trained_to"] - row["trained_from"]).total_seconds() == 60 * 300


@pytest.mark.parametrize("features", [["f1"], ["f1", "mean"]])
def test_the_features_are_taken_in_the_order_asked_for(features):
    parts, windows = a_fleet()
    model, _ = fit_fleet(windows, features, FitParameters())
    row = next(r for r in model.table.to_pylist() if r["device"] == "good")
    columns = [FEATURES.index(name) for name in features]
    assert row["mean"] == pytest.approx(parts["good"][:, columns].mean(axis=0))
