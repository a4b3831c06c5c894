"""Aggregate a fleet's predictions by cell, series, device, version and anomaly for the report.

It reads one partition at a time, so that a fleet larger than the memory can be reported; it draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import Selection
from batch_scoring.tables.partitions import Partitions, split_partition_key
from batch_scoring.tables.schemas import PREDICTIONS, TIMESTAMP

EVERYTHING = Selection()

# More columns than this are too narrow to see on a page.
MAX_CELLS = 90
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
CELL_SECONDS = (
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 4, 6, 8, 12)),
    *(_DAY * n for n in (1, 2, 4, 7, 14, 28, 56, 112, 224, 448, 896, 1792, 3584, 7168)),
)

_READ = [
    "window_start",
    "window_end",
    "device",
    "sensor",
    "is_anomaly",
    "severity",
    "top_feature",
    "model_version",
]
_SERIES_KEYS = ["device", "sensor"]
_TOTALS = [("n_windows", "sum"), ("n_anomalies", "sum"), ("severity", "max")]


@dataclass(frozen=True)
class FleetView:
    """A fleet's predictions, aggregated for page and summary.

    Attributes
    ----------
    start, end : datetime or None
        UTC, half-open; None where nothing was scored.
    window, cell : timedelta
        Length of a window and of a column of the heat map.
    cells : pyarrow.Table
        device, sensor, cell (int64, number of cells since the epoch), n_windows, n_anomalies, severity (the
        largest), for each cell that holds a window.
    series, devices : pyarrow.Table
        Worst first: most anomalous windows, then the largest severity, then by name.
    versions : pyarrow.Table
        sensor, model_version, n_devices, n_windows, start, end.
    anomalies : pyarrow.Table
        One row an anomalous window: window_start, window_end, device, sensor, severity, top_feature.
    """

    start: datetime | None
    end: datetime | None
    window: timedelta
    cell: timedelta
    cells: pa.Table
    series: pa.Table
    devices: pa.Table
    versions: pa.Table
    anomalies: pa.Table


def choose_length(span_seconds: float, at_most: int, at_least_seconds: float) -> int:
    """Choose the shortest round length, in seconds, that divides a span into at most a number of pieces.

    Examples
    --------
    >>> choose_length(14 * 86400, 90, 300) / 3600
    4.0
    """
    fits = (s for s in CELL_SECONDS if s >= at_least_seconds and span_seconds / s <= at_most)
    return next(fits, max(CELL_SECONDS[-1], int(at_least_seconds)))


def select_partitions(
    partitions: Partitions, selection: Selection
) -> Iterator[tuple[str, Callable[[], pq.ParquetFile]]]:
    """Select the partitions of a run: the sensor of each, and the function that opens it."""
    for key, load in partitions.items():
        sensor, _ = split_partition_key(key)
        if selection.has_sensor(sensor):
            yield sensor, load


def select_devices(table: pa.Table, selection: Selection) -> pa.Table:
    """Select the rows of a run's devices."""
    if selection.devices is None:
        return table
    return table.filter(pc.is_in(table["device"], pa.array(sorted(selection.devices), pa.string())))


def view_fleet(predictions: Partitions, selection: Selection = EVERYTHING) -> FleetView:
    """Aggregate the predictions of a fleet.

    Parameters
    ----------
    predictions : mapping of str to function
        Partition name to a function that opens it, with the schema ``PREDICTIONS``.
    selection : Selection
        The devices and sensors to report; the default is all.

    Returns
    -------
    FleetView
    """
    days = [split_partition_key(key)[1] for key in predictions]
    span = ((max(days) - min(days)).days + 1) * _DAY if days else _DAY
    cells, versions, anomalies, lengths = [], [], [], []
    for _, load in select_partitions(predictions, selection):
        rows = select_devices(load().read(columns=_READ), selection)
        if rows.num_rows:
            lengths.append(_shortest_window(rows))
            cells.append(_sum_cells(rows, choose_length(span, MAX_CELLS, lengths[0])))
            versions.append(_sum_versions(rows))
            anomalies.append(rows.filter(rows["is_anomaly"]).drop_columns(["is_anomaly", "model_version"]))
    window = min(lengths, default=300)
    cell = choose_length(span, MAX_CELLS, lengths[0] if lengths else 300)
    return _assemble(window, cell, cells, versions, anomalies)


def _assemble(
    window: float, cell: int, cells: list[pa.Table], versions: list[pa.Table], anomalies: list[pa.Table]
) -> FleetView:
    all_cells = _regroup(_concat(cells, _CELLS), ["device", "sensor", "cell"])
    all_anomalies = _concat(anomalies, _ANOMALIES).sort_by(
        [(k, "ascending") for k in (*_SERIES_KEYS, "window_start")]
    )
    all_versions = _concat(versions, _VERSIONS)
    series = worst_first(_last_anomaly(_regroup(all_cells, _SERIES_KEYS), all_anomalies, _SERIES_KEYS))
    devices = worst_first(
        _worst_sensor(_last_anomaly(_regroup(series, ["device"]), all_anomalies, ["device"]), series)
    )
    start, end = pc.min(all_versions["start"]).as_py(), pc.max(all_versions["end"]).as_py()
    return FleetView(
        start,
        end,
        timedelta(seconds=window),
        timedelta(seconds=cell),
        all_cells,
        series,
        devices,
        _count_versions(all_versions),
        all_anomalies,
    )


