"""Maintain a table: join its small files, drop old days, delete files that no version needs any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.pieces import DAY_US

_SERIES = ("sensor", "device")


def compact(table: RowTable, min_files: int) -> Change | None:
    """Join the files of each finished day that has many, in the order of sensor, device and time.

    Parameters
    ----------
    table : RowTable
    min_files : int
        Days with fewer files stay as they are, unless another program has written one of them, whose rows may
        be in any order.

    Returns
    -------
    Change or None
        The rows are the same; None where there is nothing to join.
    """
    groups: dict[tuple[object, bool], list[DataFile]] = {}
    newest = max((file.last for file in table.files()), default=0)
    for file in table.files():
        # The newest day is written to every hour.
        if table.time is None or file.last // DAY_US < newest // DAY_US:
            groups.setdefault((file.day, file.by_month), []).append(file)
    many = [
        files
        for files in groups.values()
        if len(files) >= min_files or not all(file.is_own for file in files)
    ]
    if not many:
        return None
    return Change(
        table.schema,
        rewritten=lambda: (pair for files in many for pair in _joined(table, files)),
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


def _joined(
    table: RowTable, files: Sequence[DataFile]
) -> Iterator[tuple[DataFile, Iterator[pa.Table] | tuple[()]]]:
    """Yield the files of a day, the first with the rows of all."""
    yield files[0], _rows(table, files)
    for file in files[1:]:
        yield file, ()


def _rows(table: RowTable, files: Sequence[DataFile]) -> Iterator[pa.Table]:
    if table.time is None or not set(_SERIES) <= set(table.schema.names):
        for file in files:
            yield from table.batches(file)
        return
    order = [(name, "ascending") for name in (*_SERIES, table.time)]
    for parts in device_ranges([(table.schema, table.batches(file)) for file in files], key=_SERIES):
        yield pa.concat_tables(parts).sort_by(order)
