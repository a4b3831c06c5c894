"""Write rows as the Parquet files of a table: one file a day, with the statistics that its log keeps."""

from __future__ import annotations

import sys
import uuid
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.moments import DAY_US, EPOCH, MICROSECOND
from batch_scoring.storage.folder import Folder
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy

# How the names of files begin that are written here, each in the order of sensor, device and time.
OWN = "rows-"
# Numbers of sensors hardly shrink: Snappy takes a seventh more space, and half of the time to write and read.
# What compaction joins is read less often than it is kept.
QUICK, DENSE = "snappy", "zstd"
# A page reads one device of thousands: of these row groups in an eighth of the time of 131,072 rows. Whole
# files take up to a tenth longer to write and to read.
ROW_GROUP_ROWS = 16_384
# A row group of two sensors holds devices from the last to the first: it would be read for every device. So
# it ends where a sensor ends, unless it would have fewer rows than this part of the others.
_LEAST_PART = 4
# Rows that wait for their row group, over all days of a write.
_MAX_HELD_ROWS = 2_097_152
_MANY_DAYS, _FEW_ROWS = 62, 20_000
# Longer texts are left out of the statistics.
_MAX_TEXT = 256


def has_sparse_days(days: int, rows: int) -> bool:
    """Whether rows of this many days belong into a file a month: a day holds few, and there are many days."""
    return days > _MANY_DAYS and has_few_rows(days, rows)


