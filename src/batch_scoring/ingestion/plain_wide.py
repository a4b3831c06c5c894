"""Read Parquet files with a column a sensor in which nothing is to be decided; see ``plain_files``.

A column is in the order of its rows, so only the rows are sorted, not the cells. Columns are read some at a
time, of some row groups at a time: memory does not grow with the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US
from batch_scoring.core.progress import watch_progress
from batch_scoring.ingestion.plain_rows import PlainRows, holds_one_of
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.wide_look import Chunk, Look
from batch_scoring.ingestion.wide_pieces import Layout, numbers, open_wide, read_cells, read_keys, together
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import strings, to_arrow
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.source_files import SourceFile

_TIME, _DEVICE = "timestamp", "device"
_KEY = (_DEVICE, _TIME)


@dataclass(frozen=True)
class WideRows(PlainRows):
    """The rows of plain files with a column a sensor; their cells stay in the files.

    Attributes
    ----------
    chunks : list of Chunk
    layout : Layout
    devices : set of str
    most : int
        Cells that may be held in memory.
    """

    chunks: list[Chunk]
    layout: Layout
    devices: set[str]
    most: int

    def parts(self) -> Iterator[Iterator[pa.Table]]:
        """Yield the readings, a part a chunk; columns of the schema READINGS, with ids as dictionaries.

        Raises
        ------
        InputError
            When a file changes meanwhile.
        """
        done = 0

        def counted(rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
            nonlocal done
            for table in rows:
                yield table
                done += table.num_rows

        with watch_progress("ingest: storing", self.n_readings, "readings", lambda: done):
            for chunk in self.chunks:
                yield counted(self._sorted(chunk))
        for file in {piece.file for chunk in self.chunks for piece in chunk.pieces}:
            if file.has_changed():
                raise InputError(
                    f"{file.path}: changed while it was being read; run again when nothing writes to it"
                )

    def may_be_in(self, table: RowTable) -> bool:
        """Whether a table may hold a reading of one of these sensors, and of the device and time of a row."""
        sensors = self.staged_ids("sensor")
        for chunk in self.chunks:
            files = table.files(chunk.first, chunk.last + 1, sensors)
            if not files:
                continue
            keys = read_keys(chunk.pieces, self.layout)
            mine = pa.table(
                {
                    _DEVICE: strings(keys.names).take(to_arrow(keys.device)),
                    _TIME: to_arrow(keys.time).cast(READINGS.field(_TIME).type),
                }
            )
            if holds_one_of(table, files, row_fingerprints(mine, _KEY), keys.time, _KEY, sensors):
                return True
        return False

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the rows."""
        return self.devices if kind == "device" else set(self.layout.sensors)

    def _sorted(self, chunk: Chunk) -> Iterator[pa.Table]:
        """Yield the readings of a chunk by sensor, and of each by day or month, device and time."""
        keys = read_keys(chunk.pieces, self.layout)
        period = _months(keys.time) if self.by_month else keys.time // DAY_US
        order = np.lexsort((keys.time, keys.device, period))
        starts = np.flatnonzero(np.diff(period[order], prepend=-1)).tolist()
        bounds = list(zip(starts, [*starts[1:], order.size], strict=True))
        time = to_arrow(keys.time[order]).cast(READINGS.field(_TIME).type)
        device = pa.DictionaryArray.from_arrays(
            to_arrow(keys.device[order].astype(np.int32)), strings(keys.names)
        )
        rows = pa.table({_TIME: time, _DEVICE: device})
        sensors = sorted(self.layout.sensors, key=str.encode)
        at_once = max(1, self.most // order.size)
        for place in range(0, len(sensors), at_once):
            some = sensors[place : place + at_once]
            cells = read_cells(chunk.pieces, [self.layout.sensors[one] for one in some])
            for sensor in some:
                values = numbers(cells[self.layout.sensors[sensor]])[order]
                is_there = ~np.isnan(values)
                for start, stop in bounds:
                    part = slice(start, stop)
                    yield _readings(rows.slice(start, stop - start), sensor, values[part], is_there[part])


def wide_rows(
    files: Sequence[SourceFile], settings: IngestSettings, latest: datetime, most: int
) -> WideRows | None:
    """Look through files with a column a sensor.

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
    WideRows or None
        None where a file is not plain, files differ in their columns, or rows that are not read together may
        be of one device and time.
    """
    if most <= 0:
        return None
    layouts: list[Layout] = []
    pieces = []
    for number, file in enumerate(files):
        found = open_wide(number, file, settings)
        if found is None or (layouts and found[0] != layouts[0]):
            return None
        layouts.append(found[0])
        pieces.append(found[1])
    layout = layouts[0]
    look = Look(layout, settings, latest, most)
    chunks = []
    for some in together(pieces):
        chunk = look.chunk(some)
        if chunk is None:
            return None
        chunks.append(chunk)
    if not look.days or not look.is_settled():
        return None
    sensors = {name: column for name, column in layout.sensors.items() if name in look.sensors}
    return WideRows(
        n_rows=look.n_rows,
        n_missing=look.n_missing,
        first=look.first,
        last=look.last,
        by_month=has_sparse_days(len(look.days), sum(look.n_rows.values()) - sum(look.n_missing.values())),
        chunks=chunks,
        layout=Layout(layout.time, layout.device, sensors),
        devices=set(look.devices),
        most=most,
    )


def _months(time: Int) -> Int:
    months: Int = time.astype("M8[us]").astype("M8[M]").astype(np.int64)
    return months


def _readings(rows: pa.Table, sensor: str, values: Float, is_there: Bool) -> pa.Table:
    """Return the readings of a sensor, in the order of the rows."""
    there, kept = (rows, values) if is_there.all() else (rows.filter(to_arrow(is_there)), values[is_there])
    name = pa.DictionaryArray.from_arrays(to_arrow(np.zeros(kept.size, np.int32)), strings([sensor]))
    columns = {_TIME: there[_TIME], _DEVICE: there[_DEVICE], "sensor": name, "value": to_arrow(kept)}
    return pa.table({field: columns[field] for field in READINGS.names})
