"""How often series send, and which window suits that."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_numpy

# A window holds several readings, to have a spread, and no more: a model needs many windows.
READINGS_A_WINDOW = 5
# With fewer windows a model is thin: rather windows of two readings.
ENOUGH_WINDOWS, LEAST_READINGS = 100, 2
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LENGTHS = (
    *((n, f"{n}s") for n in (1, 5, 10, 30)),
    *((n * _MINUTE, f"{n}m") for n in (1, 5, 10, 15, 30)),
    *((n * _HOUR, f"{n}h") for n in (1, 2, 3, 4, 6, 8, 12)),
    *((n * _DAY, f"{n}d") for n in (1, 2, 7, 14, 28, 84)),
)


# The interval of the first readings stands for all.
_MANY_ROWS = 300_000


def median_interval(tables: Iterable[pa.Table]) -> float | None:
    """Return the median of the seconds between a reading and the next one of its series; None without one.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Columns sensor, device and timestamp, in any order; as many are read as it takes.
    """
    parts, n = [], 0
    for table in tables:
        # Names as numbers: a text each would take most of the memory.
        names = (table[name].dictionary_encode() for name in ("sensor", "device"))
        parts.append(pa.table([*names, table["timestamp"]], ["sensor", "device", "timestamp"]))
        n += table.num_rows
        if n >= _MANY_ROWS:
            break
    if not n:
        return None
    rows = pa.concat_tables(parts).unify_dictionaries()
    series = _series(rows)
    time = to_numpy(rows["timestamp"])
    order = np.lexsort((time, series))
    series, time = series[order], time[order]
    between = np.diff(time)[series[1:] == series[:-1]]
    return float(np.median(between)) / 1e6 if between.size else None


def suitable_window(interval_seconds: float) -> str:
    """Return the length of window that suits readings at an interval, as ``aggregate.window`` is written.

    Examples
    --------
    >>> [suitable_window(seconds) for seconds in (0.1, 10, 300, 3600, 86400)]
    ['1s', '1m', '30m', '6h', '7d']
    """
    wanted = READINGS_A_WINDOW * interval_seconds
    return next((text for seconds, text in _LENGTHS if seconds >= wanted), _LENGTHS[-1][1])


def longest_window(interval_seconds: float, span_seconds: float, most_seconds: float) -> str | None:
    """Return the longest length up to ``most_seconds`` that leaves a series windows enough for a model.

    Parameters
    ----------
    interval_seconds : float
        Between two readings of a series; a window holds two at least.
    span_seconds : float
        From the first reading to the last.
    most_seconds : float

    Returns
    -------
    str or None
        As :func:`suitable_window` returns it; None where no length does.

    Examples
    --------
    >>> [longest_window(3600, days * 86_400, 6 * 3600) for days in (60, 15, 5)]
    ['6h', '3h', None]
    """
    least = LEAST_READINGS * interval_seconds
    most = min(most_seconds, span_seconds / ENOUGH_WINDOWS)
    return next((text for seconds, text in reversed(_LENGTHS) if least <= seconds <= most), None)


def seconds_of(window: str) -> int:
    """Return the seconds of a length as :func:`suitable_window` returns it."""
    return next(seconds for seconds, text in _LENGTHS if text == window)


def windows_of_a_series(readings: pa.Table, window: str) -> int:
    """Return the median over the series of how many windows hold a reading; 0 without readings.

    Parameters
    ----------
    readings : pyarrow.Table
        Columns sensor, device and timestamp.
    window : str
        As :func:`suitable_window` returns it.
    """
    if not readings.num_rows:
        return 0
    length = seconds_of(window) * 1_000_000
    windows = np.unique(np.stack([_series(readings), to_numpy(readings["timestamp"]) // length]), axis=1)
    return int(np.median(np.unique(windows[0], return_counts=True)[1]))


def _series(rows: pa.Table) -> Int:
    """Return a number for the device and sensor of each row."""
    series = np.zeros(rows.num_rows, np.int64)
    for name in ("sensor", "device"):
        names = rows[name].dictionary_encode().combine_chunks()
        series = series * len(names.dictionary) + to_numpy(names.indices)
    return series
