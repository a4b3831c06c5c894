"""Aggregate the windows of a sensor and day as a stream, one range of devices at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.tables.arrow_arrays import empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges
from batch_scoring.tables.fingerprints import TableDigest
from batch_scoring.tables.schemas import READINGS
from batch_scoring.tables.streams import Stream
from batch_scoring.windows.days import WindowDay
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.settings import AggregateParameters

Devices = frozenset[str] | None

_MEASURED = pa.schema([READINGS.field(name) for name in ("timestamp", "device", "value")])


def day_windows(
    files: Iterable[pq.ParquetFile],
    sensor: str,
    day: WindowDay,
    settings: AggregateParameters,
    devices: Devices = None,
) -> Iterator[pa.Table]:
    """Compute a sensor's windows that start on a day, one range of devices at a time.

    Parameters
    ----------
    files : iterable of pyarrow.parquet.ParquetFile
        Readings of the sensor, each file sorted by device, then time; in order of time.
    sensor : str
    day : WindowDay
    settings : AggregateParameters
    devices : frozenset of str, optional
        Devices to aggregate; None for all.

    Yields
    ------
    pyarrow.Table
        Never empty. Concatenated, they are sorted by device, then window_start, and do not depend
        on the ranges of devices.
    """
    window_us = settings.window // MICROSECOND

    def windows_of(readings: pa.Table) -> pa.Table:
        windows = aggregate_readings(readings, window_us, settings.features, settings.min_readings, sensor)
        return _within(windows, "window_start", day.first_us, day.end_us)

    ranges = device_ranges([(_MEASURED, _read_readings(file, day, devices)) for file in files])
    readings = prefetched(pa.concat_tables(parts) for parts in ranges)
    tables = computed(windows_of, readings, workers=len(os.sched_getaffinity(0)))
    return (table for table in tables if table.num_rows)


def read_windows(file: pq.ParquetFile, devices: frozenset[str]) -> pa.Table:
    """Read the stored windows of a few devices."""
    groups = _row_groups(file, "device", sorted(devices))
    parts = (_of_devices(batch, devices) for batch in _read_batches(file, groups))
    return pa.concat_tables([empty_table(file.schema_arrow), *parts])


def merge_windows(stored: pq.ParquetFile, mine: pa.Table, devices: frozenset[str]) -> Iterator[pa.Table]:
    """Replace the stored windows of some devices, one range of devices at a time.

    Parameters
    ----------
    stored : pyarrow.parquet.ParquetFile
    mine : pyarrow.Table
        All windows of ``devices``, with the stored file's columns.
    devices : frozenset of str

    Yields
    ------
    pyarrow.Table
        Schema of ``mine``; concatenated, they are sorted by device, then window_start.
    """
    others = (
        _of_devices(batch, devices, others=True).cast(mine.schema)
        for batch in _read_batches(stored, range(stored.num_row_groups))
    )
    for parts in device_ranges([(mine.schema, others), (mine.schema, [mine])]):
        yield pa.concat_tables(parts).sort_by([("device", "ascending"), ("window_start", "ascending")])


def windows_stream(schema: pa.Schema, tables: Iterable[pa.Table], inputs: str) -> Stream:
    """Build the stream of windows to save, with digests of inputs and rows in the footer."""
    footer = {"inputs": inputs}

    def digested() -> Iterator[pa.Table]:
        digest = TableDigest()
        for table in tables:
            digest.update(table)
            yield table
        footer["digest"] = digest.hexdigest()

    return Stream(schema, digested(), footer)


def starting(tables: Iterator[pa.Table]) -> Iterator[pa.Table] | None:
    """Return the tables with the first one computed; None when there are none."""
    first = next(tables, None)
    return None if first is None else chain([first], tables)


def all_devices(files: Iterable[pq.ParquetFile]) -> set[str]:
    """Collect the devices in files of readings."""
    found: set[str] = set()
    for file in files:
        for batch in file.iter_batches(BATCH_ROWS, columns=["device"]):
            found.update(pc.unique(batch["device"]).to_pylist())
    return found


def _read_readings(file: pq.ParquetFile, day: WindowDay, devices: Devices) -> Iterator[pa.Table]:
    groups: Sequence[int] = range(file.num_row_groups)
    if devices is not None:
        groups = _row_groups(file, "device", sorted(devices))
    for batch in _read_batches(file, groups, _MEASURED.names):
        rows = batch if devices is None else _of_devices(batch, devices)
        yield _within(rows, "timestamp", day.read_from_us, day.end_us)


def _read_batches(
    file: pq.ParquetFile, groups: Sequence[int], columns: list[str] | None = None
) -> Iterator[pa.Table]:
    for batch in file.iter_batches(BATCH_ROWS, row_groups=list(groups), columns=columns):
        yield pa.Table.from_batches([batch])


def _row_groups(file: pq.ParquetFile, column: str, wanted: Sequence[str]) -> list[int]:
    """Select row groups that may hold a wanted text, by the bounds in the file's footer."""
    place = file.schema_arrow.get_field_index(column)
    bounds = [file.metadata.row_group(n).column(place).statistics for n in range(file.num_row_groups)]
    return [
        n
        for n, known in enumerate(bounds)
        if known is None or not known.has_min_max or any(known.min <= text <= known.max for text in wanted)
    ]


def _of_devices(rows: pa.Table, devices: frozenset[str], others: bool = False) -> pa.Table:
    is_one = pc.is_in(rows["device"], value_set=strings(sorted(devices)))
    return rows.filter(pc.invert(is_one) if others else is_one)


def _within(rows: pa.Table, column: str, first_us: int, end_us: int) -> pa.Table:
    time = to_numpy(rows[column])
    inside = (time >= first_us) & (time < end_us)
    return rows if np.all(inside) else rows.filter(to_arrow(inside))