_CELLS = pa.schema(
    [
        ("device", pa.string()),
        ("sensor", pa.string()),
        ("cell", pa.int64()),
        ("n_windows", pa.int64()),
        ("n_anomalies", pa.int64()),
        ("severity", pa.float64()),
    ]
)
_VERSIONS = pa.schema(
    [
        ("sensor", pa.string()),
        ("model_version", pa.string()),
        ("device", pa.string()),
        ("n_windows", pa.int64()),
        ("start", TIMESTAMP),
        ("end", TIMESTAMP),
    ]
)
_ANOMALIES = pa.schema(
    [PREDICTIONS.field(name) for name in _READ if name not in ("is_anomaly", "model_version")]
)


def _concat(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    """Concatenate to one table with the columns of the schema."""
    return pa.concat_tables(
        [t.select(schema.names).cast(schema) for t in tables] or [schema.empty_table()]
    ).combine_chunks()


def _shortest_window(rows: pa.Table) -> float:
    """Return the length of the shortest window in seconds."""
    starts, ends = (rows[name].cast(pa.int64()).to_numpy() for name in ("window_start", "window_end"))
    return float(np.min(ends - starts)) / 1e6


def _sum_cells(rows: pa.Table, cell_seconds: int) -> pa.Table:
    cell = rows["window_start"].cast(pa.int64()).to_numpy() // (cell_seconds * 1_000_000)
    keyed = rows.select(["device", "sensor", "severity"]).append_column("cell", pa.array(cell))
    keyed = keyed.append_column("is_anomaly", pc.cast(rows["is_anomaly"], pa.int64()))
    sums = keyed.group_by(["device", "sensor", "cell"], use_threads=False).aggregate(
        [([], "count_all"), ("is_anomaly", "sum"), ("severity", "max")]
    )
    return sums.rename_columns(
        {"count_all": "n_windows", "is_anomaly_sum": "n_anomalies", "severity_max": "severity"}
    )


def _sum_versions(rows: pa.Table) -> pa.Table:
    sums = rows.group_by(["sensor", "model_version", "device"], use_threads=False).aggregate(
        [([], "count_all"), ("window_start", "min"), ("window_end", "max")]
    )
    return sums.rename_columns(
        {"count_all": "n_windows", "window_start_min": "start", "window_end_max": "end"}
    )


def _count_versions(versions: pa.Table) -> pa.Table:
    """sensor, model_version, n_devices, n_windows, start, end."""
    sums = versions.group_by(["sensor", "model_version"], use_threads=False).aggregate(
        [("device", "count_distinct"), ("n_windows", "sum"), ("start", "min"), ("end", "max")]
    )
    names = {
        "device_count_distinct": "n_devices",
        "n_windows_sum": "n_windows",
        "start_min": "start",
        "end_max": "end",
    }
    return sums.rename_columns(names).sort_by(
        [("sensor", "ascending"), ("start", "ascending"), ("model_version", "ascending")]
    )


def _regroup(table: pa.Table, keys: list[str]) -> pa.Table:
    """Add up the totals of the rows with the same keys; rows in the order of the keys."""
    sums = table.group_by(keys, use_threads=False).aggregate(_TOTALS)
    return sums.rename_columns([*keys, *(name for name, _ in _TOTALS)]).sort_by(
        [(k, "ascending") for k in keys]
    )


def _last_anomaly(table: pa.Table, anomalies: pa.Table, keys: list[str]) -> pa.Table:
    last = anomalies.group_by(keys, use_threads=False).aggregate([("window_start", "max")])
    return table.join(
        last.rename_columns([*keys, "last_anomaly"]), keys, join_type="left outer", use_threads=False
    )


def _worst_sensor(devices: pa.Table, series: pa.Table) -> pa.Table:
    """Add the sensor of each device's worst series; ``series`` comes worst first."""
    worst = series.group_by(["device"], use_threads=False).aggregate([("sensor", "first")])
    return devices.join(worst.rename_columns(["device", "worst_sensor"]), "device", use_threads=False)


def worst_first(table: pa.Table) -> pa.Table:
    """Sort: most anomalous windows, then the largest severity, then by device and sensor."""
    names = [name for name in _SERIES_KEYS if name in table.column_names]
    order = [
        ("n_anomalies", "descending"),
        ("severity", "descending"),
        *((name, "ascending") for name in names),
    ]
    return table.sort_by(order).combine_chunks()
