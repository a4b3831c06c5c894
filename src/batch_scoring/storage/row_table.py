"""Delta Lake tables: Parquet files of rows, and a log that commits files together with progress.

``deltalake`` keeps the log: atomic commits, conflicts between writers, checkpoints, compaction. The files are
written and read here, because every step streams rows in the order of sensor, device and time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.row_files import RowFiles, WrittenFile
from batch_scoring.tables.arrow_arrays import empty_table, strings
from batch_scoring.tables.device_ranges import BATCH_ROWS, group_bounds, read_batches, read_pieces, row_groups
from batch_scoring.tables.schemas import TIMESTAMP

if TYPE_CHECKING:
    import deltalake

DATE = "date"
_LOG = "_delta_log"
_RESTORE = "restore it from a backup, or delete the folder of the table and run again"


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table.

    Attributes
    ----------
    name : str
        Relative to the table's folder.
    rows : int
    size : int
        Bytes.
    day : date or None
        UTC day of its rows' times; None in a table without days.
    first, last : int
        The earliest and the latest time, microseconds since the epoch, both included; 0 in a table without
        days.
    bounds : dict of str to (str, str) or (int, int)
        The smallest and the largest text, or time in microseconds, of each column that has them.
    """

    name: str
    rows: int
    size: int
    day: date | None = None
    first: int = 0
    last: int = 0
    bounds: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def overlaps(self, start: int | None, end: int | None) -> bool:
        """Whether a row may have a time in ``[start, end)``, microseconds since the epoch."""
        return (start is None or self.last >= start) and (end is None or self.first < end)

    def may_have(self, column: str, wanted: Iterable[str] | None) -> bool:
        """Whether a row may have one of these texts in a column; None is any text."""
        low, high = self.bounds.get(column, (None, None))
        return wanted is None or low is None or any(low <= text <= high for text in wanted)


@dataclass(frozen=True)
class Change:
    """What one commit changes in a table.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the rows to add.
    parts : iterable of iterables of pyarrow.Table or RecordBatch
        Rows to add, read once. Each part is stored in its order, in files of its own.
    progress : dict of str to int
        What the table records in the same commit, such as how far a step has read the table before it. Two
        concurrent commits with a name in common cannot both succeed.
    rewritten : callable
        Called after ``parts`` has been read: pairs of a stored file and the rows that replace it.
    replaces_all : bool
        Whether all stored rows are replaced by ``parts``, whose schema may differ.
    by_month : bool
        Whether the new files hold a month each instead of a day.
    written : list of str
        Names of the files that the commit has added.
    """

    schema: pa.Schema
    parts: Iterable[Iterable[pa.Table | pa.RecordBatch]] = ()
    progress: Mapping[str, int] = field(default_factory=dict)
    rewritten: Callable[[], Iterable[tuple[DataFile, Iterable[pa.Table]]]] = tuple
    replaces_all: bool = False
    by_month: bool = False
    written: list[str] = field(default_factory=list)


Update = Callable[["RowTable"], Change | None]


def no_change(table: RowTable) -> None:
    """Leave a table as it is: the update of a step without news."""


