"""Sum a fleet's daily totals up by series, device and version for the report; it draws nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import DAY_US, EPOCH, MICROSECOND
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.groups import Groups
from batch_scoring.tables.schemas import DAILY

EVERYTHING = Selection()

_READ = (
    *("day", "device", "sensor", "model_version", "status", "n_unscored", "n_windows", "n_anomalies"),
    *("first_start", "last_start", "last_end", "last_anomaly", "severity"),
    *("n_alarms", "threshold", "decades"),
)


@dataclass(frozen=True)
class FleetView:
    """A fleet's predictions in a range of days, summed up for page and summary.

    Attributes
    ----------
    start, end : datetime or None
        UTC, half-open; None where nothing was scored.
    history : datetime or None
        The first earlier day, UTC; None where the range holds all days.
    window : timedelta
        Length of a window.
    totals : pyarrow.Table
        Columns of the schema ``DAILY``.
    series, devices : pyarrow.Table
        Worst first: most anomalous windows, then the largest severity, then by name.
    versions : pyarrow.Table
        sensor, model_version, n_devices, n_windows, start, end.
    """

    start: datetime | None
    end: datetime | None
    history: datetime | None
    window: timedelta
    totals: pa.Table
    series: pa.Table
    devices: pa.Table
    versions: pa.Table


def view_fleet(table: RowTable, length: timedelta, selection: Selection = EVERYTHING) -> FleetView:
    """Sum up the daily totals of the newest days.

    Parameters
    ----------
    table : RowTable
        Schema ``DAILY``.
    length : timedelta
        Of the range; it starts at midnight, UTC, and ends with the newest window.
    selection : Selection
        The devices and sensors to report; the default is all.
    """
    totals, history = _read_totals(table, max(length // MICROSECOND // DAY_US, 1) - 1, selection)
    scored = totals.filter(to_arrow(to_numpy(totals["n_windows"]) > 0))
    series = worst_first(_sum(scored, ["device", "sensor"]))
    # The first of a device is its worst.
    devices = _sum(series, ["device"], worst_sensor="sensor")
    lengths = to_numpy(scored["last_end"]) - to_numpy(scored["last_start"])
    return FleetView(
        _time(np.min, scored["first_start"]),
        _time(np.max, scored["last_end"]),
        history,
        int(lengths.min() if lengths.size else 0) * MICROSECOND,
        totals,
        series,
        worst_first(devices),
        _count_versions(scored),
    )


def _read_totals(table: RowTable, days_before: int, selection: Selection) -> tuple[pa.Table, datetime | None]:
    """Read the totals of the newest day with windows, the days before it and the days after it."""
    wanted = (selection.sensors, selection.devices)
    files = table.files(None, None, *wanted)
    if not files:
        return empty_table(pa.schema([DAILY.field(name) for name in _READ])), None
    newest = [one.bounds["last_start"][1] for one in files if "last_start" in one.bounds]
    since = (max(newest or [one.last for one in files]) // DAY_US - days_before) * DAY_US
    rows = table.read(_READ, since, None, *wanted)
    if newest and not to_numpy(rows["n_windows"]).any():
        # The selected devices have been silent for longer, unlike others in the same files.
        rows = table.read(_READ, None, None, *wanted)
        last = to_numpy(rows["last_start"]).max() if rows.num_rows else since
        since = (last // DAY_US - days_before) * DAY_US
        rows = rows.filter(to_arrow(to_numpy(rows["day"]) >= since))
    first = min(one.first for one in files)
    return rows.combine_chunks(), EPOCH + first * MICROSECOND if first < since else None


def _time(which: Callable[[Int], Any], times: pa.ChunkedArray) -> datetime | None:
    return EPOCH + int(which(to_numpy(times))) * MICROSECOND if len(times) else None


def select_rows(table: pa.Table, selection: Selection) -> pa.Table:
    """Select the rows of a run's devices and, where the table has them, sensors."""
    for name, wanted in (("device", selection.devices), ("sensor", selection.sensors)):
        if wanted is not None and name in table.column_names:
            table = table.filter(pc.is_in(table[name], value_set=strings(sorted(wanted))))
    return table


def _sum(rows: pa.Table, keys: Sequence[str], **first: str) -> pa.Table:
    groups = Groups(rows, keys)
    columns = [*groups.firsts([*keys, *first.values()]).columns]
    columns += [groups.sums(name) for name in ("n_windows", "n_anomalies")]
    columns += [groups.maxima(name) for name in ("severity", "last_anomaly")]
    names = [*keys, *first, "n_windows", "n_anomalies", "severity", "last_anomaly"]
    return pa.table(columns, names=names)


def _count_versions(scored: pa.Table) -> pa.Table:
    keys = ["sensor", "model_version"]
    groups = Groups(scored, keys)
    columns = [
        *groups.firsts(keys).columns,
        groups.count_distinct("device"),
        groups.sums("n_windows"),
        groups.mins("first_start"),
        groups.maxima("last_end"),
    ]
    versions = pa.table(columns, names=[*keys, "n_devices", "n_windows", "start", "end"])
    return versions.sort_by([(name, "ascending") for name in ("sensor", "start", "model_version")])


def worst_first(table: pa.Table) -> pa.Table:
    """Sort: most anomalous windows, then the largest severity, then by device and sensor."""
    names = [name for name in ("device", "sensor") if name in table.column_names]
    order = [("n_anomalies", "descending"), ("severity", "descending")]
    return table.sort_by([*order, *((name, "ascending") for name in names)]).combine_chunks()
