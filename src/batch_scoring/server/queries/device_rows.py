"""Read the rows of one device from several tables, file by file in a few threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow, to_numpy

# Each table has a file for every hour of the newest day. While one is waited for or decompressed, another one
# can be read. All requests share the threads: that bounds the memory.
READERS = 4
_threads = ThreadPoolExecutor(READERS, "device")


@dataclass(frozen=True)
class Wanted:
    """Rows to read of a table.

    Attributes
    ----------
    table : RowTable
    columns : sequence of str, or None
        Those of them that the table has; None for all.
    sensors : sequence of str
    start, end : int
        Times in ``[start, end)``, microseconds since the epoch.
    unwritten : pyarrow.Schema
        Columns of a table that has not been written.
    """

    table: RowTable
    columns: Sequence[str] | None
    sensors: Sequence[str]
    start: int
    end: int
    unwritten: pa.Schema

    @property
    def schema(self) -> pa.Schema:
        """Of the rows that are read."""
        known = self.table.schema if self.table.exists else self.unwritten
        return (
            known if self.columns is None else pa.schema([one for one in known if one.name in self.columns])
        )

    def files(self, device: str) -> list[DataFile]:
        """List the files that may hold rows of a device."""
        if not self.table.exists or not self.sensors:
            return []
        return self.table.files(self.start, self.end, self.sensors, [device])

    def read(self, file: DataFile, device: str) -> pa.Table:
        """Read the rows of a device in a file.

        Texts come as dictionaries, and become text only in the few rows that are left: a row group holds the
        rows of many devices.
        """
        schema, time = self.schema, str(self.table.time)
        texts = [one.name for one in self.table.schema if pa.types.is_string(one.type)]
        found = [empty_table(schema)]
        names = list(dict.fromkeys([*schema.names, time]))
        for rows in self.table.batches(file, names, self.sensors, [device], encoded=texts):
            at = to_numpy(rows[time])
            inside = rows.filter(to_arrow((at >= self.start) & (at < self.end)))
            found.append(inside.select(schema.names).cast(schema))
        return pa.concat_tables(found)


def read_device(device: str, *wanted: Wanted) -> list[pa.Table]:
    """Read the rows of a device; one table for each that is wanted, by sensor and time within each file."""
    places = [(place, file) for place, one in enumerate(wanted) for file in one.files(device)]

    def read(place_file: tuple[int, DataFile]) -> pa.Table:
        place, file = place_file
        return wanted[place].read(file, device)

    found = [[empty_table(one.schema)] for one in wanted]
    for (place, _), rows in zip(places, _threads.map(read, places), strict=True):
        found[place].append(rows)
    return [pa.concat_tables(parts).combine_chunks() for parts in found]
