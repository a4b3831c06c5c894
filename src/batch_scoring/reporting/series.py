"""Lay the windows of single series on a grid for charts: the worst in full, others in longer steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.reporting.heat import choose_length, first_of_runs
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.schemas import PREDICTIONS

COARSE_SECONDS = 3600
_DRAWN = ("window_start", "value", "score", "threshold", "is_anomaly", "severity", "top_feature")
# What a grid takes of a window.
DRAWN = pa.schema([PREDICTIONS.field(name) for name in _DRAWN[:-1]]).append(
    pa.field("top_feature", pa.dictionary(pa.int32(), pa.string()))
)
# A chart is about this many pixels wide.
MAX_COARSE_STEPS = 1000


@dataclass(frozen=True)
class SeriesBlock:
    """Several series on one grid of time: row i is series i, column j the step from ``start + j * step``.

    Attributes
    ----------
    series : list of (str, str)
        Device and sensor of each row.
    step : timedelta
        One window, or longer; then value is the mean, score the lowest, severity the largest of the step.
    value, score, threshold : array of float64, shape (n_series, n_steps)
        NaN where there is no window.
    is_anomaly : array of bool, shape (n_series, n_steps)
    severity : array of float64, shape (n_series, n_steps)
        0 where there is no anomalous window.
    top_feature : array of int64, shape (n_series, n_steps)
        Position in ``features`` of an anomalous window's feature; -1 without one.
    features : list of str
    """

    series: list[tuple[str, str]]
    step: timedelta
    value: Float
    score: Float
    threshold: Float
    is_anomaly: Bool
    severity: Float
    top_feature: Int
    features: list[str]


class SeriesGrid:
    """A grid of several series that fills batch by batch.

    Parameters
    ----------
    series : sequence of (str, str)
        Device and sensor of each row.
    start, end : int
        Microseconds since the epoch, half-open; the grid covers it.
    step : timedelta
        Several windows that start in one step are summed up.
    """

    def __init__(self, series: Sequence[tuple[str, str]], start: int, end: int, step: timedelta) -> None:
        self._series, self._start, self._step = list(series), start, step
        self._n_steps = max(1, -(-(end - start) // (step // MICROSECOND)))
        size = len(self._series) * self._n_steps
        self._sum, self._count = np.zeros(size), np.zeros(size, np.int64)
        self._score, self._threshold = np.full(size, np.nan), np.full(size, np.nan)
        self._is_anomaly, self._severity = np.zeros(size, bool), np.zeros(size)
        self._feature = np.full(size, -1)
        self._features: dict[str, int] = {}

    def add(self, row: Int, rows: pa.Table) -> None:
        """Add windows of the grid's times, in their order, each to its row; other rows are left out.

        Fast where the windows of a step are adjacent.

        Parameters
        ----------
        row : ndarray of int64, shape (n,)
            Of the grid, for each window.
        rows : pyarrow.Table
            Schema DRAWN.
        """
        mine = np.flatnonzero((row >= 0) & (row < len(self._series)))
        if not mine.size:
            return
        column = (to_numpy(rows["window_start"])[mine] - self._start) // (self._step // MICROSECOND)
        place = row[mine] * self._n_steps + column
        begins = first_of_runs(place)
        value, score, threshold = (
            to_numpy(rows[name], null=np.nan)[mine] for name in ("value", "score", "threshold")
        )
        finite = np.isfinite(value)
        steps = place[begins]
        np.add.at(self._sum, steps, np.add.reduceat(np.where(finite, value, 0.0), begins))
        np.add.at(self._count, steps, np.add.reduceat(finite.astype(np.int64), begins))
        np.fmin.at(self._score, steps, np.fmin.reduceat(score, begins))
        self._threshold[place] = threshold
        flags = to_numpy(rows["is_anomaly"])[mine]
        if flags.any():
            self._add_anomalies(place[flags], rows.take(to_arrow(mine[flags])))

    def _add_anomalies(self, place: Int, rows: pa.Table) -> None:
        severity = np.nan_to_num(to_numpy(rows["severity"], null=0.0), nan=0.0, posinf=np.inf)
        np.fmax.at(self._severity, place, severity)
        self._is_anomaly[place] = True
        # The feature named for a step is that of its most severe window.
        worst = severity == self._severity[place]
        self._feature[place[worst]] = self._codes(rows["top_feature"])[worst]

    def block(self) -> SeriesBlock:
        """Return what was added."""
        shape = (len(self._series), self._n_steps)
        mean = np.divide(self._sum, self._count, out=np.full(self._sum.size, np.nan), where=self._count > 0)
        features, feature = self._named()
        return SeriesBlock(
            self._series,
            self._step,
            mean.reshape(shape),
            self._score.reshape(shape),
            self._threshold.reshape(shape),
            self._is_anomaly.reshape(shape),
            self._severity.reshape(shape),
            feature.reshape(shape),
            features,
        )

    def _named(self) -> tuple[list[str], Int]:
        """Number the features that are there by name: so a page does not depend on how its rows were read."""
        there = sorted((name, code) for name, code in self._features.items() if code in self._feature)
        number = np.full(len(self._features) + 1, -1)
        number[[code for _, code in there]] = np.arange(len(there))
        return [name for name, _ in there], number[self._feature]

    def _codes(self, names: pa.ChunkedArray) -> Int:
        """Number names in the order in which they came, shape (n,); -1 where there is none."""
        names = names.combine_chunks().dictionary_encode()
        known = names.dictionary.to_pylist()
        codes = np.array([*(self._features.setdefault(name, len(self._features)) for name in known), -1])
        found: Int = codes[to_numpy(names.indices, null=len(known))]
        return found


@dataclass(frozen=True)
class Resolution:
    """The series drawn window by window, and those in longer steps.

    Attributes
    ----------
    full, coarse : int
        The first ``full`` series of the list, and the ``coarse`` series after them.
    step : timedelta
        The length of a coarse step.
    """

    full: int
    coarse: int
    step: timedelta


def choose_resolution(
    n_series: int, span: timedelta, window: timedelta, max_series: int, max_points: int
) -> Resolution:
    """Spend a budget of points on the worst series first, so that a page of any fleet stays small.

    Parameters
    ----------
    n_series : int
    span, window : timedelta
        The whole range of time, and one window.
    max_series : int
        Maximum number of series drawn window by window.
    max_points : int
        Two thirds of the points go to these, one third to the others.

    Examples
    --------
    >>> choose_resolution(200, timedelta(days=14), timedelta(minutes=5), 60, 450_000)
    Resolution(full=60, coarse=140, step=datetime.timedelta(seconds=3600))
    """
    n_windows = max(1, -(-span // window))
    full = min(n_series, max_series, (max_points * 2 // 3) // n_windows)
    at_least = max(COARSE_SECONDS, window.total_seconds())
    step = timedelta(seconds=choose_length(span.total_seconds(), MAX_COARSE_STEPS, at_least))
    coarse = min(n_series - full, (max_points // 3) // max(1, -(-span // step)))
    return Resolution(full, coarse, step)