class RowTable:
    """A version of a Delta table; rows are read on demand.

    Parameters
    ----------
    folder : Folder
        Of the table; it need not exist.
    time : str, optional
        The column whose day (UTC) partitions the table.
    """

    def __init__(self, folder: Folder, time: str | None = None) -> None:
        self.folder = folder
        self.time = time

    @cached_property
    def _delta(self) -> deltalake.DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        uri, options = self.folder.delta_address()
        try:
            with self._clear_errors():
                return DeltaTable(uri, storage_options=options or None)
        except TableNotFoundError:
            return None

    @property
    def version(self) -> int:
        """Number of its last commit, from 0; -1 where the table does not exist."""
        return -1 if self._delta is None else self._delta.version()

    @property
    def exists(self) -> bool:
        """Whether the table has been written."""
        return self._delta is not None

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of its files, in order, without ``date``; no columns where the table does not exist."""
        if self._delta is None:
            return pa.schema([])
        fields = pa.schema(self._delta.schema().to_arrow())
        return pa.schema([one.remove_metadata() for one in fields if one.name not in self._days])

    def progress(self, name: str) -> int | None:
        """Return what the last commit with this name has recorded; None without one."""
        return None if self._delta is None else self._delta.transaction_version(name)

    @cached_property
    def _files(self) -> list[DataFile]:
        if self._delta is None:
            return []
        actions = pa.table(self._delta.get_add_actions(flatten=True)).to_pylist()
        files = [_data_file(action, self.time) for action in actions]
        return sorted(files, key=lambda one: (one.day or date.min, one.first, one.last, one.name))

    @property
    def num_rows(self) -> int:
        """Number of its rows."""
        return sum(file.rows for file in self._files)

    def latest(self) -> RowTable:
        """Return the newest version."""
        return RowTable(self.folder, self.time)

    def distinct(self, column: str, files: Iterable[DataFile] | None = None) -> list[str]:
        """List the texts of a column, in some files or all, sorted as UTF-8 bytes.

        Files and row groups that hold one text only are not read.
        """
        found: set[str] = set()
        for file in self._files if files is None else files:
            low, high = file.bounds.get(column, (None, None))
            if low is not None and low == high:
                found.add(low)
                continue
            opened = self.open(file)
            bounds = group_bounds(opened, column)
            found.update(one[0] for one in bounds if one is not None and one[0] == one[1])
            mixed = [place for place, one in enumerate(bounds) if one is None or one[0] != one[1]]
            for rows in read_batches(opened, [column], groups=mixed):
                found.update(text for text in pc.unique(rows[column]).to_pylist() if text is not None)
        return sorted(found, key=str.encode)

    def files(
        self,
        start: int | None = None,
        end: int | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
    ) -> list[DataFile]:
        """List the files that may hold rows of these times, sensors and devices, by day and time.

        Parameters
        ----------
        start, end : int, optional
            Times in ``[start, end)``, microseconds since the epoch.
        sensors, devices : iterable of str, optional
        """
        return [
            file
            for file in self._files
            if file.overlaps(start, end)
            and file.may_have("sensor", sensors)
            and file.may_have("device", devices)
        ]

    def added_since(self, version: int | None) -> list[DataFile]:
        """List the files whose rows were added or rewritten after a version; all without one.

        Compaction adds no rows. Where the log of an earlier commit is gone, all files are returned.
        """
        names = self._logged_since(version, "add")
        return list(self._files) if names is None else [file for file in self._files if file.name in names]

    def removed_since(self, version: int | None) -> list[DataFile] | None:
        """List the files of a version whose rows were rewritten or removed later; None where that is unknown."""
        names = self._logged_since(version, "remove")
        if not names or version is None or version < 0:
            return None if names is None else []
        return [file for file in self.at(version)._files if file.name in names]

    def at(self, version: int) -> RowTable:
        """Return an earlier version."""
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        table = RowTable(self.folder, self.time)
        with self._clear_errors():
            table.__dict__["_delta"] = DeltaTable(uri, version, storage_options=options or None)
        return table

    def _logged_since(self, version: int | None, action: str) -> set[str] | None:
        """Return the files of later commits with this action that changes data; None where a log is gone."""
        if version is None or version > self.version:
            return None
        names: set[str] = set()
        for number in range(version + 1, self.version + 1):
            try:
                log, _ = self.folder.read(f"{_LOG}/{number:020d}.json")
            except FileNotFoundError:
                return None
            entries = (json.loads(line) for line in log.splitlines() if line.strip())
            found = (entry[action] for entry in entries if action in entry)
            names.update(one["path"] for one in found if one["dataChange"])
        return names

    def open(self, file: DataFile) -> pq.ParquetFile:
        """Open a file; only its footer is read.

        Raises
        ------
        InputError
            When the file is gone or damaged.
        """
        return open_parquet(self.folder, file.name, if_damaged=_RESTORE)

    def batches(
        self,
        file: DataFile,
        columns: Sequence[str] | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
        rows: int = BATCH_ROWS,
    ) -> Iterator[pa.Table]:
        """Read a file's rows of these sensors and devices in their order, about ``rows`` at a time."""
        asked = {"sensor": sensors, "device": devices}
        wanted = {name: strings(sorted(ids)) for name, ids in asked.items() if ids is not None}
        opened = self.open(file)
        names = list(columns) if columns is not None else opened.schema_arrow.names
        groups = list(range(opened.num_row_groups))
        for name, ids in wanted.items():
            groups = row_groups(opened, name, ids.to_pylist(), groups)
        needed = list(dict.fromkeys([*names, *wanted]))
        try:
            for batch in read_pieces(opened, needed, rows, groups):
                kept = batch
                for name, ids in wanted.items():
                    kept = kept.filter(pc.is_in(kept[name], value_set=ids))
                if kept.num_rows:
                    yield kept.select(names)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.folder.path(file.name)}: damaged ({error}); {_RESTORE}") from error

    def read(
        self,
        columns: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
    ) -> pa.Table:
        """Read the rows of these times, sensors and devices into memory, by day and time of their files.

        Parameters
        ----------
        columns : sequence of str, optional
        start, end : int, optional
            Times in ``[start, end)``, microseconds since the epoch.
        sensors, devices : iterable of str, optional
        """
        conditions = []
        if start is not None:
            conditions.append(pc.field(str(self.time)) >= _moment(start))
        if end is not None:
            conditions.append(pc.field(str(self.time)) < _moment(end))
        needed = list(columns) if columns is not None else self.schema.names
        tables = [empty_table(pa.schema([self.schema.field(name) for name in needed]))] if self.exists else []
        extra = [str(self.time)] if conditions and self.time not in needed else []
        for file in self.files(start, end, sensors, devices):
            for batch in self.batches(file, [*needed, *extra], sensors, devices):
                rows = batch
                for condition in conditions:
                    rows = rows.filter(condition)
                tables.append(rows.select(needed))
        return pa.concat_tables(tables) if tables else pa.table({})

    def to_pandas(self, **wanted: Any) -> Any:
        """Read rows as a pandas data frame; see :meth:`read`."""
        return self.read(**wanted).to_pandas()

    def to_polars(self, **wanted: Any) -> Any:
        """Read rows as a Polars data frame; see :meth:`read`."""
        import polars

        return polars.from_arrow(self.read(**wanted))

    def commit(self, change: Change) -> RowTable:
        """Write rows and progress in one commit.

        Returns
        -------
        RowTable
            The version after it; this one where there is nothing to commit.

        Raises
        ------
        ConflictError
            When another run has committed a change under one of the names of ``progress`` first, or has
            removed a file that this change replaces; nothing is changed then.
        """
        files = RowFiles(self.folder, change.schema, self.time, change.by_month)
        with stopwatch.during("write"):
            for part in change.parts:
                files.write(stopwatch.waiting("write", part))
            removed = []
            for stored, rows in change.rewritten():
                removed.append(stored)
                files.write(rows)
        if change.replaces_all:
            removed = list(self._files)
        is_news = any(self.progress(name) != value for name, value in change.progress.items())
        if not (files.written or removed or is_news):
            return self
        try:
            self._commit(files.written, removed, change)
        except BaseException:
            files.discard()
            raise
        change.written[:] = [file.name for file in files.written]
        return self.latest()

    def _commit(self, added: Sequence[WrittenFile], removed: list[DataFile], change: Change) -> None:
        from deltalake.exceptions import CommitFailedError

        schema = change.schema
        if self.time is not None:
            schema = schema.append(pa.field(DATE, pa.date32()))
        with self._clear_errors():
            table = self._delta or self._create(schema)
            if change.replaces_all and schema != pa.schema(table.schema().to_arrow()).remove_metadata():
                table, removed = self._emptied(schema, change.progress), []
            actions = [_add_action(file) for file in added] + [_remove_action(file) for file in removed]
            try:
                table.create_write_transaction(
                    actions, "append", table.schema(), self._days, commit_properties=_progress(change.progress)
                )
            except CommitFailedError as error:
                raise ConflictError(
                    f"{self.folder.path()}: another run has changed this table meanwhile; run again after "
                    "the other run has ended"
                ) from error
        _sync_log(self.folder, table.version())

    @property
    def _days(self) -> list[str]:
        return [] if self.time is None else [DATE]

    def _create(self, schema: pa.Schema) -> deltalake.DeltaTable:
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        if isinstance(self.folder, LocalFolder):
            self.folder.root.mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(
            uri, schema, mode="ignore", partition_by=self._days, storage_options=options or None
        )

    def _emptied(self, schema: pa.Schema, progress: Mapping[str, int]) -> deltalake.DeltaTable:
        """Remove all rows and change the schema; what was read before counts as not read."""
        from deltalake import DeltaTable, write_deltalake

        uri, options = self.folder.delta_address()
        write_deltalake(
            uri,
            empty_table(schema),
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=self._days,
            storage_options=options or None,
            commit_properties=_progress(dict.fromkeys(progress, -1)),
        )
        return DeltaTable(uri, storage_options=options or None)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

        try:
            yield
        except (CommitFailedError, TableNotFoundError):
            raise
        except (DeltaError, OSError) as error:
            text = str(error).splitlines()[0]
            raise InputError(f"{self.folder.path()}: this table cannot be read or written ({text})") from error


