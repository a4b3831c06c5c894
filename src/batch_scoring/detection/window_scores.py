"""What the detector of a fleet's models says of windows: score, threshold, severity, what is behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.detection.detectors.combined import contributions, rarity, treat
from batch_scoring.detection.detectors.preprocessing import Roles
from batch_scoring.detection.kernel import score_rows
from batch_scoring.detection.model import FleetModel
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Judging 20,000 models' dozen windows beside the SVM: 34 ms so many at a time, up to 8,192 alike; 50 ms all
# at once, which a cache does not hold; 58 ms by 128.
_BLOCK_MODELS = 1024


@dataclass(frozen=True)
class Judged:
    """What a detector says of n windows; see :func:`batch_scoring.detection.score.score_fleet`.

    Attributes
    ----------
    score, threshold, severity : array of shape (n,), float64
    top : array of shape (n,), int32 or int64
        Places of features.
    contributions : pyarrow.MapArray
    """

    score: Float
    threshold: Float
    severity: Float
    top: NDArray[np.int32] | Int
    contributions: pa.Array


def judge(X: Float, start_us: Int, known: Int, model: FleetModel, n_threads: int | None = None) -> Judged:
    """Judge windows with the detector of the models.

    Parameters
    ----------
    X : array of shape (n, d), float64
        The models' features, finite, those of a model side by side, in the order of the models.
    start_us : array of shape (n,), int64
        When the windows start, in microseconds since the epoch.
    known : array of shape (n,), int64
        The model of each window.
    model : FleetModel
    n_threads : int, optional
        Default: the cores this process may use.
    """
    if model.info.detector == "combined":
        return _judge_combined(X, start_us, known, model, n_threads)
    return _judge_svm(X, known, model, n_threads)


def severity(score: Float, threshold: Float, rho: Float) -> Float:
    """How bad a score of the one-class SVM is: from 0 at the threshold to 1 far from all support vectors.

    ``(threshold - score) / (threshold + rho)``, clipped to [0, 1]. ``score + rho`` is a sum of
    kernel values with positive weights, so ``-rho`` is the lowest score there is.

    Parameters
    ----------
    score, threshold, rho : arrays of one shape, float64

    Examples
    --------
    >>> severity(np.array([0.2, -0.05, -0.1]), np.zeros(3), np.full(3, 0.1)).tolist()
    [0.0, 0.5, 1.0]
    """
    room = threshold + rho
    share = np.divide(threshold - score, room, out=np.zeros_like(score), where=room > 0)
    clipped: Float = np.clip(share, 0.0, 1.0)
    return clipped


def _judge_svm(X: Float, known: Int, model: FleetModel, n_threads: int | None) -> Judged:
    counts = np.bincount(known, minlength=model.table.num_rows)
    score, top = score_rows(model.arrays(), X, _offsets(counts), n_threads)
    threshold, rho = (to_numpy(model.table[name])[known] for name in ("threshold", "rho"))
    return Judged(score, threshold, severity(score, threshold, rho), top, _no_contributions(known.size))


def _judge_combined(X: Float, start_us: Int, known: Int, model: FleetModel, n_threads: int | None) -> Judged:
    counts = np.bincount(known, minlength=model.table.num_rows)
    offsets = _offsets(counts)
    models, curves = model.combined()
    window_us, roles = round(model.info.window_seconds * 1e6), Roles.of(model.info.features)
    blocks = [slice(first, first + _BLOCK_MODELS) for first in range(0, counts.size, _BLOCK_MODELS)]
    rows_of = [slice(offsets[some.start], offsets[min(some.stop, counts.size)]) for some in blocks]
    treated, z = np.empty_like(X), np.empty((X.shape[1], len(X)))
    for some, rows in zip(blocks, rows_of, strict=True):
        treated[rows], z[:, rows] = treat(
            X[rows], start_us[rows], window_us, counts[some], models.part(some), roles
        )
    svm, _ = score_rows(model.arrays(), treated, offsets, n_threads)
    svm /= to_numpy(model.table["rho"])[known]
    score, top = np.empty(len(X)), np.empty(len(X), np.int64)
    for some, rows in zip(blocks, rows_of, strict=True):
        score[rows] = -rarity(z[:, rows], svm[rows], counts[some], curves.part(some))
        top[rows] = _largest(z[:, rows])
    threshold = to_numpy(model.table["threshold"])[known]
    flagged = score < threshold
    parts = contributions(z[:, flagged], np.bincount(known[flagged], minlength=counts.size), curves)
    return Judged(
        score,
        threshold,
        np.maximum(threshold - score, 0.0),
        top,
        _contributions(flagged, parts, model.info.features),
    )


def _largest(z: Float) -> Int:
    """Which row of z has the largest number of each column; argmax takes five times as long."""
    largest, place = z[0].copy(), np.zeros(z.shape[1], np.int64)
    for row in range(1, len(z)):
        place[z[row] > largest] = row
        np.maximum(largest, z[row], out=largest)
    return place


def _offsets(counts: Int) -> Int:
    return np.concatenate([[0], np.cumsum(counts)])


def _contributions(flagged: NDArray[np.bool_], parts: Float, features: Sequence[str]) -> pa.Array:
    """A map from feature to decades for each window; of those that are not flagged, an empty one."""
    d = len(features)
    names = strings(features).take(to_arrow(np.tile(np.arange(d), len(parts))))
    return _maps(flagged * d, names, parts.ravel())


def _no_contributions(n: int) -> pa.Array:
    return _maps(np.zeros(n, np.int64), strings([]), np.zeros(0))


def _maps(sizes: Int, names: pa.Array, decades: Float) -> pa.Array:
    return pa.MapArray.from_arrays(to_arrow(_offsets(sizes).astype(np.int32)), names, to_arrow(decades))
