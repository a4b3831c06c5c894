"""Maintain a table: join its small files, drop old days, delete files that no version needs any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, HOUR_US, MICROSECOND
from batch_scoring.storage.data_file import DataFile, count_days
from batch_scoring.storage.row_files import has_few_rows
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges, rows_of_each
from batch_scoring.tables.pieces import joined_by_month

_SERIES = ("sensor", "device")
# Pages and drift read days that are not older, and read less where a file holds one.
_RECENT_US = 31 * DAY_US
# To join more rows of a day takes longer than an hour of their fleet.
_MANY_ROWS = 2_000_000


def is_yesterday_large(table: RowTable, min_files: int) -> bool:
    """Whether the day before a table's newest one has many files, which take long to join."""
    newest = max((file.last for file in table.files()), default=0) // DAY_US
    files = [file for file in table.files() if file.first // DAY_US == file.last // DAY_US == newest - 1]
    return len(files) >= min_files and sum(file.rows for file in files) > _MANY_ROWS


def has_new_day(table: RowTable) -> bool:
    """Whether a table's newest day is in its first hour."""
    return max((file.last for file in table.files()), default=0) % DAY_US < HOUR_US


def compact(table: RowTable, min_files: int, but_yesterday: bool = False) -> Change | None:
    """Join the files of each finished day that has many, in the order of sensor, device and time.

    Of a month that ended long ago, and whose days hold few rows, the files are joined to one.

    Parameters
    ----------
    table : RowTable
    min_files : int
        Days and months with fewer files stay as they are, but for days of which another program has written
        a file, whose rows may be in any order.
    but_yesterday : bool
        Whether the day before the newest one is left for a later run, too.

    Returns
    -------
    Change or None
        The rows are the same; None where there is nothing to join.
    """
    groups: dict[tuple[object, bool], list[DataFile]] = {}
    newest = max((file.last for file in table.files()), default=0)
    months = _sparse_months(table, newest, min_files)
    in_months = {file.name for files in months for file in files}
    for file in table.files():
        # The newest day is written to every hour.
        is_finished = table.time is None or file.last // DAY_US < newest // DAY_US - but_yesterday
        if is_finished and file.name not in in_months:
            groups.setdefault((file.day, file.by_month), []).append(file)
    many = [
        files
        for files in groups.values()
        if len(files) >= min_files or not all(file.is_own for file in files)
    ]
    if not (many or months):
        return None

    def rewritten() -> Iterator[tuple[DataFile, Iterable[pa.Table]]]:
        for files in many:
            yield from _joined(table, files)
        for files in months:
            yield from ((file, ()) for file in files)

    return Change(
        table.schema,
        joined_by_month(((files[0].first, _unsorted(table, files)) for files in months), _order(table)),
        rewritten=rewritten,
        by_month=True,
        changes_data=False,
    )


def forget(
    table: RowTable, keep: timedelta, unread: Iterable[DataFile] = (), needed: Iterable[DataFile] = ()
) -> Change | None:
    """Remove the files whose rows are all older than a duration before the newest row.

    Parameters
    ----------
    table : RowTable
        With days.
    keep : timedelta
        At least a day.
    unread : iterable of DataFile
        Files that a step has yet to read: it may need the rows after them, too, and all of these stay.
    needed : iterable of DataFile
        Other files that stay.

    Returns
    -------
    Change or None
        It records from when on all rows are kept; None where none is old.
    """
    files = table.files()
    newest = max((file.last for file in files), default=0)
    before = min([newest - keep // MICROSECOND, *(file.first for file in unread)]) // DAY_US * DAY_US
    names = {file.name for file in needed}
    old = [file for file in files if file.last < before and file.name not in names]
    if not old:
        return None
    return Change(table.schema, (), {RETENTION: before}, rewritten=lambda: ((file, ()) for file in old))


def _sparse_months(table: RowTable, newest: int, min_files: int) -> list[list[DataFile]]:
    """List the files of each sparse month that has many files; leave out recent months."""
    months: dict[tuple[int, int], list[DataFile]] = {}
    for file in table.files():
        if file.day is not None:
            months.setdefault((file.day.year, file.day.month), []).append(file)
    before = newest - _RECENT_US
    return [
        files
        for files in months.values()
        if len(files) >= min_files
        and len({file.day for file in files}) > 1
        and max(file.last for file in files) < before
        and has_few_rows(count_days(files), sum(file.rows for file in files))
    ]


def _joined(
    table: RowTable, files: Sequence[DataFile]
) -> Iterator[tuple[DataFile, Iterator[pa.Table] | tuple[()]]]:
    """Yield the files of a day, the first with the rows of all."""
    yield files[0], _rows(table, files)
    for file in files[1:]:
        yield file, ()


def _rows(table: RowTable, files: Sequence[DataFile]) -> Iterator[pa.Table]:
    if table.time is None or not set(_SERIES) <= set(table.schema.names):
        yield from _unsorted(table, files)
        return
    # Texts are compared and moved as numbers, and written as texts again.
    texts = [one.name for one in table.schema if pa.types.is_string(one.type)]
    kinds = {name: pa.dictionary(pa.int32(), pa.string()) for name in texts}
    schema = pa.schema([(one.name, kinds.get(one.name, one.type)) for one in table.schema])
    n_rows = rows_of_each(len(files))

    def read(file: DataFile) -> Iterator[pa.Table]:
        for rows in table.batches(file, rows=n_rows, encoded=texts):
            yield pa.Table.from_arrays([_encoded(column) for column in rows.columns], schema=schema)

    for parts in device_ranges([(schema, read(file)) for file in files], key=_SERIES):
        yield _in_order(pa.concat_tables(map(_without_unused, parts)).combine_chunks(), table.time)


def _without_unused(rows: pa.Table) -> pa.Table:
    """Forget the texts of other ranges: to join their dictionaries takes as long as to read those."""
    for place, column in enumerate(rows.columns):
        if pa.types.is_dictionary(column.type) and 0 < rows.num_rows < len(column.chunk(0).dictionary):
            rows = rows.set_column(place, rows.field(place), column.cast(pa.string()).dictionary_encode())
    return rows


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_string(column.type) else column


def _in_order(rows: pa.Table, time: str) -> pa.Table:
    """Sort rows by sensor, device and time; of files that follow one another, without a look at times."""
    series = np.zeros(rows.num_rows, np.int64)
    for name in _SERIES:
        column = rows[name].combine_chunks()
        order = to_numpy(pc.array_sort_indices(column.dictionary)).astype(np.int64)
        rank = np.append(np.argsort(order), order.size)  # a null comes last
        series = series * rank.size + rank[to_numpy(column.indices, null=-1)]
    moment = to_numpy(rows[time])
    order = np.argsort(series, kind="stable")
    is_other, step = np.diff(series[order]) != 0, np.diff(moment[order])
    if not (is_other | (step >= 0)).all():
        order = np.lexsort((moment, series))
    return rows.take(to_arrow(order))


def _unsorted(table: RowTable, files: Iterable[DataFile]) -> Iterator[pa.Table]:
    for file in files:
        yield from table.batches(file)


def _order(table: RowTable) -> list[str]:
    return [name for name in (*_SERIES, str(table.time)) if name in table.schema.names]