def _progress(values: Mapping[str, int]) -> Any:
    from deltalake import CommitProperties, Transaction

    notes = [Transaction(name, value) for name, value in sorted(values.items())]
    return CommitProperties(app_transactions=notes, max_commit_retries=15)


def _add_action(file: WrittenFile) -> Any:
    from deltalake.transaction import AddAction

    days = {} if file.day is None else {DATE: file.day.isoformat()}
    return AddAction(file.name, file.size, days, time.time_ns() // 1_000_000, True, json.dumps(file.stats))


def _remove_action(file: DataFile) -> Any:
    from deltalake.transaction import RemoveAction

    days = {} if file.day is None else {DATE: file.day.isoformat()}
    return RemoveAction(file.name, True, time.time_ns() // 1_000_000, file.size, days)


def _data_file(action: Mapping[str, Any], column: str | None) -> DataFile:
    bounds = {
        name[4:]: (_bound(low), _bound(action[f"max.{name[4:]}"]))
        for name, low in action.items()
        if name.startswith("min.") and low is not None and action[f"max.{name[4:]}"] is not None
    }
    if column is None:
        return DataFile(action["path"], action["num_records"], action["size_bytes"], bounds=bounds)
    first, last = bounds[column]
    return DataFile(
        action["path"],
        action["num_records"],
        action["size_bytes"],
        action[f"partition.{DATE}"],
        first,
        last,
        bounds,
    )


def _bound(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime) else value


def _moment(us: int) -> pa.Scalar:
    return pa.scalar(us, pa.int64()).cast(TIMESTAMP)


def _sync_log(folder: Folder, version: int) -> None:
    """Flush a local commit to the disk; its data files are there already."""
    if not isinstance(folder, LocalFolder):
        return
    log = folder.root / _LOG
    for place in (log / f"{version:020d}.json", log):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
