"""Read the windows of single series for the drill-down charts: the worst in full, others in longer steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import choose_length, select_partitions
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.partitions import Partitions
from batch_scoring.tables.schemas import PREDICTIONS

COARSE_SECONDS = 3600
# A chart is about this many pixels wide.
MAX_COARSE_STEPS = 1000

_READ = ["window_start", "device", "value", "score", "threshold", "is_anomaly", "severity", "top_feature"]


@dataclass(frozen=True)
class SeriesBlock:
    """Several series on one grid of time: row i is series i, column j the step from ``start + j * step``.

    Attributes
    ----------
    series : list of (str, str)
        Device and sensor of each row.
    start : datetime
        UTC, start of the first step.
    step : timedelta
        One window, or longer; then value is the mean, score the lowest, severity the largest of the step.
    value, score, threshold, severity : array of float64, shape (n_series, n_steps)
        NaN where there is no window.
    is_anomaly : array of bool, shape (n_series, n_steps)
    top_feature : array of int64, shape (n_series, n_steps)
        Position in ``features``; -1 without one.
    features : list of str
    """

    series: list[tuple[str, str]]
    start: datetime
    step: timedelta
    value: Float
    score: Float
    threshold: Float
    severity: Float
    is_anomaly: Bool
    top_feature: Int
    features: list[str]


def read_series(
    predictions: Partitions,
    wanted: Sequence[tuple[str, str]],
    start: datetime,
    end: datetime,
    step: timedelta,
) -> SeriesBlock:
    """Read the windows of some series onto a grid.

    Parameters
    ----------
    predictions : mapping of str to function
        Partition name to a function that opens it.
    wanted : sequence of (device, sensor)
    start, end : datetime
        UTC, half-open; the grid covers it.
    step : timedelta
        Several windows that start in one step are summed up.

    Returns
    -------
    SeriesBlock
    """
    rows, row_of = _read_rows(predictions, wanted)
    n_steps = max(1, -(-(end - start) // step))
    shape = (len(wanted), n_steps)
    origin, length = round(start.timestamp() * 1e6), step // timedelta(microseconds=1)
    column = (rows["window_start"].cast(pa.int64()).to_numpy() - origin) // length
    inside = (column >= 0) & (column < n_steps)
    place = (row_of * n_steps + column)[inside]
    numbers = {name: rows[name].to_numpy()[inside] for name in ("value", "score", "threshold", "severity")}
    flags = rows["is_anomaly"].to_numpy()[inside]
    size = shape[0] * n_steps
    features = rows["top_feature"].combine_chunks().dictionary_encode()
    codes = pc.fill_null(features.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)[inside]
    # The feature named for a step is that of its most severe window, so the most severe is written last.
    order = np.lexsort((np.arange(len(place)), np.nan_to_num(numbers["severity"])))
    return SeriesBlock(
        list(wanted),
        start,
        step,
        _mean(place, numbers["value"], size).reshape(shape),
        _extreme(np.fmin, place, numbers["score"], size).reshape(shape),
        _last(place, numbers["threshold"], size, np.nan).reshape(shape),
        _extreme(np.fmax, place, numbers["severity"], size).reshape(shape),
        (np.bincount(place, flags, size) > 0).reshape(shape),
        _last(place[order], codes[order], size, -1).reshape(shape),
        features.dictionary.to_pylist(),
    )


def _read_rows(predictions: Partitions, wanted: Sequence[tuple[str, str]]) -> tuple[pa.Table, Int]:
    """The windows of the wanted series, and for each its position in ``wanted``."""
    by_sensor: dict[str, list[int]] = {}
    for position, (_, sensor) in enumerate(wanted):
        by_sensor.setdefault(sensor, []).append(position)
    tables, positions = [], []
    selection = Selection(sensors=frozenset(by_sensor))
    for sensor, load in select_partitions(predictions, selection):
        table = load().read(columns=_READ)
        devices = pa.array([wanted[p][0] for p in by_sensor[sensor]], pa.string())
        index = pc.index_in(table["device"], devices).combine_chunks()
        tables.append(table.filter(pc.is_valid(index)).drop_columns(["device"]))
        positions.append(np.array(by_sensor[sensor])[index.drop_null().to_numpy()])
    if not tables:
        empty = PREDICTIONS.empty_table().select(_READ).drop_columns(["device"])
        return empty, np.zeros(0, np.int64)
    return pa.concat_tables(tables), np.concatenate(positions).astype(np.int64)


def _mean(place: Int, values: Float, size: int) -> Float:
    finite = np.isfinite(values)
    sums = np.bincount(place[finite], values[finite], size)
    counts = np.bincount(place[finite], minlength=size)
    mean: Float = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return mean


def _extreme(ufunc: np.ufunc, place: Int, values: Float, size: int) -> Float:
    out = np.full(size, np.nan)
    ufunc.at(out, place, values)
    return out


def _last(place: Int, values: npt.NDArray[Any], size: int, missing: float) -> npt.NDArray[Any]:
    out = np.full(size, missing, values.dtype)
    out[place] = values
    return out


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
