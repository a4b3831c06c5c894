"""Tables too large to hold, all sorted by device, read side by side: a range of devices at a time.

A fleet's windows, models and earlier predictions lie in files of their own, each sorted by device.
Read in step, only the rows of a few thousand devices are in memory, however large the fleet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

Batches = Iterable[pa.RecordBatch | pa.Table]

# Rows that are read from a file of windows, readings or predictions at a time.
BATCH_ROWS = 131_072


def read_batches(
    file: pq.ParquetFile | None,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.Table]:
    """Read a file some whole row groups at a time, at least ``batch_rows`` rows; of no file, nothing.

    Row group by row group: several at once, or ``iter_batches``, take three times the memory.
    """
    if file is None:
        return
    wanted = list(columns) if columns is not None else None
    held: list[pa.Table] = []
    for group in range(file.num_row_groups):
        held.append(file.read_row_group(group, wanted))
        if sum(table.num_rows for table in held) >= batch_rows or group == file.num_row_groups - 1:
            yield pa.concat_tables(held)
            held = []


def read_pieces(file: pq.ParquetFile | None, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """Read about a number of rows at a time; less than a row group where many days would be too much."""
    if file is None or rows >= BATCH_ROWS:
        yield from read_batches(file, columns, rows)
        return
    # One row group at a time: with several, Arrow holds more than one.
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns)):
            yield pa.Table.from_batches([batch])


def device_ranges(
    sources: Sequence[tuple[pa.Schema, Batches]], one_row_a_device: Container[int] = ()
) -> Iterator[list[pa.Table]]:
    """Cut tables that are sorted by device into ranges of devices, the same ranges in all of them.

    Parameters
    ----------
    sources : sequence of (schema, batches)
        Each with a column ``device``, sorted by it (UTF-8 bytes). Any of them may be empty, and
        a device may be in some of them only.
    one_row_a_device : container of int
        The places of those sources that have each device once, such as models: no batch of theirs
        is ever joined to another one, which would copy it.

    Yields
    ------
    list of pyarrow.Table
        One table a source: all its rows of the range, in order, as one chunk. Every row of every
        source is in one range; the ranges are in order of the devices. A range holds about a batch.

    Examples
    --------
    >>> schema = pa.schema([("device", pa.string())])
    >>> batch = lambda *devices: pa.table({"device": list(devices)}, schema=schema)
    >>> left, right = iter([batch("a", "b"), batch("b", "c")]), iter([batch("b", "d")])
    >>> for a, b in device_ranges([(schema, left), (schema, right)]):
    ...     print(a["device"].to_pylist(), b["device"].to_pylist())
    ['a'] []
    ['b', 'b'] ['b']
    ['c'] []
    [] ['d']
    """
    buffers = [
        _Buffer(schema, iter(batches), place in one_row_a_device)
        for place, (schema, batches) in enumerate(sources)
    ]
    while True:
        for buffer in buffers:
            buffer.fill()
        waiting = [buffer for buffer in buffers if not buffer.is_at_end]
        bound = min((buffer.bound for buffer in waiting), default=None)
        parts = [buffer.take_until(bound) for buffer in buffers]
        if any(part.num_rows for part in parts):
            yield parts
        if not waiting:
            return
        for buffer in waiting:
            if buffer.is_stuck_at(bound):
                buffer.read()


# Up to which device, and whether with all of its rows or without it.
_Bound = tuple[str, bool]


class _Buffer:
    """The rows of one source that have been read and not yet given away."""

    def __init__(
        self, schema: pa.Schema, batches: Iterator[pa.RecordBatch | pa.Table], has_one_row_a_device: bool
    ) -> None:
        self._schema = schema
        self._batches = batches
        self._has_one_row_a_device = has_one_row_a_device
        self._parts: list[pa.Table] = []
        self.is_at_end = False

    def fill(self) -> None:
        """Read on, where there is nothing left."""
        if not self._parts:
            self.read()

    def read(self) -> None:
        """Read the next batch that has a row."""
        for batch in self._batches:
            part = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            if part.num_rows:
                self._parts.append(part)
                return
        self.is_at_end = True

    @property
    def bound(self) -> _Bound:
        """How far the rows are complete: the last device of a batch may go on in the next one."""
        return _last_device(self._parts[-1]), self._has_one_row_a_device

    def is_stuck_at(self, bound: _Bound | None) -> bool:
        """Whether there are rows left that only the next batch can complete."""
        return bool(self._parts) and self.bound == bound

    def take_until(self, bound: _Bound | None) -> pa.Table:
        """Give away the rows up to the bound; all, where there is none."""
        taken, kept = (self._parts, []) if bound is None else self._split(*bound)
        self._parts = kept
        if not taken:
            return pa.Table.from_batches([], self._schema)
        return pa.concat_tables(taken).combine_chunks()

    def _split(self, device: str, is_included: bool) -> tuple[list[pa.Table], list[pa.Table]]:
        bisect = bisect_right if is_included else bisect_left
        for place, part in enumerate(self._parts):
            n = bisect(range(part.num_rows), device, key=partial(_device, part))
            if n < part.num_rows:
                before, after = [part.slice(0, n)] if n else [], [part.slice(n)]
                return self._parts[:place] + before, after + self._parts[place + 1 :]
        return self._parts, []


def _last_device(table: pa.Table) -> str:
    return _device(table, table.num_rows - 1)


def _device(table: pa.Table, row: int) -> str:
    device: str = table["device"][row].as_py()
    return device
