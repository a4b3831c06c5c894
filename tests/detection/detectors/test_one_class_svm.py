"""One device: exactly scikit-learn inside, guards and calibration around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.detectors.one_class_svm import blocks, fit_device, fit_svm, thin

NATIVE = FitParameters(threshold="native", detector="one_class_svm")


@given(
    st.integers(0, 2**32 - 1),
    st.integers(30, 200),
    st.integers(1, 8),
    st.sampled_from(["scale", "auto", 0.3]),
)
def test_the_model_is_scikit_learns(seed, n, d, gamma):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-3, 3, d)
    X[:, 0] = 5.0 if d > 1 and seed % 2 else X[:, 0]
    theirs = make_pipeline(StandardScaler(), OneClassSVM(nu=0.1, gamma=gamma)).fit(X)
    ours = fit_device(X, FitParameters(threshold="native", detector="one_class_svm", gamma=gamma))
    np.testing.assert_allclose(ours.score(X), theirs.decision_function(X), rtol=0, atol=1e-9)
    assert ours.threshold == 0
    assert ours.train_flag_rate == np.mean(theirs.predict(X) < 0)


def test_a_nu_too_small_for_the_windows_is_raised_and_said():
    X = np.random.default_rng(0).uniform(size=(299, 1))
    model = fit_device(X, FitParameters(nu=1e-4, threshold="native", detector="one_class_svm"))
    assert model.nu == pytest.approx(2 / 299)
    assert "nu raised from 0.0001 to 0.00669" in model.notes[0]
    untouched = OneClassSVM(nu=1e-4).fit(StandardScaler().fit_transform(X))
    assert np.mean(untouched.predict(StandardScaler().fit_transform(X)) < 0) > 0.2
    assert model.train_flag_rate < 0.1


def test_a_constant_is_normal_and_anything_else_is_not():
    model = fit_device(np.tile([7.0, 0.0, 7.0], (40, 1)), FitParameters())
    scores = model.score(
        np.array([[7.0, 0.0, 7.0], [7.0 + 1e-12, 0, 7.0], [7.001, 0, 7.0], [7.0, 1e-3, 7.0]])
    )
    assert (scores < model.threshold).tolist() == [False, False, True, True]
    assert model.train_flag_rate == 0
    assert "constant in training" in model.notes[0]


def test_a_constant_zero_is_a_constant_too():
    model = fit_device(np.zeros((40, 2)), FitParameters())
    assert (model.score(np.array([[0.0, 0.0], [1e-6, 0.0]])) < 0).tolist() == [False, True]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.05, 0.2]))
def test_the_calibrated_threshold_keeps_to_its_rate_on_held_out_blocks(seed, rate):
    X = np.random.default_rng(seed).normal(size=(200, 2))
    parameters = FitParameters(false_alarm_rate=rate, detector="one_class_svm")
    model = fit_device(X, parameters)
    flagged = 0
    for held_out, rest in blocks(len(X), parameters):
        part = fit_svm(X[rest], parameters)
        flagged += np.sum(part.score(X[held_out]) / part.rho < model.threshold / model.rho - 1e-12)
    assert flagged <= rate * len(X)


def test_a_calibrated_threshold_flags_fewer_unseen_windows_than_the_native_one():
    rng = np.random.default_rng(1)
    X, unseen = rng.normal(size=(1000, 3)), rng.normal(size=(5000, 3))
    native, calibrated = fit_device(X, NATIVE), fit_device(X, FitParameters(false_alarm_rate=0.01))
    assert np.mean(native.score(unseen) < native.threshold) > 0.05
    assert np.mean(calibrated.score(unseen) < calibrated.threshold) < 0.02


def test_too_few_windows_for_the_rate_are_said():
    model = fit_device(np.random.default_rng(0).normal(size=(50, 1)), FitParameters())
    assert "50 windows cannot resolve a false-alarm rate of 0.001; expect about 0.02" in model.notes


def test_the_newest_block_alone_can_calibrate():
    parameters = FitParameters(calibrate_on="newest_block", calibration_blocks=4)
    ((held_out, rest),) = blocks(40, parameters)
    assert (held_out, rest.tolist()) == (slice(30, 40), list(range(30)))


@given(st.integers(2, 300), st.integers(2, 10))
def test_every_row_is_held_out_once_and_never_trained_on_then(n, k):
    held = []
    for held_out, rest in blocks(n, FitParameters(calibration_blocks=k)):
        rows = list(range(n))[held_out]
        held += rows
        assert sorted(rows + rest.tolist()) == list(range(n))
    assert held == list(range(n))


@given(st.integers(1, 500), st.integers(2, 100))
def test_thinning_keeps_the_ends_and_the_order(n, at_most):
    rows = thin(n, at_most)
    assert rows.size == min(n, at_most)
    assert (rows[0], rows[-1]) == (0, n - 1)
    assert (np.diff(rows) > 0).all()


def test_long_series_are_thinned_and_it_is_said():
    X = np.random.default_rng(0).normal(size=(100, 1))
    model = fit_device(X, FitParameters(max_train_windows=50, threshold="native", detector="one_class_svm"))
    assert model.notes == ("the one-class SVM is fitted on 50 of 100 windows",)


@pytest.mark.parametrize(
    "setting",
    [
        {"nu": 0.0}, {"nu": 1.1}, {"gamma": -1.0}, {"gamma": "wide"}, {"tol": 0}, {"false_alarm_rate": 1.0},
        {"calibration_blocks": 1}, {"min_windows": 1}, {"max_train_windows": 3},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(setting):
    (name,) = setting
    with pytest.raises(InputError, match=rf"train\.fit\.{name}: "):
        FitParameters(**setting)


def test_a_fit_without_an_inside_is_refused():
    with pytest.raises(ValueError, match="no inside"):
        fit_svm(np.array([[np.inf], [1.0]] * 20), NATIVE)
