"""The daily totals of a fleet in compact arrays, which every view of many devices is made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.core.moments import DAY_US
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, distinct, positions, to_numpy

# Beyond this many rows of daily totals, earlier days are left out: 28 bytes each are held in memory.
MAX_ROWS = 6_000_000
_READ = (
    *("day", "device", "sensor", "n_windows", "n_anomalies", "severity", "n_unscored"),
    *("last_start", "last_end"),
)


@dataclass(frozen=True)
class FleetTotals:
    """The daily totals of the newest days, one element a row of the table.

    Attributes
    ----------
    devices, sensors : pyarrow.Array of string
        Sorted as UTF-8 bytes.
    device, sensor : array of shape (n,), int32
        Positions among them.
    day : array of shape (n,), int32
        Days since the epoch, UTC.
    windows, anomalies, unscored : array of shape (n,), int32
    severity : array of shape (n,), float32
    start, end : int
        Microseconds since the epoch: midnight of the first day, end of the newest window; 0 without rows.
    window_us : int
        Length of a window; 0 without rows.
    is_cut : bool
        Whether earlier days are left out.
    """

    devices: pa.Array
    sensors: pa.Array
    device: Int
    sensor: Int
    day: Int
    windows: Int
    anomalies: Int
    unscored: Int
    severity: NDArray[np.float32]
    start: int
    end: int
    window_us: int
    is_cut: bool

    @cached_property
    def names(self) -> list[str]:
        """The devices' ids."""
        return list(self.devices.to_pylist())

    def in_days(self, start: int, end: int) -> Bool:
        """Mark the rows of the days that a range touches, microseconds since the epoch."""
        return (self.day >= start // DAY_US) & (self.day < -(-end // DAY_US))

    @cached_property
    def natural_order(self) -> Int:
        """Rank of each device by its name as people count, so that pump-9 is before pump-10."""
        order = sorted(range(len(self.names)), key=lambda i: natural_key(self.names[i]))
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Split a name into texts and numbers to sort by.

    Examples
    --------
    >>> sorted(["pump-10", "pump-9"], key=natural_key)
    ['pump-9', 'pump-10']
    """
    parts = re.findall(r"[0-9]{1,15}|[^0-9]+|[0-9]+", name)
    return [(0, int(part), part) if part.isdecimal() and len(part) < 16 else (1, 0, part) for part in parts]


def read_totals(table: RowTable, max_rows: int = MAX_ROWS) -> FleetTotals:
    """Read the daily totals of the newest days, whole days, at least one.

    Parameters
    ----------
    table : RowTable
        Schema ``DAILY``.
    max_rows : int
    """
    files, n_rows = table.files(), 0
    for place in range(len(files) - 1, -1, -1):
        n_rows += files[place].rows
        # A file of a month may hold rows of a later file's day.
        is_over = place < len(files) - 1 and files[place].last < files[place + 1].first
        if n_rows > max_rows and is_over:
            files, is_cut = files[place + 1 :], True
            break
    else:
        is_cut = False
    # Ids come as dictionaries: numbers from the beginning, and each text once a batch.
    parts = [
        rows for file in files for rows in table.batches(file, _READ, encoded=("device", "sensor", "status"))
    ]
    devices, sensors = (distinct(*_texts(parts, name)) for name in ("device", "sensor"))

    def column(name: str, kind: type) -> Any:
        return np.concatenate([np.zeros(0, kind), *(to_numpy(part[name], 0).astype(kind) for part in parts)])

    def numbered(name: str, among: pa.Array) -> Int:
        found = [positions(part[name], among).astype(np.int32) for part in parts]
        return np.concatenate([np.zeros(0, np.int32), *found])

    lengths = [_lengths(part) for part in parts]
    days = [(to_numpy(part["day"]) // DAY_US).astype(np.int32) for part in parts]
    day = np.concatenate([np.zeros(0, np.int32), *days])
    ends = [int(to_numpy(part["last_end"], 0).max()) for part in parts]
    return FleetTotals(
        devices,
        sensors,
        numbered("device", devices),
        numbered("sensor", sensors),
        day,
        column("n_windows", np.int32),
        column("n_anomalies", np.int32),
        column("n_unscored", np.int32),
        column("severity", np.float32),
        int(day.min()) * DAY_US if day.size else 0,
        max(ends, default=0),
        min((int(one.min()) for one in lengths if one.size), default=0),
        is_cut,
    )


def _texts(parts: Sequence[pa.Table], name: str) -> list[pa.Array]:
    chunks = [chunk for part in parts for chunk in part[name].chunks]
    return [chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk for chunk in chunks]


def _lengths(part: pa.Table) -> Int:
    has = to_numpy(part["n_windows"]) > 0
    lengths: Int = (to_numpy(part["last_end"], 0) - to_numpy(part["last_start"], 0))[has]
    return lengths


def newest_anomaly(totals: FleetTotals, device: int, sensor: str) -> tuple[int, str] | None:
    """Find the newest day on which a device was anomalous, and its sensor.

    Parameters
    ----------
    totals : FleetTotals
    device : int
        Its position in ``totals.devices``.
    sensor : str
        Asked about first; the others only where it was never anomalous.

    Returns
    -------
    tuple of int and str, or None
        Midnight of the day, microseconds since the epoch, and the sensor.
    """
    rows = np.flatnonzero((totals.device == device) & (totals.anomalies > 0))
    if not rows.size:
        return None
    is_asked = are(totals.sensors.take(pa.array(totals.sensor[rows])), sensor)
    rows = rows[is_asked] if is_asked.any() else rows
    newest = rows[np.lexsort((totals.anomalies[rows], totals.day[rows]))[-1]]
    return int(totals.day[newest]) * DAY_US, str(totals.sensors[int(totals.sensor[newest])])


def newest_unscored(totals: FleetTotals) -> Bool:
    """Mark the devices with a series that was not scored on its newest day, shape (n_devices,)."""
    found = np.zeros(len(totals.devices), bool)
    if totals.day.size:
        newest = totals.day == totals.day.max()
        found[totals.device[newest & (totals.unscored > 0)]] = True
    return found
