"""The solver called directly finds what scikit-learn's estimator finds, to the bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from batch_scoring.detection.detectors import svm_solver
from batch_scoring.detection.detectors.svm_solver import mean_and_scale, solve, solve_publicly


@given(
    st.integers(0, 2**32 - 1),
    st.integers(20, 300),
    st.integers(1, 8),
    st.floats(0.1, 0.9),
    st.floats(1e-3, 10.0),
)
def test_the_numbers_are_those_of_the_estimator(seed, n, d, nu, gamma):
    Z = np.random.default_rng(seed).normal(size=(n, d)).round(1)
    for ours, theirs in zip(solve(Z, nu, gamma, 1e-3), solve_publicly(Z, nu, gamma, 1e-3), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 60), st.integers(1, 5)),
        elements=st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, 0.1, 1e-12])),
    ),
    st.booleans(),
)
def test_the_scale_is_that_of_scikit_learns_scaler(X, is_first_constant):
    if is_first_constant:
        X[:, 0] = X[0, 0]
    scaler = StandardScaler().fit(X)
    mean, scale = mean_and_scale(X)
    np.testing.assert_array_equal(mean, scaler.mean_)
    np.testing.assert_array_equal(scale, scaler.scale_)


def test_the_solver_of_the_locked_scikit_learn_can_be_called_directly():
    assert svm_solver._solver() is not None


def test_without_it_the_estimator_is_fitted(monkeypatch):
    Z = np.random.default_rng(0).normal(size=(50, 2))
    expected = solve(Z, 0.1, 0.5, 1e-3)
    monkeypatch.setattr(svm_solver, "_solver", lambda: None)
    for ours, theirs in zip(solve(Z, 0.1, 0.5, 1e-3), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