def has_few_rows(days: int, rows: int) -> bool:
    """Whether one of this many days holds few rows."""
    return rows < days * _FEW_ROWS


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file that no commit names yet.

    Attributes
    ----------
    name : str
        Relative to the table's folder.
    size : int
        Bytes.
    day : date or None
        UTC day of its rows' times; None in a table without days.
    stats : dict
        Statistics as the Delta protocol writes them.
    """

    name: str
    size: int
    day: date | None
    stats: dict[str, Any]


class RowFiles:
    """The files that one change adds to a table.

    Parameters
    ----------
    folder : Folder
    schema : pyarrow.Schema
    time : str, optional
        The column whose day (UTC) decides the file.
    compression : str
        :data:`QUICK` for rows of an hour, :data:`DENSE` for rows that are kept.

    Attributes
    ----------
    written : list of WrittenFile
    """

    def __init__(self, folder: Folder, schema: pa.Schema, time: str | None, compression: str = QUICK) -> None:
        self._compression = compression
        self._folder = folder
        self._schema = schema
        self._time = time
        self._names: list[str] = []
        self.written: list[WrittenFile] = []

    def write(self, tables: Iterable[pa.Table | pa.RecordBatch], by_month: bool = False) -> None:
        """Write rows in their order, each to the file of its day, or of its month where a day holds few rows.

        No file is without rows.
        """
        with ExitStack() as stack:
            days: dict[int, _DayFile] = {}
            for rows in tables:
                for day, part in self._by_day(rows, by_month):
                    if day not in days:
                        days[day] = stack.enter_context(self._open(day))
                        self._names.append(days[day].name)
                    days[day].add(part)
                while sum(one.held for one in days.values()) > _MAX_HELD_ROWS:
                    max(days.values(), key=lambda one: one.held).flush()
            for file in days.values():
                file.finish()
        self.written += [file.written for file in days.values()]

    def discard(self) -> None:
        """Delete the files, also those of a write that did not end, when no commit names them."""
        for name in self._names:
            self._folder.delete(name)

    def _by_day(self, rows: pa.Table | pa.RecordBatch, by_month: bool) -> Iterator[tuple[int, pa.Table]]:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        if table.num_rows == 0:
            return
        if self._time is None:
            yield 0, table
            return
        day = np.floor_divide(to_numpy(table[self._time]), DAY_US)
        if by_month:
            day = day.astype("M8[D]").astype("M8[M]").astype("M8[D]").astype(np.int64)
        if day[0] == day[-1] and (day == day[0]).all():
            yield int(day[0]), table
            return
        for one in np.unique(day).tolist():
            yield one, table.filter(to_arrow(day == one))

    def _open(self, day: int) -> _DayFile:
        when = None if self._time is None else (EPOCH + day * DAY_US * MICROSECOND).date()
        return _DayFile(self._folder, self._schema, when, self._compression)


class _DayFile:
    """A file that is being written; it appears whole or not at all."""

    def __init__(self, folder: Folder, schema: pa.Schema, day: date | None, compression: str) -> None:
        self._compression = compression
        below = "" if day is None else f"date={day.isoformat()}/"
        self.name = f"{below}{OWN}{uuid.uuid4()}.parquet"
        self.held = 0
        self._day = day
        self._schema = schema
        self._parts: list[pa.Table] = []
        self._writing = folder.writing(self.name)

    def __enter__(self) -> _DayFile:
        self._file: IO[bytes] = self._writing.__enter__()
        # Numbers hardly repeat: dictionary encoding takes three times as long and a fifth more space.
        texts = [field.name for field in self._schema if pa.types.is_string(field.type)]
        self._out = pq.ParquetWriter(
            self._file.name,
            self._schema,
            compression=self._compression,
            use_dictionary=texts,
            write_page_checksum=True,
        )
        return self

    def __exit__(self, *error: Any) -> Any:
        try:
            self._out.close()
        except BaseException:
            self._writing.__exit__(*sys.exc_info())
            raise
        return self._writing.__exit__(*error)

    def add(self, rows: pa.Table) -> None:
        """Take rows; whole row groups are written at once."""
        self._parts.append(rows.cast(self._schema))
        self.held += rows.num_rows
        if self.held >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def flush(self) -> None:
        """Write what is held."""
        if self.held:
            self._write(1)

    def finish(self) -> None:
        """Write the last rows and the footer."""
        self.flush()
        self._out.close()
        self._file.seek(0, 2)
        self.written = WrittenFile(self.name, self._file.tell(), self._day, _stats(self._file.name))

    def _write(self, at_least: int) -> None:
        """Write row groups while enough rows for one are held."""
        table = pa.concat_tables(self._parts)
        while table.num_rows >= at_least:
            part = table.slice(0, _end_of_group(table)).combine_chunks()
            self._out.write_table(part, row_group_size=part.num_rows)
            table = table.slice(part.num_rows)
        self._parts = [table] if table.num_rows else []
        self.held = table.num_rows


def _end_of_group(table: pa.Table) -> int:
    """Choose how many rows of a table to write as its next row group."""
    n: int = min(ROW_GROUP_ROWS, table.num_rows)
    if "sensor" not in table.column_names:
        return n
    sensors = table["sensor"]
    last = sensors[n - 1].as_py()
    if sensors[0].as_py() == last:
        return n
    change: int = bisect_left(range(n), True, key=lambda row: sensors[row].as_py() == last)
    return change if change >= ROW_GROUP_ROWS // _LEAST_PART else n


def _stats(path: str) -> dict[str, Any]:
    """Sum up a file's footer: rows, and the bounds of texts and times."""
    with pq.ParquetFile(path) as file:
        footer, schema = file.metadata, file.schema_arrow
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    low: dict[str, str] = {}
    high: dict[str, str] = {}
    for place in range(footer.num_columns):
        name = footer.schema.column(place).path
        if name not in schema.names:
            continue
        kind = schema.field(name).type
        found = [group.column(place).statistics for group in groups]
        if not all(one is not None and one.has_min_max for one in found):
            continue
        if pa.types.is_timestamp(kind):
            low[name] = _moment(min(one.min_raw for one in found))
            high[name] = _moment(max(one.max_raw for one in found))
        elif pa.types.is_string(kind) and all(len(one.max) <= _MAX_TEXT for one in found):
            low[name], high[name] = min(one.min for one in found), max(one.max for one in found)
    return {"numRecords": footer.num_rows, "minValues": low, "maxValues": high, "nullCount": {}}


def _moment(us: int) -> str:
    moment = (EPOCH + us * MICROSECOND).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='microseconds')}Z"
