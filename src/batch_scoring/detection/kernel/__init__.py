"""Compute the decision function of many RBF models over ragged arrays, without a loop over devices.

Compiled code (``rbf_kernel.c``) is used where it could be built, else NumPy. With either, a window's score
is the same, to the last bit, whatever is scored with it; between the two, and between processors under
NumPy, the last bits differ.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from batch_scoring.core.processes import usable_cores
from batch_scoring.detection.kernel import compiled, in_numpy
from batch_scoring.detection.kernel.rbf_models import RbfModels
from batch_scoring.tables.arrays import Float, Int

# Scores the rows of the models first ... last - 1 into the two arrays.
Kernel = Callable[[RbfModels, Float, Int, slice, Float, NDArray[np.int32]], None]

# Parts of work for each thread, so that none waits long for the last.
PARTS_PER_THREAD = 4


def decision_function(models: RbfModels, X: Float, row_offsets: Int, n_threads: int | None = None) -> Float:
    """Score the windows of many models.

    Parameters
    ----------
    models : RbfModels
        D models over d features.
    X : array of shape (n, d), float64
        Raw features (not scaled); the rows of model i are ``row_offsets[i]:row_offsets[i + 1]``.
    row_offsets : array of shape (D + 1,), int64
    n_threads : int, optional
        Default: the cores this process may use.

    Returns
    -------
    array of shape (n,), float64
        ``Σ dual_coef · exp(-gamma · ‖(x - mean) / scale - sv‖²) - rho``, which is scikit-learn's
        ``OneClassSVM.decision_function`` after its ``StandardScaler``; the lower, the more abnormal.
        Rows with a feature that is not finite have no valid score.

    Examples
    --------
    >>> one = RbfModels(mean=np.zeros((1, 1)), scale=np.ones((1, 1)), gamma=np.array([1.0]),
    ...     rho=np.array([0.5]), sv_offsets=np.array([0, 1]), support_vectors=np.zeros((1, 1)),
    ...     dual_coef=np.array([1.0]))
    >>> decision_function(one, np.array([[0.0], [1.0]]), np.array([0, 2])).round(3).tolist()
    [0.5, -0.132]
    """
    return score_rows(models, X, row_offsets, n_threads)[0]


def score_rows(
    models: RbfModels,
    X: Float,
    row_offsets: Int,
    n_threads: int | None = None,
    kernel: Kernel | None = None,
) -> tuple[Float, NDArray[np.int32]]:
    """Compute :func:`decision_function`, and each row's feature farthest from its mean.

    Parameters
    ----------
    kernel : callable, optional
        ``in_numpy.score_models`` or ``compiled.score_models``; default: the compiled one if available.

    Returns
    -------
    scores : array of shape (n,), float64
    top_features : array of shape (n,), int32
        The feature with the largest ``|(x - mean) / scale|``.
    """
    scores, top_features = np.empty(len(X)), np.empty(len(X), np.int32)
    kernel = kernel or (compiled if compiled.is_available() else in_numpy).score_models
    n_threads = n_threads or usable_cores()
    parts = _equal_parts(models, row_offsets, 1 if n_threads == 1 else n_threads * PARTS_PER_THREAD)

    def work(part: slice) -> None:
        kernel(models, X, row_offsets, part, scores, top_features)

    if len(parts) <= 1:
        for part in parts:
            work(part)
    else:
        # Both kernels release the GIL, and each part writes its own rows.
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(work, parts))
    return scores, top_features


def _equal_parts(models: RbfModels, row_offsets: Int, n: int) -> list[slice]:
    """Split models into ranges with about equal numbers of (row x support vector) pairs."""
    pairs = np.cumsum(np.diff(row_offsets) * np.maximum(np.diff(models.sv_offsets), 1))
    if pairs.size == 0:
        return []
    inner = np.searchsorted(pairs, pairs[-1] * np.arange(1, n) / n, side="right")
    edges = np.unique([0, *inner.tolist(), pairs.size])
    return [slice(first, last) for first, last in pairwise(edges.tolist())]
