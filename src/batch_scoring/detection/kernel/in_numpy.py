"""Compute the kernel in NumPy, for machines where the compiled one could not be built.

The rows of every model are split into blocks of a few windows; blocks with about as many support
vectors are padded to one three-dimensional batch that fits the cache, and each batch is a few
array operations: one matrix product, one exponential, one weighted sum. Padding has weight zero
and depends on its own model only: a window's score is the same, to the last bit, whatever is scored
with it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch_scoring.detection.kernel.rbf_models import RbfModels
from batch_scoring.tables.arrays import Bool, Float, Int

# Windows of one model per block; more of them share the loading of each support vector.
BLOCK_ROWS = 16
# (window x support vector) pairs of a batch: its largest array, 1 MiB, about fits the L2 cache, and the
# hundreds of batches of a large fleet cost little beside their arithmetic.
BATCH_PAIRS = 131_072

# ‖z - s‖² by its expansion, ‖z‖² + ‖s‖² - 2 z·s, is a matrix product, several times as fast as
# differences, and loses digits where the terms are large. Up to this gamma · ‖s‖² the exponents
# that count (above -40) were off by 2e-13 at most, over 600 random models of 1, 6 and 16 features;
# models beyond it are scored by differences.
EXPANSION_LIMIT = 250.0
# Beyond this distance in scaled units, a square could overflow; no support vector is near.
FAR = 1e100


def score_models(
    models: RbfModels,
    X: Float,
    row_offsets: Int,
    part: slice,
    scores: Float,
    top_features: NDArray[np.int32],
) -> None:
    """Score the rows of a range of models; see :func:`batch_scoring.detection.kernel.score_rows`."""
    first, last, _ = part.indices(models.gamma.size)
    rows = slice(row_offsets[first], row_offsets[last])
    n_rows = np.diff(row_offsets[first : last + 1])
    model_of_row = np.repeat(np.arange(first, last), n_rows)
    Z = X[rows] - models.mean[model_of_row]
    Z /= models.scale[model_of_row]
    top_features[rows] = np.abs(Z).argmax(axis=1)
    own = scores[rows]
    own[:] = -models.rho[model_of_row]
    scratch = _Scratch()
    for batch in _batches(np.asarray(row_offsets[first : last + 1] - row_offsets[first]), models, first):
        _score_batch(models, Z, batch, own, scratch)


@dataclass(frozen=True)
class _Batch:
    """B blocks of rows, each of one model: ranges of their rows and support vectors."""

    model: Int
    row_start: Int
    n_rows: Int
    sv_start: Int
    n_sv: Int
    sv_width: int


class _Scratch:
    """Arrays reused by all batches of a thread: fresh memory costs more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: dict[str, Float] = {}

    def array(self, name: str, *shape: int) -> Float:
        """Return an uninitialised array of this shape."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size)
        return self._buffers[name][:size].reshape(shape)


def _batches(row_offsets: Int, models: RbfModels, first_model: int) -> Iterator[_Batch]:
    n_rows = np.diff(row_offsets)
    sv_offsets = models.sv_offsets[first_model : first_model + n_rows.size + 1]
    n_sv = np.diff(sv_offsets)
    n_blocks = np.where(n_sv > 0, -(-n_rows // BLOCK_ROWS), 0)
    model = np.repeat(np.arange(n_rows.size), n_blocks)
    place = np.arange(model.size) - np.repeat(np.cumsum(n_blocks) - n_blocks, n_blocks)
    row_start = row_offsets[model] + place * BLOCK_ROWS
    rows = np.minimum(n_rows[model] - place * BLOCK_ROWS, BLOCK_ROWS)
    width = _padded_size(n_sv)[model]
    # Neighbours in this order have similar sizes, so there is little padding.
    order = np.lexsort((model, rows, width))
    model, row_start, rows, width = model[order], row_start[order], rows[order], width[order]
    edges = np.flatnonzero(np.diff(width, prepend=0, append=0))
    for start, end in itertools.pairwise(edges.tolist()):
        sv_width = int(width[start])
        step = max(1, BATCH_PAIRS // (sv_width * BLOCK_ROWS))
        for first in range(start, end, step):
            part = slice(first, min(first + step, end))
            owner = model[part]
            yield _Batch(
                first_model + owner, row_start[part], rows[part], sv_offsets[owner], n_sv[owner], sv_width
            )


def _padded_size(n_sv: Int) -> Int:
    """Round up the number of support vectors to few sizes, so that many models share one."""
    unit = np.where(n_sv <= 512, 8, 64)
    return -(-n_sv // unit) * unit


def _score_batch(models: RbfModels, Z: Float, batch: _Batch, scores: Float, scratch: _Scratch) -> None:
    # Multiples of four, as in matrix products: no remaining row may be computed in another way.
    row, is_row = _padded(batch.row_start, batch.n_rows, -(-int(batch.n_rows.max()) // 4) * 4)
    sv, is_sv = _padded(batch.sv_start, batch.n_sv, batch.sv_width)
    z = Z.take(row, axis=0, mode="clip", out=scratch.array("z", *row.shape, Z.shape[1]))  # (B, W, d)
    np.clip(z, -FAR, FAR, out=z)
    s = models.support_vectors.take(
        sv,
        axis=0,
        mode="clip",
        out=scratch.array("s", *sv.shape, Z.shape[1]),  # (B, V, d)
    )
    gamma = models.gamma[batch.model]
    # Out of range means infinitely far away, which adds 0.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        kernel = _exponent(z, s, gamma, scratch)  # (B, W, V)
        np.exp(kernel, out=kernel)
    weight = models.dual_coef.take(sv, mode="clip", out=scratch.array("weight", *sv.shape))
    weight *= is_sv
    # Not matmul: the order of its sums may depend on a row's position in the block.
    total = np.einsum("bwv,bv->bw", kernel, weight)
    scores[row[is_row]] += total[is_row]


def _exponent(z: Float, s: Float, gamma: Float, scratch: _Scratch) -> Float:
    """Compute ``-gamma ‖z - s‖²`` of each window and support vector, shape (B, W, V).

    As ``2 gamma z·s - gamma ‖z‖² - gamma ‖s‖²``, except for models where that would lose digits.
    """
    z_square = np.einsum("bwd,bwd->bw", z, z)
    s_square = np.einsum("bvd,bvd->bv", s, s)
    is_wide = gamma * s_square.max(axis=1) > EXPANSION_LIMIT
    exponent = scratch.array("exponent", z.shape[0], z.shape[1], s.shape[1])
    scaled = np.multiply(z, 2.0 * gamma[:, None, None], out=scratch.array("scaled", *z.shape))
    np.matmul(scaled, s.transpose(0, 2, 1), out=exponent)
    exponent -= (gamma[:, None] * z_square)[:, :, None]
    exponent -= (gamma[:, None] * s_square)[:, None, :]
    if is_wide.any():
        exponent[is_wide] = _exponent_by_differences(z[is_wide], s[is_wide], gamma[is_wide])
    return exponent


def _exponent_by_differences(z: Float, s: Float, gamma: Float) -> Float:
    """Compute :func:`_exponent` from differences: accurate everywhere, but slower."""
    distance = np.zeros((z.shape[0], z.shape[1], s.shape[1]))
    difference = np.empty_like(distance)
    for feature in range(z.shape[2]):
        np.subtract(z[..., feature][:, :, None], s[..., feature][:, None, :], out=difference)
        np.multiply(difference, difference, out=difference)
        np.add(distance, difference, out=distance)
    distance *= -gamma[:, None, None]
    return distance


def _padded(start: Int, size: Int, width: int) -> tuple[Int, Bool]:
    """Return each run's indices, padded to the width with its first, and a mask of the real ones."""
    step = np.arange(width)
    inside = step < size[:, None]
    return start[:, None] + step * inside, inside
