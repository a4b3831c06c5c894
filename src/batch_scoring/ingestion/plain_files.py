"""Read Parquet files in which nothing is to be decided: every row is a reading, typed and stated once.

That is what a fleet sends in most hours. Anything else, such as text to parse, a row to refuse or a reading
that is stated twice, is for :mod:`~batch_scoring.ingestion.staging`, which takes three times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.ingestion.columns import match_columns
from batch_scoring.ingestion.plain_columns import (
    as_dictionary,
    is_plain_time,
    is_text,
    may_be_unset,
    moments,
    ranks,
)
from batch_scoring.ingestion.plain_rows import PlainRows
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.sql import TOO_LARGE
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile
    from batch_scoring.ingestion.sources import PendingSource

# More rows are not held in memory: they take some 130 bytes each.
MAX_ROWS = 6_000_000
_KEY = ("sensor", "device", "timestamp")


@dataclass(frozen=True)
class LongRows(PlainRows):
    """The rows of plain files with a measurement a row.

    Attributes
    ----------
    rows : pyarrow.Table
        Columns of the schema READINGS, with ids as dictionaries; sorted by sensor, device and time.
    """

    rows: pa.Table

    def parts(self) -> Iterator[Iterator[pa.Table]]:
        """Yield the rows in order, as one part; schema READINGS."""
        yield self._batches()

    def _batches(self) -> Iterator[pa.Table]:
        for start in range(0, self.rows.num_rows, ROW_GROUP_ROWS):
            yield self.rows.slice(start, ROW_GROUP_ROWS).cast(READINGS)

    def may_be_in(self, table: RowTable) -> bool:
        """Whether a table may hold a reading of the same series and time as one of these rows."""
        files = table.files(self.first, self.last + 1, self.staged_ids("sensor"))
        if not files:
            return False
        mine = np.sort(np.concatenate([row_fingerprints(rows, _KEY) for rows in self._batches()]))
        return any(
            np.isin(row_fingerprints(rows, _KEY), mine).any()
            for file in files
            for rows in table.batches(file, _KEY)
        )

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the rows."""
        return set(pc.unique(self.rows[kind]).dictionary.to_pylist())


def read_plain(
    sources: Sequence[PendingSource], settings: IngestSettings, latest: datetime
) -> PlainRows | None:
    """Read source files if all of them are plain.

    Parameters
    ----------
    sources : sequence of PendingSource
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.

    Returns
    -------
    PlainRows or None
        None where a file is not plain, or there are more rows than memory is meant for.
    """
    if any(one.selections != [Selection()] or one.file.format != "parquet" for one in sources):
        return None
    if settings.convert or settings.missing_values or settings.quality.column is not None:
        return None
    files = [source.file for source in sources]
    try:
        found: PlainRows | None = _long_rows(files, settings, latest)
        if found is None:
            # An hour of long files does not wait for what reads others.
            from batch_scoring.ingestion.plain_wide import wide_rows

            found = wide_rows(files, settings, latest, MAX_ROWS)
    except (pa.ArrowException, OSError, InputError, ValueError):
        return None  # the other way says why
    if found is None or any(file.has_changed() for file in files):
        return None
    return found


def _long_rows(files: Sequence[SourceFile], settings: IngestSettings, latest: datetime) -> LongRows | None:
    """Read files with a measurement a row."""
    columns = [_columns(file, settings) for file in files]
    if None in columns or sum(n for _, n in columns) > MAX_ROWS:  # type: ignore[misc]
        return None
    parts = [_read(file, names) for file, (names, _) in zip(files, columns, strict=True)]  # type: ignore[misc]
    rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    sensor, device = ranks(rows["sensor"]), ranks(rows["device"])
    if sensor is None or device is None or not _are_clean(rows, settings, latest):
        return None
    series, time = sensor * (device.max() + 1) + device, to_numpy(rows["timestamp"])
    order = np.lexsort((time, series))
    series, time = series[order], time[order]
    if ((series[1:] == series[:-1]) & (time[1:] == time[:-1])).any() or may_be_unset(series, time):
        return None
    day = time // DAY_US
    n_days = int(np.count_nonzero(np.bincount(day - day.min())))
    return LongRows(
        n_rows={n: part.num_rows for n, part in enumerate(parts)},
        n_missing={},
        first=int(time.min()),
        last=int(time.max()),
        by_month=has_sparse_days(n_days, day.size),
        rows=rows.take(to_arrow(order)),
    )


def _columns(file: SourceFile, settings: IngestSettings) -> tuple[list[str], int] | None:
    """Return the names of a file's four columns and its rows; None where one is of another type."""
    with file.opened() as path, pq.ParquetFile(path) as opened:
        schema, n = opened.schema_arrow, opened.metadata.num_rows
        places = match_columns(schema.names, settings)
    if len(places) < len(ROLES) or not _is_by_columns(settings):
        return None
    time, *texts, value = (schema.field(places[role]).type for role in ROLES)
    if not (all(map(is_text, texts)) and pa.types.is_float64(value) and is_plain_time(time, settings)):
        return None
    return [schema.names[places[role]] for role in ROLES], n


def _is_by_columns(settings: IngestSettings) -> bool:
    """Whether the names of the columns alone say what they are."""
    return settings.shape != "wide" and settings.path is settings.device is settings.sensor is None


def _read(file: SourceFile, names: list[str]) -> pa.Table:
    """Read the columns of the four roles; ids are dictionaries."""
    with file.opened() as path, pq.ParquetFile(path, read_dictionary=names[1:3]) as opened:
        rows = opened.read(names).rename_columns(list(ROLES))
    rows = rows.set_column(0, "timestamp", moments(rows["timestamp"]))
    for place, name in enumerate(ROLES[1:3], 1):
        rows = rows.set_column(place, name, as_dictionary(rows[name]))
    return rows.select(READINGS.names)


def _are_clean(rows: pa.Table, settings: IngestSettings, latest: datetime) -> bool:
    """Whether no time or value is to be refused."""
    if rows["timestamp"].null_count or rows["value"].null_count:
        return False
    time, value = to_numpy(rows["timestamp"]), to_numpy(rows["value"])
    if time.min() < microseconds(settings.min_time) or time.max() > microseconds(latest):
        return False
    if not (np.abs(value) < TOO_LARGE).all():
        return False
    sensors = rows["sensor"].chunk(0)
    names, codes = sensors.dictionary.to_pylist(), to_numpy(sensors.indices)
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for place, name in enumerate(names):
        low[place], high[place] = settings.ranges.get(name, (-np.inf, np.inf))
    return not ((value < low[codes]) | (value > high[codes])).any()
