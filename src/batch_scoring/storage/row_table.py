"""Delta Lake tables: Parquet files of rows, and a log that commits files together with progress.

``deltalake`` keeps the log: atomic commits, conflicts between writers, checkpoints, compaction. The files are
written and read here, because every step streams rows in the order of sensor, device and time.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_time
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.core.system_errors import naming, system_error
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.row_files import DAY_US, OWN, RowFiles, WrittenFile
from batch_scoring.storage.table_log import CLAIMS, DATE, DAYS, ID, LOG, Commit, TableLog
from batch_scoring.tables.arrow_arrays import as_rows, empty_table, positions, strings, to_arrow
from batch_scoring.tables.device_ranges import BATCH_ROWS, group_bounds, read_batches, read_pieces, row_groups
from batch_scoring.tables.schemas import TIMESTAMP

if TYPE_CHECKING:
    import deltalake

T = TypeVar("T")

# The name under which a table records the time before which its rows were removed for their age.
RETENTION = "retention"
_MILLISECOND = 1_000
# Seconds before a commit that was not answered is sent again.
_WAITS = (0.5, 2.0)
_LONGEST_REASON = 300
# Names of files that a run was writing when it was killed.
_UNFINISHED = re.compile(rf"\.partial$|^{LOG}/.*#\d+$")
# Of a position, an int64 that is not negative.
_VERSION_BITS, _ORIGIN_SHIFT = 24, 22
REMAKE = "restore it from a backup, or delete the folder of the table and run again"


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
        days. Of a file that another program has compacted, ``last`` may be up to a millisecond later.
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

    @property
    def is_own(self) -> bool:
        """Whether it was written here, and not by another program's compaction."""
        return self.name.rpartition("/")[2].startswith(OWN)

    @property
    def by_month(self) -> bool:
        """Whether the file holds the days of a month."""
        return self.last // DAY_US != self.first // DAY_US

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
        What the table records in the same commit, such as how far a step has read the table before it.
    guard : str or sequence of str
        Names of what the rows are about. Two concurrent commits of which one has a name that is not apart
        from one of the other's cannot both succeed; see
        :func:`~batch_scoring.storage.table_log.are_apart`. The names of ``progress`` count, too.
    rewritten : callable
        Called after ``parts`` has been read: pairs of a stored file and the rows that replace it.
    replaces_all : bool
        Whether all stored rows are replaced by ``parts``, whose schema may differ.
    by_month : bool
        Whether the new files hold a month each instead of a day; a file that is rewritten stays as it is.
    changes_data : bool
        Whether rows are added or removed; else they are the same in other files.
    days : collection of date
        UTC days that the commit is about, besides those of its files; noted in the log.
    id : str
        Names the commit in the log; see :meth:`RowTable.version_of`.
    """

    schema: pa.Schema
    parts: Iterable[Iterable[pa.Table | pa.RecordBatch]] = ()
    progress: Mapping[str, int] = field(default_factory=dict)
    _: KW_ONLY
    guard: str | Sequence[str] = ()
    rewritten: Callable[[], Iterable[tuple[DataFile, Iterable[pa.Table]]]] = tuple
    replaces_all: bool = False
    by_month: bool = False
    changes_data: bool = True
    days: Collection[date] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


Update = Callable[["RowTable"], Change | None]


def no_change(table: RowTable) -> None:
    """Leave a table as it is: the update of a step without news."""


class RowTable:
    """A version of a Delta table: the latest when it is first looked at. Rows are read on demand.

    Parameters
    ----------
    folder : Folder
        Of the table; it need not exist.
    time : str, optional
        The column whose day (UTC) partitions the table.
    if_damaged : str
        What a person is to do with a file that is gone or cannot be read.
    """

    def __init__(self, folder: Folder, time: str | None = None, if_damaged: str = REMAKE) -> None:
        self.folder = folder
        self.time = time
        self.if_damaged = if_damaged

    @cached_property
    def _delta(self) -> deltalake.DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        uri, options = self.folder.delta_address()
        try:
            with self._clear_errors():
                table = DeltaTable(uri, storage_options=options or None)
        except TableNotFoundError:
            return None
        _require_whole(self.folder, table.version())
        return table

    @property
    def version(self) -> int:
        """Number of its last commit, from 0; -1 where the table does not exist."""
        return -1 if self._delta is None else self._delta.version()

    @cached_property
    def origin(self) -> int:
        """Number that a table made anew in its place has not; 0 where the table does not exist."""
        return 0 if self._delta is None else number_of(self._delta.metadata().id) >> _ORIGIN_SHIFT

    @property
    def position(self) -> int:
        """The version and the origin in one number: what a step records of the table that it has read."""
        return self.position_of(self.version)

    def position_of(self, version: int) -> int:
        """Return the position of a version, this one or an earlier one; -1 is before the first."""
        return version if version < 0 else (self.origin << _VERSION_BITS) + version

    @property
    def id(self) -> str:
        """Identifies the table; one that was deleted and written again has another. Empty without a table."""
        return "" if self._delta is None else str(self._delta.metadata().id)

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
        return self.all_progress.get(name)

    @property
    def all_progress(self) -> Mapping[str, int]:
        """What the last commits with each name have recorded."""
        with self._clear_errors():
            return self._log.progress

    @cached_property
    def _log(self) -> TableLog:
        return TableLog(self.folder, self.version)

    @cached_property
    def _files(self) -> list[DataFile]:
        if self._delta is None:
            return []
        actions = as_rows(
            pa.RecordBatchReader.from_stream(self._delta.get_add_actions(flatten=True)).read_all()
        )
        files = [_data_file(action, self.time) for action in actions]
        return sorted(files, key=lambda one: (one.day or date.min, one.first, one.last, one.name))

    @property
    def num_rows(self) -> int:
        """Number of its rows."""
        return sum(file.rows for file in self._files)

    def latest(self) -> RowTable:
        """Return the newest version."""
        return RowTable(self.folder, self.time, self.if_damaged)

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
        wanted = {"sensor": _as_set(sensors), "device": _as_set(devices)}
        return [
            file
            for file in self._files
            if file.overlaps(start, end) and all(file.may_have(name, some) for name, some in wanted.items())
        ]

    def added_since(self, version: int | None) -> list[DataFile]:
        """List the files that hold rows added or rewritten after a version; all without one.

        Compaction adds no rows. Where the log of an earlier commit is gone, or the table was made anew, all
        files are returned.

        Parameters
        ----------
        version : int, optional
            A version, or the :attr:`position` of one.
        """
        names = self.added_at(version)
        return [file for file in self._files if file.name in names]

    def added_at(self, version: int | None) -> dict[str, int]:
        """Return the names of :meth:`added_since`, each with the version that added rows to the file."""
        changed = self._changed_since(version, TableLog.added_since)
        if changed is None:
            return dict.fromkeys((file.name for file in self._files), self.version)
        return changed

    def removed_since(self, version: int | None) -> list[DataFile] | None:
        """List the files of a version whose rows were rewritten or removed later; None if it is unknown.

        What :func:`~batch_scoring.storage.compaction.forget` has removed for its age is left out.
        """
        version = self.own_version(version)
        names = self._changed_since(version, TableLog.removed_since)
        if not names or version is None or version < 0:
            return None if names is None else []
        kept_from = self.progress(RETENTION) or 0
        files = [file for file in self.at(version)._files if file.name in names]
        return [file for file in files if file.last >= kept_from]

    def commits_since(self, version: int) -> list[Commit] | None:
        """Describe the commits after a version, in order; None where the log is gone."""
        return self._changed_since(version, TableLog.commits_since)

    def version_of(self, change: Change, since: int) -> int | None:
        """Return the version, after an earlier one, that a change has been committed as; None for none."""
        commits = self.commits_since(since) or []
        return next((commit.version for commit in commits if commit.id == change.id), None)

    def at(self, version: int) -> RowTable:
        """Return an earlier version."""
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        table = RowTable(self.folder, self.time, self.if_damaged)
        with self._clear_errors():
            table.__dict__["_delta"] = DeltaTable(uri, version, storage_options=options or None)
        return table

    def _changed_since(self, version: int | None, changes: Callable[[TableLog, int], T]) -> T | None:
        """Return what the log says of later commits; None where it is gone."""
        known = self.own_version(version)
        if known is None:
            return None
        with self._clear_errors():
            try:
                return changes(self._log, known)
            except FileNotFoundError:
                return None

    def had(self, position: int | None) -> bool:
        """Whether a :attr:`position` is of this version or an earlier one."""
        return self.own_version(position) is not None

    def not_before(self, position: int | None) -> RowTable:
        """Return this version, or the latest where a position is not one of its versions.

        So a run that another one has overtaken does not put what it makes of earlier rows over what the other
        made of newer ones.
        """
        return self if self.had(position) or position is None else self.latest()

    def own_version(self, position: int | None) -> int | None:
        """Return the version of a position; None of one that this table never had."""
        if position is None or position < 0:
            return position
        origin, number = divmod(position, 1 << _VERSION_BITS)
        return number if origin in (0, self.origin) and number <= self.version else None

    def open(self, file: DataFile, encoded: Sequence[str] = ()) -> pq.ParquetFile:
        """Open a file; only its footer is read. Columns in ``encoded`` are read as dictionaries.

        Raises
        ------
        InputError
            When the file is gone or damaged.
        """
        missing = f"this file of a table is gone; {self.if_damaged}"
        opened = open_parquet(self.folder, file.name, None, self.if_damaged, missing, encoded)
        with self._naming(file):
            found = opened.schema_arrow
            if opened.metadata.num_rows != file.rows or found.names != self.schema.names:
                raise ValueError("not the rows or columns of this table")
            for column, kind in zip(found.names, found.types, strict=True):
                wanted = self.schema.field(column).type
                found_kind = kind.value_type if column in encoded else kind
                if found_kind != wanted and not pa.types.is_nested(wanted):
                    raise ValueError(f"column {column!r} has the type {kind}")
        return opened

    @contextmanager
    def _naming(self, file: DataFile) -> Iterator[None]:
        """Name a file that cannot be read: a footer has no checksum, so anything may be wrong with it."""
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            place = self.folder.path(file.name)
            raise system_error(error, place) or InputError(
                f"{place}: damaged ({error}); {self.if_damaged}"
            ) from error

    def batches(
        self,
        file: DataFile,
        columns: Sequence[str] | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
        rows: int = BATCH_ROWS,
        encoded: Sequence[str] = (),
    ) -> Iterator[pa.Table]:
        """Read a file's rows of these sensors and devices in their order, about ``rows`` at a time.

        Columns in ``encoded`` may come as dictionaries: texts that repeat take a fifth of the time.
        """
        asked = {"sensor": sensors, "device": devices}
        wanted = {name: strings(sorted(ids)) for name, ids in asked.items() if ids is not None}
        opened = self.open(file, encoded if file.is_own else ())
        with self._naming(file):
            names = list(columns) if columns is not None else opened.schema_arrow.names
            groups = list(range(opened.num_row_groups))
            for name, ids in wanted.items():
                groups = row_groups(opened, name, ids.to_pylist(), groups)
            needed = list(dict.fromkeys([*names, *wanted]))
            pieces = (
                read_pieces(opened, needed, rows, groups) if file.is_own else self._sorted(opened, needed)
            )
            for batch in pieces:
                kept = batch
                for name, ids in wanted.items():
                    is_wanted = positions(kept[name], ids) >= 0
                    kept = kept if is_wanted.all() else kept.filter(to_arrow(is_wanted))
                if kept.num_rows:
                    yield kept.select(names)

    def _sorted(self, opened: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read a file of another program, whose rows may be in any order."""
        order = [name for name in ("sensor", "device", self.time) if name in self.schema.names]
        rows = opened.read(list(dict.fromkeys([*columns, *order])))
        yield rows.sort_by([(name, "ascending") for name in order]) if order else rows

    def read(
        self,
        columns: Sequence[str] | None = None,
        start: int | datetime | str | None = None,
        end: int | datetime | str | None = None,
        sensors: Iterable[str] | None = None,
        devices: Iterable[str] | None = None,
    ) -> pa.Table:
        """Read the rows of these times, sensors and devices into memory, by day and time of their files.

        Parameters
        ----------
        columns : sequence of str, optional
        start, end : int, datetime or str, optional
            Times in ``[start, end)``: microseconds since the epoch, or UTC, such as ``"2026-01-12"``.
        sensors, devices : iterable of str, optional
        """
        wanted = (_as_set(sensors), _as_set(devices))
        start, end = _microseconds(start, "start"), _microseconds(end, "end")
        conditions = []
        if start is not None:
            conditions.append(pc.field(str(self.time)) >= _moment(start))
        if end is not None:
            conditions.append(pc.field(str(self.time)) < _moment(end))
        needed = list(columns) if columns is not None else self.schema.names
        schema = pa.schema([self.schema.field(name) for name in needed if self.exists])
        tables = [empty_table(schema)]
        extra = [str(self.time)] if conditions and self.time not in needed else []
        for file in self.files(start, end, *wanted):
            for batch in self.batches(file, [*needed, *extra], *wanted):
                rows = batch
                for condition in conditions:
                    rows = rows.filter(condition)
                tables.append(rows.select(needed).cast(schema))
        return pa.concat_tables(tables)

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
        files = RowFiles(self.folder, change.schema, self.time)
        try:
            removed = self._write(change, files)
        except BaseException:
            files.discard()
            raise
        if not (files.written or removed or self._is_news(change.progress)):
            return self
        try:
            self._commit(files.written, removed, change)
        except BaseException:
            # A commit may have arrived although its answer did not: its files must stay.
            if self.latest().version_of(change, since=self.version) is None:
                files.discard()
            raise
        _sync_log(self.folder, after=self.version)
        return self.latest()

    def vacuum(self, after: timedelta) -> int:
        """Delete the files that no version needs any more after a time; returns how many were.

        Earlier versions of the table cannot be read after it, but for those of this time. What killed runs
        have left is deleted, too. Nothing is committed.
        """
        if self._delta is None:
            return 0
        hours, (root, _) = -(-after // timedelta(hours=1)), self.folder.delta_address()
        with self._clear_errors():
            listed = self._delta.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        # Files of earlier versions are listed by their whole paths, and long after they were deleted.
        unused = {name.removeprefix(f"{root}/") for name in listed}
        # The library takes hidden files, and what it left in its log itself, for those of others.
        oldest = time.time_ns() - hours * 3_600_000_000_000
        gone = [
            entry.name
            for entry in self.folder.entries()
            if entry.name in unused or (_UNFINISHED.search(entry.name) and entry.changed_ns < oldest)
        ]
        for name in gone:
            self.folder.delete(name)
        return len(gone)

    def _write(self, change: Change, files: RowFiles) -> list[DataFile]:
        """Write the files of a change; returns those that they replace."""
        removed = []
        with stopwatch.during("write"):
            for part in change.parts:
                files.write(stopwatch.waiting("write", part), change.by_month)
            for stored, rows in change.rewritten():
                removed.append(stored)
                files.write(rows, stored.by_month)
        return list(self._files) if change.replaces_all else removed

    def _is_news(self, progress: Mapping[str, int]) -> bool:
        return any(self.progress(name) != value for name, value in progress.items())

    def _commit(
        self,
        added: Sequence[WrittenFile],
        removed: Sequence[DataFile],
        change: Change,
    ) -> None:
        from deltalake import Schema
        from deltalake.exceptions import CommitFailedError

        schema = change.schema
        if self.time is not None:
            schema = schema.append(pa.field(DATE, pa.date32()))
        _sync_folders(self.folder, [file.name for file in added])

        guard = [change.guard] if isinstance(change.guard, str) else change.guard
        claims = sorted({*change.progress, *guard})
        base, waits = self, iter(_WAITS)

        def attempt() -> None:
            table = base._delta or self._create(schema)
            columns = table.schema()
            actions = [_add_action(file, change.changes_data) for file in added]
            # Overwriting replaces the columns, too.
            stored = pa.schema(columns.to_arrow()).remove_metadata()
            is_other = change.replaces_all and schema != stored
            if not is_other and schema.names != stored.names:
                raise ValueError(f"its columns are {stored.names}, and those of the new rows {schema.names}")
            if is_other:
                columns = Schema.from_arrow(schema)
            else:
                actions += [_remove_action(file, change.changes_data) for file in removed]
            mode, notes = "overwrite" if is_other else "append", _notes(change, claims)
            table.create_write_transaction(actions, mode, columns, self._days, commit_properties=notes)

        with self._clear_errors():
            while True:
                try:
                    attempt()
                    return
                except CommitFailedError as error:
                    if self.latest().version_of(change, since=self.version) is not None:
                        return
                    newest = self.latest()
                    if not newest._may_follow(base, claims, removed, change.replaces_all):
                        raise self._conflict() from error
                    base = newest
                except OSError:
                    # The library does not send a commit again whose answer it did not hear.
                    wait = next(waits, None)
                    if isinstance(self.folder, LocalFolder) or wait is None:
                        raise
                    if self.latest().version_of(change, since=self.version) is not None:
                        return
                    time.sleep(wait)

    def _may_follow(
        self, base: RowTable, claims: Sequence[str], removed: Sequence[DataFile], all_rows: bool
    ) -> bool:
        """Whether a change of an earlier version may be made to this one."""
        names = [file.name for file in removed]
        since = max(base.version, 0)  # its first commit creates a table
        return self.version > base.version and all(
            self._log.may_follow(version, claims, names, all_rows)
            for version in range(since + 1, self.version + 1)
        )

    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{self.folder.path()}: another run has changed this table meanwhile; run again after the "
            "other run has ended"
        )

    @property
    def _days(self) -> list[str]:
        return [] if self.time is None else [DATE]

    def _create(self, schema: pa.Schema) -> deltalake.DeltaTable:
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        if isinstance(self.folder, LocalFolder):
            self.folder.root.mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            uri, schema, mode="ignore", partition_by=self._days, storage_options=options or None
        )
        if table.version() != 0:
            raise self._conflict()  # another run has created it, and has written rows
        return table

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            yield
        except TableNotFoundError:
            raise
        except (DeltaError, OSError, ValueError) as error:
            # A storage in trouble is told in the sentence of its own client.
            self.folder.entry(f"{LOG}/_last_checkpoint")
            raise system_error(error, self.folder.path()) or InputError(
                f"{self.folder.path()}: this table cannot be read or written ({_one_line(error)})"
            ) from error


