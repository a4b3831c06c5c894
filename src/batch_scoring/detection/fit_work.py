"""Split the fitting of a range of devices into pieces of about equal work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import to_numpy

# Duration of a fit: scikit-learn's Python, libsvm's pairs of rows (measured, see decision 0008), and what all
# windows cost: medians, hours of the day, and scores of those held out.
SECONDS_PER_FIT = 0.7e-3
SECONDS_PER_PAIR = 4e-9
SECONDS_PER_WINDOW = 0.5e-6

# Work of a piece: long compared with its transfer, short compared with the wait at the end.
PIECE_SECONDS = 0.25


def fit_seconds(n_windows: Int, parameters: FitParameters) -> Float:
    """Estimate the duration of each device's fits on one core, shape (n,).

    Quadratic in its windows up to the number that the SVM is fitted on, and linear beyond.
    """
    rows = np.minimum(n_windows, parameters.max_train_windows).astype(np.float64)
    n_fits = 1
    if parameters.threshold == "calibrated":
        n_fits += parameters.calibration_blocks if parameters.calibrate_on == "every_block" else 1
    return n_fits * (SECONDS_PER_FIT + SECONDS_PER_PAIR * rows**2 + SECONDS_PER_WINDOW * n_windows)


def cut_work(
    parts: Sequence[pa.Table], parameters: FitParameters, seconds: float = PIECE_SECONDS
) -> Iterator[tuple[pa.Table, float]]:
    """Split the windows of a range of devices into pieces of about equal fitting time.

    Parameters
    ----------
    parts : sequence of pyarrow.Table
        Windows of one sensor, such as one table a day, each sorted by device.
    parameters : FitParameters
    seconds : float
        Work of a piece. Devices are never split, so a piece may take longer.

    Yields
    ------
    piece : pyarrow.Table
        All windows of some devices, part by part; pieces are in the order of the devices.
    seconds : float
        Estimated.

    Raises
    ------
    InputError
        When a part is not sorted by device.
    """
    runs = [pc.run_end_encode(part["device"].combine_chunks()) for part in parts if part.num_rows]
    parts = [part for part in parts if part.num_rows]
    if not parts:
        return
    names = pa.chunked_array([one.values for one in runs]).unique()
    names = names.take(pc.array_sort_indices(names))
    ends = [to_numpy(one.run_ends).astype(np.int64) for one in runs]
    found = [to_numpy(pc.index_in(one.values, value_set=names)).astype(np.int64) for one in runs]
    n_windows = np.zeros(len(names), np.int64)
    for part, place, end in zip(parts, found, ends, strict=True):
        if (np.diff(place) <= 0).any():
            raise InputError(
                f"sensor {part['sensor'][0].as_py()!r}: windows are not sorted by device; "
                "delete them and run `kedro run --pipelines=aggregate`"
            )
        n_windows[place] += np.diff(end, prepend=0)
    work = fit_seconds(n_windows, parameters)
    piece = np.floor((np.cumsum(work) - work / 2) / seconds)
    edges = [0, *(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(names)]
    for first, after in pairwise(edges):
        rows = [
            _between(part, place, end, first, after)
            for part, place, end in zip(parts, found, ends, strict=True)
        ]
        yield pa.concat_tables(rows), float(work[first:after].sum())


def _between(part: pa.Table, place: Int, end: Int, first: int, after: int) -> pa.Table:
    """Slice a part's rows of the devices at positions ``first`` up to ``after``."""
    run_first, run_after = np.searchsorted(place, [first, after])
    bounds = np.concatenate([[0], end])
    return part.slice(int(bounds[run_first]), int(bounds[run_after] - bounds[run_first]))
