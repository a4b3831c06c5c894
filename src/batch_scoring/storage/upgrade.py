"""Convert a workspace of format 1, a Parquet file a sensor and day, to Delta tables; no row is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import from_path_segment
from batch_scoring.core.moments import microseconds
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.workspace_format import (
    FORMAT,
    PREDICTIONS,
    READINGS,
    WINDOWS,
    former_files,
    read_format,
    write_format,
)
from batch_scoring.tables import schemas
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.device_ranges import read_batches
from batch_scoring.tables.streams import footer_text

# Folders of tables without days by the table they become.
_UNDATED = {
    "02_intermediate/quarantine": ("02_intermediate/quarantine", schemas.QUARANTINE),
    "02_intermediate/ingested_sources": ("02_intermediate/sources", schemas.SOURCES),
    "07_model_output/status/train": ("07_model_output/status/train", schemas.STATUS),
}
_NOTIFICATIONS = "07_model_output/notifications"
# What the next run makes again of the rest.
_DERIVED = (
    "02_intermediate/imported_windows",
    "07_model_output/status/score",
    "07_model_output/incidents",
    "07_model_output/unfinished_incidents",
    "07_model_output/drift",
)
_DERIVED_FILES = ("07_model_output/device_incidents.parquet", "02_intermediate/refused.parquet")
# A file of a table is named like this, and like no file of format 1.
_OF_A_TABLE = re.compile(r"_delta_log/.*|(date=\d{4}-\d\d-\d\d/)?rows-[0-9a-f-]{36}\.parquet")
_DONE = "upgrade"
_IF_DAMAGED = "restore it from a backup, or move it elsewhere to go without its rows, and upgrade again"


def upgrade_workspace(
    folder: Folder,
    say: Callable[[str], None],
    of_windows: Callable[[pa.Table], Mapping[str, int]] = lambda _: {},
) -> None:
    """Convert a workspace to the present format; may be repeated after a kill.

    Readings, windows, predictions, the quarantine, the known sources, the status of trainings and the
    notifications are converted; the rest is made again of them by the next run.

    Parameters
    ----------
    folder : Folder
        Of the workspace.
    say : callable
        Gets a line a table.
    of_windows : callable
        Returns what the table of windows records, given some of its rows; none where the features differ
        from file to file.

    Raises
    ------
    InputError
        When a file cannot be read, or the workspace is of a newer format; nothing is deleted then.
    """
    found = read_format(folder)
    if found is None or found == FORMAT:
        say(f"{folder.path()}: this workspace has format {FORMAT} already")
        return
    if found > FORMAT:
        raise InputError(
            f"{folder.path()}: this workspace has format {found}, written by a newer version; expected at "
            f"most {FORMAT}: install that version of batch_scoring"
        )
    write_format(folder, found)  # so that it is known as one until the last former file is gone
    old = [
        *_convert_days(folder, READINGS, "timestamp", schemas.READINGS, say),
        *_convert_windows(folder, of_windows, say),
        *_convert_days(folder, PREDICTIONS, "window_start", schemas.PREDICTIONS, say),
        *(name for former in _UNDATED for name in _convert_undated(folder, former, say)),
        *_convert_notifications(folder, say),
        *(name for place in _DERIVED for name in _files(folder, place)),
        *_DERIVED_FILES,
    ]
    for name in old:
        folder.delete(name)
    write_format(folder, FORMAT)
    say(f"{folder.path()}: converted to format {FORMAT}; the next `kedro run` makes the rest")


def _convert_windows(
    folder: Folder, of_windows: Callable[[pa.Table], Mapping[str, int]], say: Callable[[str], None]
) -> list[str]:
    files = _days(folder, WINDOWS)
    found = [_open(folder, name).schema_arrow.remove_metadata() for name in files]
    if not found:
        return []
    rows = next(_rows(folder, files), found[-1].empty_table())
    are_alike = all(one.names == found[-1].names for one in found)
    more = of_windows(rows if are_alike else rows[:0])
    return _convert_days(folder, WINDOWS, "window_start", found[-1], say, more)


def _convert_days(
    folder: Folder,
    name: str,
    time: str,
    schema: pa.Schema,
    say: Callable[[str], None],
    more: Mapping[str, int] | None = None,
) -> list[str]:
    """Convert a table with a file a sensor and day; returns the files."""
    files = _days(folder, name)

    def parts() -> Iterator[Iterator[pa.Table]]:
        for _, names in groupby(files, lambda file: file.rpartition("/")[2]):
            yield _rows(folder, names, schema)

    if files:
        change = Change(schema, parts(), {_DONE: FORMAT, **(more or {})})
        _commit(RowTable(folder.below(name), time), change, say)
    return files


def _convert_undated(folder: Folder, former: str, say: Callable[[str], None]) -> list[str]:
    name, schema = _UNDATED[former]
    files = _files(folder, former)
    if not files:
        return []
    rows: Iterable[pa.Table] = _rows(folder, files, schema)
    if schema is schemas.STATUS:
        rows = [_newest(pa.concat_tables([empty_table(schema), *rows]))]
    _commit(RowTable(folder.below(name)), Change(schema, [rows], {_DONE: FORMAT}), say)
    return files


def _convert_notifications(folder: Folder, say: Callable[[str], None]) -> list[str]:
    """Convert the ledger of alerts with its columns: those events were of a sensor's incidents.

    The next run notifies of what has ended since the newest of them, as incidents of devices.
    """
    name = f"{_NOTIFICATIONS}.parquet"
    if folder.entry(name) is None:
        return []
    since = footer_text(_open(folder, name), "since")
    progress = {_DONE: FORMAT, "since": microseconds(datetime.fromisoformat(since)) if since else 0}
    schema = _open(folder, name).schema_arrow.remove_metadata()
    change = Change(schema, [_rows(folder, [name])], progress)
    _commit(RowTable(folder.below(_NOTIFICATIONS)), change, say)
    return [name]


def _commit(table: RowTable, change: Change, say: Callable[[str], None]) -> None:
    if table.progress(_DONE) is None:
        table = table.commit(change)
    say(f"{table.folder.path()}: {table.num_rows:,} rows")


def _days(folder: Folder, name: str) -> list[str]:
    """List the files of a table by day and sensor, the order of the rows of a day."""
    files = [entry.name for entry in former_files(folder.below(name))]
    pairs = sorted((day, from_path_segment(sensor).encode(), sensor) for sensor, day in map(_split, files))
    return [f"{name}/{sensor}/{day}" for day, _, sensor in pairs]


def _split(file: str) -> tuple[str, str]:
    sensor, _, day = file.rpartition("/")
    return sensor, day


def _files(folder: Folder, name: str) -> list[str]:
    entries = folder.below(name).entries(".parquet")
    return [f"{name}/{entry.name}" for entry in entries if not _OF_A_TABLE.fullmatch(entry.name)]


def _open(folder: Folder, name: str) -> pq.ParquetFile:
    return open_parquet(folder, name, if_damaged=_IF_DAMAGED)


def _rows(folder: Folder, names: Iterable[str], schema: pa.Schema | None = None) -> Iterator[pa.Table]:
    """Read the rows of files one after the other, as they are or in a schema of today."""
    for name in names:
        file = _open(folder, name)
        try:
            for rows in read_batches(file):
                yield rows if schema is None else _as_now(rows, schema)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{folder.path(name)}: damaged ({error}); {_IF_DAMAGED}") from error


def _newest(rows: pa.Table) -> pa.Table:
    """Select the last row of each series."""
    last = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
    last = last.group_by(["sensor", "device"], use_threads=False).aggregate([("place", "max")])
    return rows.take(last["place_max"].combine_chunks().sort())


def _as_now(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast rows of an earlier version; columns that it did not have are null, and versions empty."""
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            nothing = pa.scalar("" if field.name == "version" else None, field.type)
            columns.append(pa.repeat(nothing, rows.num_rows))
        elif rows[field.name].type == pa.uint64():
            columns.append(rows[field.name].combine_chunks().view(pa.int64()))
        else:
            columns.append(rows[field.name].cast(field.type))
    return pa.table(columns, schema=schema)
