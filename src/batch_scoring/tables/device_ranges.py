"""Read large tables sorted by device in parallel, one range of devices at a time.

Windows, models and earlier predictions are in files of their own, each sorted by device.
Read in step, only the rows of a few thousand devices are in memory, however large the fleet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Batches = Iterable[pa.RecordBatch | pa.Table]

# Rows read at a time from a file of windows, readings or predictions.
BATCH_ROWS = 131_072
# Rows of narrow columns that files read in step hold at once, and of each file at least.
_HELD_ROWS, _LEAST_ROWS = 1_048_576, 4_096


def rows_of_each(n_files: int) -> int:
    """Return how many rows to read at once of each of some files, such as a month of hourly ones."""
    return max(_HELD_ROWS // n_files, _LEAST_ROWS)


def read_batches(
    file: pq.ParquetFile | None,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    groups: Sequence[int] | None = None,
) -> Iterator[pa.Table]:
    """Read a file in batches of whole row groups, at least ``batch_rows`` rows; None yields nothing.

    Row group by row group: several at once, or ``iter_batches``, take three times the memory.
    """
    if file is None:
        return
    wanted = list(columns) if columns is not None else None
    held: list[pa.Table] = []
    for group in range(file.num_row_groups) if groups is None else groups:
        held.append(file.read_row_group(group, wanted))
        if sum(table.num_rows for table in held) >= batch_rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def group_bounds(file: pq.ParquetFile, column: str) -> list[tuple[str, str] | None]:
    """Return the smallest and the largest text of each row group by the file's footer; None where unknown."""
    place = file.schema_arrow.get_field_index(column)
    known = [file.metadata.row_group(n).column(place).statistics for n in range(file.num_row_groups)]
    return [(one.min, one.max) if one is not None and one.has_min_max else None for one in known]


def row_groups(file: pq.ParquetFile, column: str, wanted: Sequence[str], groups: Sequence[int]) -> list[int]:
    """Select those of some row groups that may hold a wanted text, by the bounds in the file's footer."""
    bounds = group_bounds(file, column)
    return [
        n for n in groups if (one := bounds[n]) is None or any(one[0] <= text <= one[1] for text in wanted)
    ]


def read_pieces(
    file: pq.ParquetFile, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.Table]:
    """Read batches of about ``rows`` rows, less than a row group where many files are open."""
    if rows >= BATCH_ROWS:
        yield from read_batches(file, columns, rows, groups)
        return
    # One row group at a time: with several, Arrow holds more than one.
    for group in range(file.num_row_groups) if groups is None else groups:
        for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns)):
            yield pa.Table.from_batches([batch])


def device_ranges(
    sources: Sequence[tuple[pa.Schema, Batches]],
    one_row_a_device: Container[int] = (),
    key: tuple[str, ...] = ("device",),
) -> Iterator[list[pa.Table]]:
    """Split tables sorted by device into the same ranges of devices.

    Parameters
    ----------
    sources : sequence of (schema, batches)
        Each sorted by the columns of ``key`` (UTF-8 bytes). Any may be empty, and a device may be
        missing in some.
    one_row_a_device : container of int
        Positions of sources with one row a device, such as models: their batches are never
        concatenated, which would copy them.
    key : tuple of str
        Columns that name a device; with ``("sensor", "device")`` the same device of another sensor is another
        one.

    Yields
    ------
    list of pyarrow.Table
        One table a source: its rows of the range, in order, as one chunk. Each row is in exactly one
        range; ranges are in order of the devices and hold about one batch.

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
        _Buffer(schema, iter(batches), place in one_row_a_device, key)
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


def by_sensor(tables: Iterable[pa.Table]) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Split tables sorted by sensor; read each sensor's tables before the next sensor is asked for."""
    for sensor, pairs in groupby(_sensor_slices(tables), key=itemgetter(0)):
        yield sensor, (table for _, table in pairs)


def _sensor_slices(tables: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    for table in tables:
        if table.num_rows:
            runs = pc.run_end_encode(table["sensor"].combine_chunks())
            start = 0
            for sensor, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                yield sensor, table.slice(start, end - start)
                start = end


# Last device, and whether its rows are included.
_Bound = tuple[tuple[str, ...], bool]


class _Buffer:
    """Rows of one source that have been read and not yet yielded."""

    def __init__(
        self,
        schema: pa.Schema,
        batches: Iterator[pa.RecordBatch | pa.Table],
        has_one_row_a_device: bool,
        key: tuple[str, ...],
    ) -> None:
        self._key = key
        self._schema = schema
        self._batches = batches
        self._has_one_row_a_device = has_one_row_a_device
        self._parts: list[pa.Table] = []
        self.is_at_end = False

    def fill(self) -> None:
        """Read the next batch if the buffer is empty."""
        if not self._parts:
            self.read()

    def read(self) -> None:
        """Read the next non-empty batch."""
        for batch in self._batches:
            part = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            if part.num_rows:
                self._parts.append(part)
                return
        self.is_at_end = True

    @property
    def bound(self) -> _Bound:
        """Bound of the complete rows: the last device of a batch may continue in the next one."""
        last = self._parts[-1]
        return _device(self._key, last, last.num_rows - 1), self._has_one_row_a_device

    def is_stuck_at(self, bound: _Bound | None) -> bool:
        """Whether rows remain that only the next batch can complete."""
        return bool(self._parts) and self.bound == bound

    def take_until(self, bound: _Bound | None) -> pa.Table:
        """Remove and return the rows up to the bound; all rows if it is None."""
        taken, kept = (self._parts, []) if bound is None else self._split(*bound)
        self._parts = kept
        if not taken:
            return pa.Table.from_batches([], self._schema)
        return pa.concat_tables(taken).combine_chunks()

    def _split(self, device: tuple[str, ...], is_included: bool) -> tuple[list[pa.Table], list[pa.Table]]:
        bisect = bisect_right if is_included else bisect_left
        for place, part in enumerate(self._parts):
            n = bisect(range(part.num_rows), device, key=partial(_device, self._key, part))
            if n < part.num_rows:
                before, after = [part.slice(0, n)] if n else [], [part.slice(n)]
                return self._parts[:place] + before, after + self._parts[place + 1 :]
        return self._parts, []


def _device(key: tuple[str, ...], table: pa.Table, row: int) -> tuple[str, ...]:
    return tuple(table[name][row].as_py() for name in key)
