"""Delta Lake tables: Parquet files of rows, and a log that commits files together with progress.

``deltalake`` keeps the log: atomic commits, conflicts between writers, checkpoints. The files are written
here, in the order of sensor, device and time.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import date, timedelta
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa

from batch_scoring.core.errors import ConflictError
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.core.system_errors import naming
from batch_scoring.storage.data_file import COPIES, DataFile
from batch_scoring.storage.delta_errors import clear_errors
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.local import LocalFolder
from batch_scoring.storage.opened_table import CHECKPOINT_EVERY
from batch_scoring.storage.row_files import DENSE, QUICK, RowFiles, WrittenFile
from batch_scoring.storage.table_log import CLAIMS, DATE, DAYS, ID, LOG, log_file
from batch_scoring.storage.table_rows import TableRows

if TYPE_CHECKING:
    import deltalake

Seen = TypeVar("Seen")

# Seconds before a commit that was not answered is sent again.
_WAITS = (0.5, 2.0)
# Names of files that a run was writing when it was killed.
_UNFINISHED = re.compile(rf"\.(?:partial|lock)$|^{LOG}/.*#\d+$")


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
        Names of what the rows are about, the names of ``progress`` among them. Of two concurrent commits
        with names that are not apart, one fails; see :func:`~batch_scoring.storage.table_log.are_apart`.
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


class Look(Generic[Seen]):
    """An update that leaves a table, or models, as they are, and shows them to the step that yields it.

    No node of Kedro may read what it writes. A step that needs what is there yields a look at it first: what
    a step yields is saved before it goes on.

    Attributes
    ----------
    seen : RowTable or other
        Once the look has been saved.
    """

    seen: Seen

    def __call__(self, seen: Seen) -> None:
        """Keep what there is."""
        self.seen = seen


class RowTable(TableRows):
    """A Delta table: a version of it, and commits that make the next one.

    The parameters are those of :class:`~batch_scoring.storage.table_version.TableVersion`.
    """

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
            removed a file that this change replaces; no row is changed then. Also when the change brings new
            columns: the table has them now, as null in all rows, and the change is to be made anew.
        """
        if not change.replaces_all:
            self._gain_columns(change.schema)
        files = RowFiles(self.folder, change.schema, self.time, QUICK if change.changes_data else DENSE)
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
        if not self.exists:
            return 0
        hours, (root, _) = -(-after // timedelta(hours=1)), self.folder.delta_address()
        with clear_errors(self.folder), self._opened.at(self.version) as table:
            listed = table.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True)
        # Files of earlier versions are listed by their whole paths, and long after they were deleted.
        unused = {name.removeprefix(f"{root}/") for name in listed}
        # The library takes hidden files, and what it left in its log itself, for those of others.
        oldest = time.time_ns() - hours * 3_600_000_000_000
        copies = {file.copy for file in self._files}
        gone = [
            entry.name
            for entry in self.folder.entries()
            if entry.name in unused
            or (entry.name.startswith(f"{COPIES}/") and entry.name not in copies)
            or (_UNFINISHED.search(entry.name) and entry.changed_ns < oldest)
        ]
        for name in gone:
            self.folder.delete(name)
        return len(gone)

    def _write(self, change: Change, files: RowFiles) -> list[DataFile]:
        """Write the files of a change; returns the files that they replace."""
        removed = []
        with stopwatch.during("write"):
            for part in change.parts:
                files.write(stopwatch.waiting("write", part), change.by_month)
            for stored, rows in change.rewritten():
                removed.append(stored)
                files.write(rows, stored.by_month)
        return list(self._files) if change.replaces_all else removed

    def _gain_columns(self, schema: pa.Schema) -> None:
        """Add the columns to the table that it has not, in a commit of their own."""
        from deltalake import Schema
        from deltalake.exceptions import CommitFailedError

        new = [one for one in schema if one.name not in self.schema.names]
        if not self.exists or not new or not set(self.schema.names) <= set(schema.names):
            return
        fields, notes = Schema.from_arrow(pa.schema(new)).fields, _notes(Change(schema), ())
        with clear_errors(self.folder), suppress(CommitFailedError), self._opened.at(self.version) as table:
            table.alter.add_columns(fields, commit_properties=notes)
        self._opened.forget()  # the library has changed what it had opened
        raise self._conflict()

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

        def attempt(table: deltalake.DeltaTable) -> None:
            columns = table.schema()
            actions = [_add_action(file, change.changes_data) for file in added]
            # Overwriting replaces the columns, too.
            stored = pa.schema(columns.to_arrow()).remove_metadata()
            is_other = change.replaces_all and schema != stored
            if not is_other and set(schema.names) != set(stored.names):
                others = sorted({*schema.names} ^ {*stored.names})
                raise ValueError(f"columns of the table or of the new rows alone: {', '.join(others)}")
            if is_other:
                columns = Schema.from_arrow(schema)
            else:
                actions += [_remove_action(file, change.changes_data) for file in removed]
            mode, notes = "overwrite" if is_other else "append", _notes(change, claims)
            table.create_write_transaction(actions, mode, columns, self._days, commit_properties=notes)

        if not change.replaces_all:
            self.require_known(change.schema)
        with clear_errors(self.folder):
            while True:
                try:
                    if base.exists:
                        with self._opened.at(base.version) as table:
                            attempt(table)
                    else:
                        attempt(self._create(schema))
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
        is_later = self.version > base.version and self.had(base.position)
        return is_later and all(
            self._log.may_follow(version, claims, names, all_rows)
            for version in range(since + 1, self.version + 1)
        )

    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{self.folder.path()}: another run has changed this table meanwhile; run again after the "
            "other run has ended"
        )

    def _create(self, schema: pa.Schema) -> deltalake.DeltaTable:
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        if isinstance(self.folder, LocalFolder):
            self.folder.root.mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            uri,
            schema,
            mode="ignore",
            partition_by=self._days,
            configuration=CHECKPOINT_EVERY,
            storage_options=options or None,
        )
        if table.version() != 0:
            raise self._conflict()  # another run has created it, and has written rows
        return table


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


def _sync_folders(folder: Folder, names: Iterable[str]) -> None:
    """Flush the local folders of new files to the disk; their bytes are there already."""
    if isinstance(folder, LocalFolder):
        for place in sorted({(folder.root / name).parent for name in names}):
            _sync(place)


def _sync_log(folder: Folder, after: int) -> None:
    """Flush the commits after a version to the disk, in a local folder, with checkpoints made of them."""
    if isinstance(folder, LocalFolder):
        log = folder.root / LOG
        commits = takewhile(Path.exists, (folder.root / log_file(version) for version in count(after + 1)))
        for commit in commits:
            _sync(commit)
            # A table whose last checkpoint is damaged cannot be read.
            if (checkpoint := log / f"{commit.stem}.checkpoint.parquet").exists():
                for place in (checkpoint, *log.glob("_last_checkpoint")):
                    _sync(place)
        _sync(log)
        _sync(folder.root)


def _sync(place: Path) -> None:
    if os.name == "nt" and place.is_dir():
        return  # Windows flushes no folder by itself
    handle = os.open(place, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        with naming(place):
            os.fsync(handle)
    finally:
        os.close(handle)
