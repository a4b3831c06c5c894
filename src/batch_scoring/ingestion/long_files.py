"""Parquet files with a measurement a row in which nothing is to be decided: their columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.moments import microseconds
from batch_scoring.ingestion.columns import match_columns
from batch_scoring.ingestion.plain_columns import (
    as_dictionary,
    is_plain_time,
    is_text,
    moments,
    ranks,
)
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.sql import TOO_LARGE
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile

# Writers give up a dictionary of texts that has become larger.
_DICTIONARY_BYTES = 1_048_576


@dataclass(frozen=True)
class LongFile:
    """A file with a measurement a row.

    Attributes
    ----------
    file : SourceFile
    names : list of str
        Of its four columns, in the order of ``ROLES``.
    groups : list of int
        The rows of its row groups.
    has_many_devices : bool
        Whether devices are texts in it, too many for a dictionary, which would be slow to make.
    """

    file: SourceFile
    names: list[str]
    groups: list[int]
    has_many_devices: bool = False

    @property
    def n_rows(self) -> int:
        """The number of its rows."""
        return sum(self.groups)

    def times(self, group: int) -> pa.ChunkedArray:
        """Read the times of a row group."""
        with self.file.opened() as path, pq.ParquetFile(path) as opened:
            return moments(opened.read_row_group(group, self.names[:1]).column(0))

    def read(self, groups: Sequence[int] | None = None, devices_as_texts: bool = False) -> pa.Table:
        """Read some row groups, or all; columns of the schema READINGS, with ids as dictionaries."""
        texts = self.names[2:3] if devices_as_texts else self.names[1:3]
        with self.file.opened() as path, pq.ParquetFile(path, read_dictionary=texts) as opened:
            some = range(len(self.groups)) if groups is None else groups
            rows = opened.read_row_groups(list(some), self.names).rename_columns(list(ROLES))
        rows = rows.set_column(0, "timestamp", moments(rows["timestamp"]))
        for place, name in enumerate(ROLES[1:3], 1):
            is_text = devices_as_texts and name == "device"
            ids = rows[name].cast(pa.string()) if is_text else as_dictionary(rows[name])
            rows = rows.set_column(place, name, ids)
        return rows.select(READINGS.names)


def open_long(file: SourceFile, settings: IngestSettings) -> LongFile | None:
    """Look at a file's footer; None where a column is missing or of another type."""
    with file.opened() as path, pq.ParquetFile(path) as opened:
        schema, footer = opened.schema_arrow, opened.metadata
        groups = [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]
        places = match_columns(schema.names, settings)
    if len(places) < len(ROLES) or not _is_by_columns(settings):
        return None
    time, *texts, value = (schema.field(places[role]).type for role in ROLES)
    if not (all(map(is_text, texts)) and pa.types.is_float64(value) and is_plain_time(time, settings)):
        return None
    names = [schema.names[places[role]] for role in ROLES]
    return LongFile(file, names, groups, _has_many_devices(footer, names[1], texts[0]))


def _has_many_devices(footer: pq.FileMetaData, name: str, kind: pa.DataType) -> bool:
    """Whether the dictionary of a row group has become too large for its writer: an index takes 4 bytes."""
    if pa.types.is_dictionary(kind):
        return False
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    place = footer.schema.names.index(name)
    sizes = [group.column(place).total_uncompressed_size - 4 * group.num_rows for group in groups]
    return bool(sum(sizes) > len(sizes) * _DICTIONARY_BYTES)


def _is_by_columns(settings: IngestSettings) -> bool:
    """Whether the names of the columns alone say what they are."""
    return settings.shape != "wide" and settings.path is settings.device is settings.sensor is None


def clean_keys(rows: pa.Table, settings: IngestSettings, latest: datetime) -> tuple[Int, Int] | None:
    """Return the rank of each row's sensor and device, shape (n,), and its time in microseconds.

    Parameters
    ----------
    rows : pyarrow.Table
        Columns of the schema READINGS in one chunk, with ids as dictionaries.
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.

    Returns
    -------
    (array, array) or None
        None where an id, a time or a value may be refused.
    """
    sensor, device = ranks(rows["sensor"]), ranks(rows["device"])
    if sensor is None or device is None or not are_clean(rows, settings, latest):
        return None
    return sensor * (device.max() + 1) + device, to_numpy(rows["timestamp"])


def are_clean(rows: pa.Table, settings: IngestSettings, latest: datetime) -> bool:
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
