"""Read Parquet files with a column a sensor in which nothing is to be decided; see ``plain_files``.

A column is in the order of its rows, so only the rows are sorted, not the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import MAX_SEGMENT_BYTES, path_segment
from batch_scoring.core.moments import microseconds
from batch_scoring.ingestion.path_ids import file_ids
from batch_scoring.ingestion.plain_columns import YEAR_US, is_plain_time, may_be_unset, moments, ranks
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import find_shape
from batch_scoring.ingestion.source_formats import parquet_kinds
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile


def wide_rows(
    files: Sequence[SourceFile], settings: IngestSettings, latest: datetime, most: int
) -> tuple[pa.Table, dict[int, int]] | None:
    """Read files with a column a sensor.

    Parameters
    ----------
    files : sequence of SourceFile
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.
    most : int
        Cells that may be held in memory.

    Returns
    -------
    pyarrow.Table and dict of int to int, or None
        Columns of the schema READINGS, with ids as dictionaries, sorted by sensor, device and time; and the
        readings of each file. None where the files are not plain, or differ in their columns.
    """
    found = [_columns(file, settings) for file in files]
    names = found[0][0] if found[0] is not None else None
    if names is None or any(one is None or one[0] != names for one in found):
        return None
    n_rows = [one[1] for one in found if one is not None]
    if not 0 < sum(n_rows) * (len(names) - 2) <= most:
        return None
    parts = [_read(file, names) for file in files]
    rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    device = ranks(rows.column(1))
    if device is None or not _are_clean(rows, settings, latest):
        return None
    time = to_numpy(rows.column(0))
    order = np.lexsort((time, device))
    device, time = device[order], time[order]
    if ((device[1:] == device[:-1]) & (time[1:] == time[:-1])).any() or may_be_unset(device, time):
        return None
    if any(column.null_count for column in rows.columns) and time.max() - time.min() > YEAR_US:
        return None  # a sensor may have gaps of its own, which staging looks at
    sensors = sorted(names[2:], key=str.encode)
    sorted_rows = rows.take(to_arrow(order))
    readings = pa.concat_tables(_readings_of(sorted_rows, name, n, sensors) for n, name in enumerate(sensors))
    counts = {
        n: sum(len(part[name]) - part[name].null_count for name in sensors) for n, part in enumerate(parts)
    }
    return readings.combine_chunks(), counts


def _columns(file: SourceFile, settings: IngestSettings) -> tuple[list[str], int] | None:
    """Return the names of a file's time, device and sensors, and its rows; None where it is not plain."""
    with file.opened() as path, pq.ParquetFile(path) as opened:
        schema, n = opened.schema_arrow, opened.metadata.num_rows
        shape = find_shape(
            schema.names, settings, path, lambda: parquet_kinds(path, settings), file_ids(file.path, settings)
        )
    if not shape.sensors or shape.is_fixed or "timestamp" not in shape.roles:
        return None
    names = [schema.names[at] for at in (*shape.roles.values(), *shape.sensors)]
    time, device, *values = (schema.field(name).type for name in names)
    is_plain = (
        is_plain_time(time, settings)
        and pa.types.is_string(device)
        and all(pa.types.is_float64(kind) for kind in values)
        and list(shape.sensors.values()) == names[2:]
        and all(len(path_segment(name)) <= MAX_SEGMENT_BYTES for name in names[2:])
    )
    return (names, n) if is_plain else None


def _read(file: SourceFile, names: list[str]) -> pa.Table:
    with file.opened() as path, pq.ParquetFile(path, read_dictionary=[names[1]]) as opened:
        rows = opened.read(names)
    return rows.set_column(0, names[0], moments(rows.column(0)))


def _are_clean(rows: pa.Table, settings: IngestSettings, latest: datetime) -> bool:
    """Whether no time or value is to be refused; an empty cell is no value."""
    if rows.column(0).null_count:
        return False
    time = to_numpy(rows.column(0))
    if time.min() < microseconds(settings.min_time) or time.max() > microseconds(latest):
        return False
    for name in rows.column_names[2:]:
        low, high = settings.ranges.get(name, (-np.inf, np.inf))
        values = to_numpy(rows[name].drop_null())
        if not np.isfinite(values).all() or ((values < low) | (values > high)).any():
            return False
    return True


def _readings_of(rows: pa.Table, name: str, code: int, sensors: list[str]) -> pa.Table:
    """Return the readings of a sensor, in the order of the rows."""
    there = rows if not rows[name].null_count else rows.filter(pc.is_valid(rows[name]))
    codes = to_arrow(np.full(there.num_rows, code, np.int32))
    sensor = pa.DictionaryArray.from_arrays(codes, strings(sensors))
    columns = {
        "timestamp": there.column(0),
        "device": there.column(1),
        "sensor": sensor,
        "value": there[name],
    }
    return pa.table({field: columns[field] for field in READINGS.names})
