"""Fit scikit-learn's scaler and one-class SVM without repeating the checks of the data.

``OneClassSVM.fit`` spends as long on its estimator's checks as on a few hundred windows. Its solver is not
public, so where it is missing or takes other arguments, the estimator itself is fitted: the same numbers,
more slowly.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from batch_scoring.tables.arrays import Float

logger = logging.getLogger(__name__)

_ONE_CLASS = 2


class Solution(NamedTuple):
    """Support vectors of shape (n_sv, d), their weights of shape (n_sv,), and the intercept."""

    support_vectors: Float
    dual_coef: Float
    intercept: float


def mean_and_scale(X: Float) -> tuple[Float, Float]:
    """Compute ``StandardScaler().fit(X)``'s ``mean_`` and ``scale_``, both of shape (d,), to the bit.

    The variance is the corrected two-pass one (Chan, Golub & LeVeque 1983); a feature that does not
    change within the precision of that gets a scale of 1.

    Parameters
    ----------
    X : array of shape (n, d), float64
        Finite.
    """
    n, eps = len(X), np.finfo(np.float64).eps
    mean = X.sum(axis=0) / n
    deviation = X - mean
    correction = deviation.sum(axis=0)
    deviation **= 2
    variance = (deviation.sum(axis=0) - correction**2 / n) / n
    is_constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    scale: Float = np.where(is_constant, 1.0, np.sqrt(variance))
    return mean, scale


def solve(Z: Float, nu: float, gamma: float, tol: float) -> Solution:
    """Fit ``OneClassSVM(kernel="rbf", nu=nu, gamma=gamma, tol=tol)``, to the bit.

    Parameters
    ----------
    Z : array of shape (n, d), float64
        Finite and scaled.
    """
    solver = _solver()
    if solver is not None:
        Z = np.ascontiguousarray(Z)
        found = solver(
            Z, np.ones(len(Z)), svm_type=_ONE_CLASS, kernel="rbf", gamma=gamma, nu=nu, tol=tol,
            C=0.0, epsilon=0.0, shrinking=True, cache_size=200, max_iter=-1, random_seed=0,
        )  # fmt: skip
        return Solution(found[1], found[3][0], float(found[4][0]))
    return solve_publicly(Z, nu, gamma, tol)


def solve_publicly(Z: Float, nu: float, gamma: float, tol: float) -> Solution:
    """Fit the estimator itself; the same result as :func:`solve`."""
    from sklearn.svm import OneClassSVM

    svm = OneClassSVM(kernel="rbf", nu=nu, gamma=gamma, tol=tol).fit(Z)
    return Solution(svm.support_vectors_, svm.dual_coef_[0], float(svm.intercept_[0]))


@cache
def _solver() -> Any:
    """Return the solver if it exists and gives the estimator's result; else None."""
    try:
        from sklearn.svm import _libsvm

        Z = np.array([[0.0, 1.0], [0.5, 0.2], [-1.0, 0.3], [0.1, -0.7]])
        # The estimator first: it disables the solver's printing.
        expected = solve_publicly(Z, 0.6, 0.5, 1e-3)
        found = _libsvm.fit(
            Z, np.ones(4), svm_type=_ONE_CLASS, kernel="rbf", gamma=0.5, nu=0.6, tol=1e-3,
            C=0.0, epsilon=0.0, shrinking=True, cache_size=200, max_iter=-1, random_seed=0,
        )  # fmt: skip
        is_same = np.array_equal(found[1], expected.support_vectors)
        is_same &= np.array_equal(found[3][0], expected.dual_coef)
        if is_same and found[4][0] == expected.intercept:
            return _libsvm.fit
    except Exception as error:  # a private function that may change in any way
        logger.info("train: scikit-learn's solver cannot be called directly (%s)", error)
    return None
