"""How often series send, and which window suits that."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import distinct, positions, to_numpy

# A window holds several readings, to have a spread, and no more: a model needs many windows.
READINGS_A_WINDOW = 5
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_LENGTHS = (
    *((n, f"{n}s") for n in (1, 5, 10, 30)),
    *((n * _MINUTE, f"{n}m") for n in (1, 5, 10, 15, 30)),
    *((n * _HOUR, f"{n}h") for n in (1, 2, 3, 4, 6, 8, 12)),
    *((n * _DAY, f"{n}d") for n in (1, 2, 7, 14, 28, 84)),
)


# The interval of the first million readings stands for all.
_MANY_ROWS = 1_000_000


def median_interval(tables: Iterable[pa.Table]) -> float | None:
    """Return the median of the seconds between a reading and the next one of its series; None without one.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Columns sensor, device and timestamp, in any order; as many are read as it takes.
    """
    parts, n = [], 0
    for table in tables:
        parts.append(table.select(["sensor", "device", "timestamp"]))
        n += table.num_rows
        if n >= _MANY_ROWS:
            break
    if not n:
        return None
    rows = pa.concat_tables(parts)
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
    length = round(next(seconds for seconds, text in _LENGTHS if text == window) * 1e6)
    windows = np.unique(np.stack([_series(readings), to_numpy(readings["timestamp"]) // length]), axis=1)
    return int(np.median(np.unique(windows[0], return_counts=True)[1]))


def _series(rows: pa.Table) -> Int:
    """Return a number for the device and sensor of each row."""
    series = np.zeros(rows.num_rows, np.int64)
    for name in ("sensor", "device"):
        names = distinct(rows[name])
        series = series * len(names) + positions(rows[name], names)
    return series
