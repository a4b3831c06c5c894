"""Fit the combined curves of many series anew to windows scored since training; the models stay."""

from __future__ import annotations

import numpy as np

from batch_scoring.detection.detectors.combined_tails import evidence_at
from batch_scoring.detection.detectors.tail_curves import fit_shapes, n_in_tail
from batch_scoring.tables.arrays import Float, Int


def recalibrated(curves: Float, n_train: Int, evidence: Float, counts: Int) -> Float:
    """Fit combined curves to windows that each take the place of a training window.

    The training windows that are left count as what the curve says of them: scored by their own model they
    would look more usual than windows it has not seen, which is why training holds them out.

    Parameters
    ----------
    curves : array of shape (m, 5), float64
        The models' own; see ``combined_tails.Curves``.
    n_train : array of shape (m,), int64
        Windows that each curve is fitted to.
    evidence : array of shape (n,), float64
        Of windows scored since training, in the order of the models.
    counts : array of shape (m,), int64
        Their number for each model, ``n_train`` at most. A model without any keeps its curve.

    Returns
    -------
    array of shape (m, 5), float64
        The margin is that of the model: it stands for how blocks of time differ.
    """
    found = curves.copy()
    has = np.flatnonzero(counts)
    if not has.size:
        return found
    n = n_train[has]
    width = int(n_in_tail(n).max()) + 1
    rank = np.arange(width)[::-1]  # 0 is the largest
    left = n - counts[has]
    share = (rank + 0.65) / np.maximum(left, 1)[:, None]
    of_curve = np.repeat(curves[has], width, axis=0)
    usual = evidence_at(-np.log10(np.minimum(share, 1.0)).ravel(), of_curve).reshape(share.shape)
    usual[rank >= left[:, None]] = -np.inf
    both = np.concatenate([_largest(evidence, counts[has], width), usual], axis=1)
    begin, scale, top, shape = fit_shapes(np.sort(both, axis=1)[:, -width:], n).T
    found[has] = np.column_stack([begin, scale, top, curves[has, 3], shape])
    return found


def _largest(values: Float, counts: Int, k: int) -> Float:
    """Return the k largest values of each series, ascending, shape (m, k); -inf where it has fewer."""
    found = np.full((counts.size, k), -np.inf)
    of = np.repeat(np.ceil(np.log2(counts)), counts)
    # Those of similar length together: as a matrix they are sorted several times as fast as by a sort of all.
    for length in np.unique(of):
        rows = np.flatnonzero(np.ceil(np.log2(counts)) == length)
        matrix = np.full((rows.size, max(int(counts[rows].max()), k)), -np.inf)
        matrix[np.arange(matrix.shape[1]) < counts[rows][:, None]] = values[of == length]
        found[rows] = np.sort(np.partition(matrix, -k, axis=1)[:, -k:], axis=1)
    return found
