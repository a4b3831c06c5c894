"""The decision function of many RBF models at once, over ragged arrays, with no loop over devices.

The rows of every model are cut into blocks of a few windows; blocks with about as many support
vectors are padded to one three-dimensional batch that fits the cache, and each batch is a few
array operations. Padding has weight zero, and how far a model is padded depends on that model
alone: a window gets the same score, to the last bit, in whatever company it is scored.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch_scoring.fleet.model import RbfModels

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Windows of one model that go through together; more share each support vector's way to the cache.
BLOCK_ROWS = 16
# (window x support vector) pairs of a batch: its temporaries (two arrays of float64) stay in the L2 cache.
BATCH_PAIRS = 32_768


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
        A row with a feature that is not finite has a score that means nothing.

    Examples
    --------
    >>> one = RbfModels(mean=np.zeros((1, 1)), scale=np.ones((1, 1)), gamma=np.array([1.0]),
    ...     rho=np.array([0.5]), sv_offsets=np.array([0, 1]), support_vectors=np.zeros((1, 1)),
    ...     dual_coef=np.array([1.0]))
    >>> decision_function(one, np.array([[0.0], [1.0]]), np.array([0, 2])).round(3).tolist()
    [0.5, -0.132]
    """
    model_of_row = np.repeat(np.arange(models.gamma.size), np.diff(row_offsets))
    return score_scaled(models, scale_rows(models, X, model_of_row), row_offsets, n_threads)


def scale_rows(models: RbfModels, X: Float, model_of_row: Int) -> Float:
    """Scale each row as its model does: ``(x - mean) / scale``, shape (n, d)."""
    Z = X - models.mean[model_of_row]
    Z /= models.scale[model_of_row]
    return Z


def score_scaled(models: RbfModels, Z: Float, row_offsets: Int, n_threads: int | None = None) -> Float:
    """As :func:`decision_function`, for rows that :func:`scale_rows` has scaled already."""
    scores = -np.repeat(models.rho, np.diff(row_offsets))
    batches = list(_batches(np.asarray(row_offsets), models.sv_offsets))
    n_threads = n_threads or len(os.sched_getaffinity(0))
    if n_threads == 1 or len(batches) == 1:
        for batch in batches:
            _score_batch(models, Z, batch, scores)
    else:
        # NumPy lets other threads run while it works on arrays; every batch writes rows of its own.
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(lambda batch: _score_batch(models, Z, batch, scores), batches))
    return scores


@dataclass(frozen=True)
class _Batch:
    """B blocks of rows, each of one model: where their rows and support vectors begin and end."""

    model: Int
    row_start: Int
    n_rows: Int
    sv_start: Int
    n_sv: Int
    sv_width: int


def _batches(row_offsets: Int, sv_offsets: Int) -> Iterator[_Batch]:
    n_rows, n_sv = np.diff(row_offsets), np.diff(sv_offsets)
    n_blocks = np.where(n_sv > 0, -(-n_rows // BLOCK_ROWS), 0)
    model = np.repeat(np.arange(n_rows.size), n_blocks)
    place = np.arange(model.size) - np.repeat(np.cumsum(n_blocks) - n_blocks, n_blocks)
    row_start = row_offsets[model] + place * BLOCK_ROWS
    rows = np.minimum(n_rows[model] - place * BLOCK_ROWS, BLOCK_ROWS)
    width = _padded_size(n_sv)[model]
    # Neighbours in this order have sizes alike, so little is padding.
    order = np.lexsort((model, rows, width))
    model, row_start, rows, width = model[order], row_start[order], rows[order], width[order]
    edges = np.flatnonzero(np.diff(width, prepend=-1, append=-1))
    for start, end in itertools.pairwise(edges.tolist()):
        step = max(1, BATCH_PAIRS // int(width[start] * BLOCK_ROWS))
        for first in range(start, end, step):
            part = slice(first, min(first + step, end))
            owner = model[part]
            yield _Batch(
                owner, row_start[part], rows[part], sv_offsets[owner], n_sv[owner], int(width[start])
            )


def _padded_size(n_sv: Int) -> Int:
    """The support vectors that a model is padded to: of few sizes, so that many models share one."""
    unit = np.where(n_sv <= 512, 8, 64)
    return -(-n_sv // unit) * unit


def _score_batch(models: RbfModels, Z: Float, batch: _Batch, scores: Float) -> None:
    row, is_row = _padded(batch.row_start, batch.n_rows, int(batch.n_rows.max()))  # (B, W)
    sv, is_sv = _padded(batch.sv_start, batch.n_sv, batch.sv_width)  # (B, V)
    distance = np.zeros((*row.shape, sv.shape[1]))  # (B, W, V)
    difference = np.empty_like(distance)
    # Differences, not the expanded square: far from the data that would lose the last digits.
    # A square or an exponential out of range is a window infinitely far away: it adds nothing.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for feature in range(Z.shape[1]):
            np.subtract(
                Z[row, feature][:, :, None], models.support_vectors[sv, feature][:, None, :], out=difference
            )
            np.multiply(difference, difference, out=difference)
            np.add(distance, difference, out=distance)
        np.multiply(distance, -models.gamma[batch.model][:, None, None], out=distance)
        np.exp(distance, out=distance)
    weight = np.where(is_sv, models.dual_coef[sv], 0.0)
    np.multiply(distance, weight[:, None, :], out=distance)
    # Not matmul: the order of its sums depends on the shape of the whole batch.
    total = np.add.reduce(distance, axis=2)
    scores[row[is_row]] += total[is_row]


def _padded(start: Int, size: Int, width: int) -> tuple[Int, NDArray[np.bool_]]:
    """Indices of each run, padded with its first; and which of them are no padding."""
    step = np.arange(width)
    inside = step < size[:, None]
    return start[:, None] + np.where(inside, step, 0), inside