def _notes(change: Change, claims: Sequence[str]) -> Any:
    from deltalake import CommitProperties, Transaction

    notes = [Transaction(name, value) for name, value in sorted(change.progress.items())]
    # Whether the commit may follow another one is decided here, not by the library.
    days = sorted(day.isoformat() for day in change.days)
    return CommitProperties({CLAIMS: list(claims), DAYS: days, ID: change.id}, 0, notes)


def _add_action(file: WrittenFile, changes_data: bool) -> Any:
    from deltalake.transaction import AddAction

    days = {} if file.day is None else {DATE: file.day.isoformat()}
    return AddAction(
        file.name, file.size, days, time.time_ns() // 1_000_000, changes_data, json.dumps(file.stats)
    )


def _remove_action(file: DataFile, changes_data: bool) -> Any:
    from deltalake.transaction import RemoveAction

    days: dict[str, str | None] = {} if file.day is None else {DATE: file.day.isoformat()}
    return RemoveAction(file.name, changes_data, time.time_ns() // 1_000_000, file.size, days)


def _data_file(action: Mapping[str, Any], column: str | None) -> DataFile:
    is_own = action["path"].rpartition("/")[2].startswith(OWN)
    bounds = {
        name[4:]: (_bound(low), _bound(action[f"max.{name[4:]}"], is_cut=not is_own))
        for name, low in action.items()
        if name.startswith("min.") and low is not None and action[f"max.{name[4:]}"] is not None
        # Other programs cut long texts.
        if is_own or not isinstance(low, str)
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


def _one_line(error: Exception) -> str:
    """Return an error of ``deltalake`` without its colours, arrows and lines."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m|↳", " ", str(error)).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _bound(value: Any, is_cut: bool = False) -> Any:
    if not isinstance(value, datetime):
        return value
    us = microseconds(value)
    # Delta's own statistics are cut to milliseconds.
    return us + _MILLISECOND - 1 if is_cut and us % _MILLISECOND == 0 else us


def _microseconds(time: int | datetime | str | None, where: str) -> int | None:
    return time if time is None or isinstance(time, int) else microseconds(read_time(time, where))


def _moment(us: int) -> pa.Scalar:
    return pa.scalar(us, pa.int64()).cast(TIMESTAMP)


def _as_set(texts: Iterable[str] | None) -> frozenset[str] | None:
    return None if texts is None else frozenset([texts] if isinstance(texts, str) else texts)


def _require_whole(folder: Folder, version: int) -> None:
    """Raise when a local log ends in an empty file, which deltalake takes for a commit of nothing."""
    if isinstance(folder, LocalFolder):
        place = folder.root / LOG / f"{version:020d}.json"
        if place.exists() and place.stat().st_size == 0:
            raise InputError(
                f"{place}: this commit is empty, perhaps since the power failed, and this table cannot be "
                "read; delete that file and run again"
            )


def _sync_folders(folder: Folder, names: Iterable[str]) -> None:
    """Flush the local folders of new files to the disk; their bytes are there already."""
    if isinstance(folder, LocalFolder):
        for place in sorted({(folder.root / name).parent for name in names}):
            _sync(place)


def _sync_log(folder: Folder, after: int) -> None:
    """Flush the commits after a version to the disk, in a local folder."""
    if isinstance(folder, LocalFolder):
        log = folder.root / LOG
        numbers = (log / f"{version:020d}.json" for version in count(after + 1))
        for place in (*takewhile(Path.exists, numbers), log, folder.root):
            _sync(place)


def _sync(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        with naming(place):
            os.fsync(handle)
    finally:
        os.close(handle)
