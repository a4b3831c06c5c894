"""Convert a workspace of format 1, a Parquet file a sensor and day, to Delta tables; no row is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.json_files import json_bytes
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.workspace_format import (
    FORMAT,
    MARKER,
    PREDICTIONS,
    READINGS,
    WINDOWS,
    former_files,
    read_format,
)
from batch_scoring.tables import schemas
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.device_ranges import read_batches
from batch_scoring.tables.streams import footer_text

# What the next run makes again of the predictions.
_DERIVED = (
    "07_model_output/status/score",
    "07_model_output/incidents",
    "07_model_output/unfinished_incidents",
    "07_model_output/drift",
)
_DERIVED_FILES = ("07_model_output/device_incidents.parquet", "02_intermediate/refused.parquet")
_DONE = "upgrade"


def upgrade_workspace(folder: Folder, say: Callable[[str], None]) -> None:
    """Convert a workspace to the present format; may be repeated after a kill.

    Readings, windows, predictions, the quarantine, the known sources, the status of trainings and the
    notifications are converted; the rest is made again of the predictions by the next run.

    Parameters
    ----------
    folder : Folder
        Of the workspace.
    say : callable
        Gets a line a table.

    Raises
    ------
    InputError
        When a file cannot be read, or the workspace is of a newer format; nothing is deleted then.
    """
    found = read_format(folder)
    if found == FORMAT or found is None:
        say(f"{folder.path()}: this workspace has format {FORMAT} already")
        return
    if found > FORMAT:
        raise InputError(f"{folder.path()}: format {found} is newer than {FORMAT}; install a newer version")
    old: list[tuple[Folder, str]] = []
    for name, time, schema in (
        (READINGS, "timestamp", schemas.READINGS),
        (WINDOWS, "window_start", None),
        (PREDICTIONS, "window_start", schemas.PREDICTIONS),
    ):
        place = folder.below(name)
        old += [(place, entry.name) for entry in former_files(place)]
        _convert(RowTable(place, time), lambda p=place, s=schema: _daily(p, s), say)  # type: ignore[misc]
    for name, new_name, schema in (
        ("02_intermediate/quarantine", None, schemas.QUARANTINE),
        ("02_intermediate/ingested_sources", "02_intermediate/sources", schemas.SOURCES),
        ("07_model_output/status/train", None, schemas.STATUS),
    ):
        place = folder.below(name)
        files = [entry.name for entry in place.entries(".parquet") if _is_former(entry.name)]
        old += [(place, file) for file in files]
        table = RowTable(folder.below(new_name or name))
        _convert(table, lambda p=place, f=files, s=schema: _undated(p, f, s), say)  # type: ignore[misc]
    _convert_notifications(folder, say)
    for name in _DERIVED:
        place = folder.below(name)
        old += [(place, entry.name) for entry in place.entries(".parquet") if _is_former(entry.name)]
    old += [(folder, name) for name in (*_DERIVED_FILES, "07_model_output/notifications.parquet")]
    folder.replace(MARKER, json_bytes({"format": FORMAT}), None)
    for place, file in old:
        place.delete(file)
    say(f"{folder.path()}: converted to format {FORMAT}; the next `kedro run` makes the rest")


def _convert(table: RowTable, change: Callable[[], Change | None], say: Callable[[str], None]) -> None:
    if table.progress(_DONE) is None:
        found = change()
        if found is not None:
            table = table.commit(found)
    say(f"{table.folder.path()}: {table.num_rows:,} rows")


def _daily(folder: Folder, schema: pa.Schema | None) -> Change | None:
    """Join the files of each day, a sensor after the other."""
    files = [entry.name for entry in former_files(folder)]
    if not files:
        return None
    if schema is None:
        newest = max(files, key=lambda name: name.rpartition("/")[2])
        schema = open_parquet(folder, newest).schema_arrow.remove_metadata()
        files = [name for name in files if open_parquet(folder, name).schema_arrow.names == schema.names]
    days: dict[str, list[str]] = {}
    for name in files:
        days.setdefault(name.rpartition("/")[2], []).append(name)
    parts = (_rows(folder, names, schema) for _, names in sorted(days.items()))
    return Change(schema, parts, {_DONE: FORMAT})


def _rows(folder: Folder, names: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    def sensor_of(file: pq.ParquetFile) -> str:
        return next(iter(pc.unique(file.read_row_group(0, ["sensor"])["sensor"]).to_pylist()), "")

    opened = [open_parquet(folder, name) for name in names]
    filled = [file for file in opened if file.metadata.num_rows]
    for file in sorted(filled, key=lambda one: sensor_of(one).encode()):
        for rows in read_batches(file):
            yield _as_now(rows, schema)


def _undated(folder: Folder, names: Sequence[str], schema: pa.Schema) -> Change | None:
    if not names:
        return None
    tables = [_as_now(open_parquet(folder, name).read(), schema) for name in names]
    rows = pa.concat_tables([empty_table(schema), *tables])
    if schema is schemas.STATUS:
        # The newest training of a device counts.
        last = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
        last = last.group_by(["sensor", "device"], use_threads=False).aggregate([("place", "max")])
        rows = rows.take(last["place_max"].combine_chunks().sort())
    return Change(schema, [[rows]], {_DONE: FORMAT})


def _convert_notifications(folder: Folder, say: Callable[[str], None]) -> None:
    """Convert the ledger of alerts, so that none is sent again."""
    name = "07_model_output/notifications.parquet"
    if folder.entry(name) is None:
        return
    file = open_parquet(folder, name)
    since = footer_text(file, "since")
    progress = {_DONE: FORMAT, "since": microseconds(datetime.fromisoformat(since)) if since else 0}
    rows = _as_now(file.read(), schemas.NOTIFICATIONS)
    table = RowTable(folder.below("07_model_output/notifications"))
    _convert(table, lambda: Change(schemas.NOTIFICATIONS, [[rows]], progress), say)


def _as_now(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast rows of an earlier version; columns that it did not have are null, and texts empty."""
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            is_text = pa.types.is_string(field.type) and field.name == "version"
            nothing = pa.repeat(pa.scalar("", pa.string()), rows.num_rows)
            columns.append(nothing if is_text else pa.nulls(rows.num_rows, field.type))
        elif rows[field.name].type == pa.uint64():
            columns.append(rows[field.name].combine_chunks().view(pa.int64()))
        else:
            columns.append(rows[field.name].cast(field.type))
    return pa.table(columns, schema=schema)


def _is_former(name: str) -> bool:
    return not name.startswith(("_delta_log/", "date=", "rows-"))
