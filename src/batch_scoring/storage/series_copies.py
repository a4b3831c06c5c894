"""Uncompressed copies of a table's files, in which the rows of some series are read without the others.

The page of a report shows 200 series, and of each twelve rows from the file of every hour. To decompress the
other 98 % takes 15 ms a file with 120,000 rows, hour after hour; in a copy that is mapped into memory, it
takes one. Copies stand beside the table on a local disk. They are made anew from the files, so whatever is
wrong with one, its file is read instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.storage.data_file import COPIES, DataFile
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import Lookup, strings, to_arrow

# Smaller files are read as fast as a copy of them.
MIN_ROWS = 50_000
# Looking for the rows of some series takes as long in a batch of this size as in one of a tenth of it.
_BATCH_ROWS = 262_144
_TEXTS = ("device", "sensor", "top_feature")


class SeriesCopies:
    """The copies of a table's files.

    Parameters
    ----------
    table : RowTable
        Behind a URL it has none.
    """

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._is_local = isinstance(table.folder, LocalFolder)
        self._last: tuple[str, list[pa.Table]] = ("", [])
        self._wanted: dict[str, tuple[list[str], Lookup]] = {}

    def batches(
        self,
        file: DataFile,
        columns: Sequence[str],
        sensors: Iterable[str],
        devices: Iterable[str],
    ) -> Iterator[pa.Table]:
        """Read a file's rows of these sensors and devices in their order; texts may come as dictionaries."""
        for rows, place in self.places(file, columns, sensors, devices):
            if place.size:
                asked = rows.select(columns)
                yield asked if place.size == rows.num_rows else asked.take(to_arrow(place))

    def places(
        self,
        file: DataFile,
        columns: Sequence[str],
        sensors: Iterable[str],
        devices: Iterable[str],
    ) -> Iterator[tuple[pa.Table, Int]]:
        """Read a file's rows, each batch with the places of those of these sensors and devices.

        The batches of a copy are all of its rows, mapped into memory: what nobody asks for stays on the disk.
        They have ``device`` and ``sensor``, too.
        """
        columns = list(dict.fromkeys([*columns, "sensor", "device"]))
        sensors, devices = list(sensors), list(devices)
        found = self._read(file, columns)
        if found is None:
            encoded = _encoded(columns)
            batches = self._table.batches(file, columns, sensors, devices, encoded=encoded)
            yield from ((rows, np.arange(rows.num_rows)) for rows in batches)
            return
        of_sensors, of_devices = self._lookup("sensor", sensors), self._lookup("device", devices)
        for rows in found:
            yield rows, np.flatnonzero(of_devices.has(rows["device"]) & of_sensors.has(rows["sensor"]))

    def _lookup(self, column: str, texts: list[str]) -> Lookup:
        """Return what finds these texts; file after file is asked for the same ones."""
        if column not in self._wanted or self._wanted[column][0] != texts:
            self._wanted[column] = texts, Lookup(strings(texts))
        return self._wanted[column][1]

    def make(self, file: DataFile, columns: Sequence[str]) -> None:
        """Copy these columns of a file, unless it is small or has them; without space, there is no copy."""
        if not self._is_local or file.rows < MIN_ROWS or self._read(file, columns) is not None:
            return
        self._last = ("", [])
        rows = in_large_batches(self._table.batches(file, columns, encoded=_encoded(columns)))
        with suppress(OSError, InputError, ConflictError), self._table.folder.writing(file.copy) as copy:
            first = next(rows)
            with pa.ipc.new_stream(copy, first.schema) as stream:
                stream.write_table(first)
                for more in rows:
                    stream.write_table(more)

    def forget_others(self, files: Iterable[DataFile]) -> None:
        """Delete the copies of other files."""
        if self._is_local:
            kept = {file.copy for file in files}
            for entry in self._table.folder.below(COPIES).entries():
                if f"{COPIES}/{entry.name}" not in kept:
                    self._table.folder.delete(f"{COPIES}/{entry.name}")

    def _read(self, file: DataFile, columns: Sequence[str]) -> list[pa.Table] | None:
        """Map a copy into memory; None where there is no whole copy with these columns."""
        if not self._is_local or file.rows < MIN_ROWS:
            return None
        if self._last[0] != file.copy:
            try:
                with pa.ipc.open_stream(pa.memory_map(self._table.folder.path(file.copy))) as stream:
                    self._last = (file.copy, [pa.Table.from_batches([batch]) for batch in stream])
            except (OSError, pa.ArrowException):
                return None
        found = self._last[1]
        is_whole = sum(rows.num_rows for rows in found) == file.rows
        return found if is_whole and set(columns) <= set(found[0].column_names) else None


def in_large_batches(tables: Iterable[pa.Table], least: int = _BATCH_ROWS) -> Iterator[pa.Table]:
    """Join tables to some of ``least`` rows or more, but for the last one; each in one chunk."""
    parts: list[pa.Table] = []
    for table in tables:
        parts.append(table)
        if sum(part.num_rows for part in parts) >= least:
            yield pa.concat_tables(parts).combine_chunks()
            parts = []
    if parts:
        yield pa.concat_tables(parts).combine_chunks()


def _encoded(columns: Sequence[str]) -> list[str]:
    return [name for name in columns if name in _TEXTS]
