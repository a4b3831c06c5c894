"""Compute tumbling windows and their features from sorted readings.

Every feature is a reduction over runs of adjacent rows: a few passes over the arrays, whatever the
number of devices. Sums follow the order of the rows, so the same readings give the same bits on any
number of cores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.schemas import windows_schema
from batch_scoring.windows.history import read_history
from batch_scoring.windows.runs import Runs, cut_runs, without_short_runs

DEFAULT_FEATURES = ("mean", "std", "min", "max", "change", "diff_mean", "equal_run")

# Features that are never below 0, and those of whole numbers among them.
NEVER_NEGATIVE = frozenset({"std", "range", "count", "equal_run"})
COUNTS = frozenset({"count", "equal_run"})

# How many windows before its own a feature looks at.
WINDOWS_BEFORE = {"diff_mean": 1, "equal_run": 11}

_KEY_COLUMNS = {"window_start", "window_end", "device", "sensor"}
_QUANTILE = re.compile(r"p(\d{1,2})")


def _std(runs: Runs) -> Float:
    return np.sqrt(runs.sum(runs.deviation**2) / runs.count)


def _first(runs: Runs) -> Float:
    return runs.values[runs.starts]


def _last(runs: Runs) -> Float:
    return runs.values[runs.starts + runs.count - 1]


def _slope(runs: Runs) -> Float:
    """Compute the least-squares slope, per second; 0 if all readings have the same time."""
    # Relative to the run's first reading, so that microseconds since 1970 lose no digits.
    seconds = (runs.times - runs.times[runs.starts][runs.run_of_reading]) / 1e6
    seconds = seconds - (runs.sum(seconds) / runs.count)[runs.run_of_reading]
    spread = runs.sum(seconds**2)
    return np.divide(runs.sum(seconds * runs.deviation), spread, out=np.zeros(spread.size), where=spread > 0)


def _diff_mean(runs: Runs) -> Float:
    """Compute the mean minus that of the preceding window; 0 where the device has none."""
    past = runs.history
    change = np.diff(past.mean, prepend=0.0)
    follows = (np.diff(past.series, prepend=-1) == 0) & (np.diff(past.window, prepend=0) == 1)
    return np.where(follows, change, 0.0)[~past.is_stored]


def _equal_run(runs: Runs) -> Float:
    """Count the readings of the longest run of equal values in the window, or that goes on in it.

    A window may hold a few readings only, so a run that the window begins with counts from the first of the
    windows before, at most eleven, that hold this one value and no other.
    """
    n = runs.values.size
    if n == 0:
        return np.zeros(0)
    place = np.arange(n)
    is_new = np.ones(n, bool)
    is_new[1:] = runs.values[1:] != runs.values[:-1]
    is_new[runs.starts] = True
    begin = np.maximum.accumulate(np.where(is_new, place, 0))
    longest = np.maximum.reduceat(place - begin + 1, runs.starts)
    first = np.add.reduceat((begin == np.repeat(runs.starts, runs.count)).astype(np.int64), runs.starts)
    return np.maximum(longest, first + _equal_before(runs)).astype(np.float64)


def _equal_before(runs: Runs) -> Int:
    """Count the readings of the windows before each run that hold its first value and no other."""
    past = runs.history
    row = np.arange(past.series.size)
    begins = past.low.copy()
    begins[~past.is_stored] = runs.values[runs.starts]
    # The first of the windows whose values have the same bounds up to each one: flat ones, where it is flat.
    goes_on = np.diff(past.series, prepend=-1) == 0
    goes_on[1:] &= (past.low[1:] == past.low[:-1]) & (past.high[1:] == past.high[:-1])
    first = np.maximum.accumulate(np.where(goes_on, 0, row))
    before = np.maximum(row - 1, 0)
    is_equal = past.series[before] == past.series
    is_equal &= (past.low[before] == begins) & (past.high[before] == begins)
    key = past.window - past.window.min() + WINDOWS_BEFORE["equal_run"]
    key += past.series * (int(key.max()) + 1)
    earliest = np.maximum(first[before], np.searchsorted(key, key - WINDOWS_BEFORE["equal_run"]))
    total = np.cumsum(past.count) - past.count
    return np.where(is_equal, total - total[earliest], 0)[~past.is_stored]


def _quantile(share: float) -> Callable[[Runs], Float]:
    """Return a feature: the quantile of each run, interpolated as ``numpy.quantile`` does by default."""

    def feature(runs: Runs) -> Float:
        position = share * (runs.count - 1)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, runs.count - 1)
        low, high = (runs.sorted_values[runs.starts + i] for i in (below, above))
        return low + (position - below) * (high - low)

    return feature


_FEATURES: dict[str, Callable[[Runs], Float]] = {
    "mean": lambda runs: runs.mean,
    "std": _std,
    "min": lambda runs: runs.low,
    "max": lambda runs: runs.high,
    "range": lambda runs: runs.high - runs.low,
    "first": _first,
    "last": _last,
    "change": lambda runs: _last(runs) - _first(runs),
    "slope": _slope,
    "sum": lambda runs: runs.sum(runs.values),
    "count": lambda runs: runs.count.astype(np.float64),
    "diff_mean": _diff_mean,
    "equal_run": _equal_run,
}


def feature_function(name: str) -> Callable[[Runs], Float]:
    """Return the function that computes a feature.

    Parameters
    ----------
    name : str
        One of ``mean std min max range first last change slope sum count diff_mean equal_run``, or
        ``pNN`` for the NN-th percentile. ``std`` divides by the number of readings (0 for one reading),
        ``change`` is last minus first, ``slope`` is per second, ``diff_mean`` is the mean minus that
        of the preceding window (0 where the device has none), ``equal_run`` counts the readings of the
        longest run of equal values in the window; those of the windows before, at most eleven, that hold
        nothing but the first value of it go before its first run.

    Raises
    ------
    InputError
        When the feature is not known.
    """
    if name in _FEATURES:
        return _FEATURES[name]
    if match := _QUANTILE.fullmatch(name):
        return _quantile(int(match[1]) / 100)
    raise InputError(f"feature {name!r} is not valid; expected {', '.join(_FEATURES)}, or p01 to p99")


def aggregate_readings(
    readings: pa.Table,
    window_us: int,
    features: Sequence[str] = DEFAULT_FEATURES,
    min_readings: int = 1,
    stored: pa.Table | None = None,
) -> pa.Table:
    """Aggregate readings into tumbling windows and compute their features.

    Parameters
    ----------
    readings : pyarrow.Table
        Columns timestamp (µs, UTC), device, sensor, value; sorted by sensor, device, then time (sorted here
        if they are not). Values are finite, nothing is null.
    window_us : int
        Length of a window in microseconds. Windows are ``[k · window_us, (k + 1) · window_us)``
        since the epoch.
    features : sequence of str
        See :func:`feature_function`.
    min_readings : int
        Windows with fewer readings, or none, are left out.
    stored : pyarrow.Table, optional
        Schema STORED: windows before the readings, for the features that look at windows before.

    Returns
    -------
    pyarrow.Table
        Schema ``windows_schema(features)``, sorted by sensor, device, then window_start.

    Raises
    ------
    InputError
        When a feature is not known or the window length is not positive.

    Examples
    --------
    >>> from batch_scoring.tables.schemas import READINGS
    >>> readings = pa.Table.from_pydict(
    ...     {"timestamp": [0, 1_000_000, 5_000_000], "device": ["a"] * 3, "sensor": ["s"] * 3,
    ...      "value": [1.0, 3.0, 7.0]}, schema=READINGS)
    >>> windows = aggregate_readings(readings, 5_000_000, ["mean", "change", "diff_mean"])
    >>> windows.select(["count", "mean", "change", "diff_mean"]).to_pylist()
    [{'count': 2, 'mean': 2.0, 'change': 2.0, 'diff_mean': 0.0},
     {'count': 1, 'mean': 7.0, 'change': 0.0, 'diff_mean': 5.0}]
    """
    if window_us <= 0:
        raise InputError(f"aggregate.window: {window_us} µs is not valid; expected a duration, such as '5m'")
    functions = {name: feature_function(name) for name in features}
    series, runs = cut_runs(readings, window_us)
    if min_readings > 1:
        runs = without_short_runs(runs, min_readings)
    if stored is not None:
        runs = replace(runs, stored=read_history(stored, series, window_us))
    start = runs.window * window_us
    # Huge values may leave the range of numbers: such a window has features that are not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        computed = [function(runs) for name, function in functions.items() if name != "count"]
    columns = [
        to_arrow(start),
        to_arrow(start + window_us),
        *series.take(to_arrow(runs.series)).itercolumns(),
        to_arrow(runs.count.astype(np.int32)),
        *map(to_arrow, computed),
    ]
    schema = windows_schema(list(functions))
    return pa.Table.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def require_features(windows: pa.Table, features: Sequence[str]) -> None:
    """Check that windows have all of the features.

    Raises
    ------
    InputError
        When the table lacks one of them.
    """
    missing = [name for name in features if name not in windows.column_names]
    if missing:
        there = [name for name in windows.column_names if name not in _KEY_COLUMNS]
        raise InputError(
            f"feature {missing[0]!r} is missing in the windows, which have {there}; the models need "
            f"{list(features)}: aggregate with the same features, or train again"
        )


def feature_matrix(windows: pa.Table, features: Sequence[str]) -> Float:
    """Collect the features of windows in one matrix, shape (n, d), C-contiguous.

    Raises
    ------
    InputError
        When the table lacks one of the features.
    """
    require_features(windows, features)
    matrix = np.empty((windows.num_rows, len(features)))
    for column, name in enumerate(features):
        matrix[:, column] = to_numpy(windows[name])
    return matrix
