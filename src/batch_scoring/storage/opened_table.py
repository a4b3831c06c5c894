"""A Delta table as a run knows it: its log is read once, and then only what was committed since.

To open a table costs as much as its log is long, and an hour's run opens each of eleven tables several times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.storage.data_file import DataFile, read_data_files
from batch_scoring.storage.delta_errors import clear_errors, require_whole
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.table_log import Action, log_file
from batch_scoring.tables.arrow_arrays import as_rows

if TYPE_CHECKING:
    import deltalake

# Commits between checkpoints, which the library writes: a reader begins at the newest one.
CHECKPOINT_EVERY = {"delta.checkpointInterval": "10"}


@dataclass(frozen=True)
class Snapshot:
    """What the log says of a version of a table.

    Attributes
    ----------
    version : int
    id : str
        Identifies the table; one that was deleted and written again has another.
    schema : pyarrow.Schema
        Columns, ``date`` of a table with days among them.
    files : pyarrow.Table
        A row for each file: the ``add`` actions, flattened.
    """

    version: int
    id: str
    schema: pa.Schema
    files: pa.Table
    _read: dict[str | None, list[DataFile]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, delta: deltalake.DeltaTable) -> Snapshot:
        """Take down what the library knows."""
        schema = pa.schema([one.remove_metadata() for one in pa.schema(delta.schema().to_arrow())])
        files = pa.RecordBatchReader.from_stream(delta.get_add_actions(flatten=True)).read_all()
        # Nobody asks how many values are null: of predictions a third of the columns.
        asked = [name for name in files.column_names if not name.startswith("null_count.")]
        return cls(delta.version(), str(delta.metadata().id), schema, files.select(asked))

    def data_files(self, time: str | None) -> list[DataFile]:
        """Describe the files, by day and time; read once, however many steps look at this version.

        Raises
        ------
        ValueError
            See :func:`~batch_scoring.storage.data_file.read_data_files`.
        """
        if time not in self._read:
            files = read_data_files(as_rows(self.files), time)
            order = sorted(files, key=lambda one: (one.day or date.min, one.first, one.last, one.name))
            self._read[time] = order
        return self._read[time]


class OpenedTable:
    """A table that is opened once; safe among threads.

    Parameters
    ----------
    folder : Folder
        Of the table; it need not exist.

    Attributes
    ----------
    actions : dict of int to list
        What was read of the log, commit by commit.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = Lock()
        self._delta: deltalake.DeltaTable | None = None
        self._newest: Snapshot | None = None
        self._last_commit: Entry | None = None
        self.actions: dict[int, list[Action]] = {}

    def newest(self) -> Snapshot | None:
        """Look at the newest version; None where the table does not exist."""
        with self._lock, clear_errors(self._folder):
            if not self._follow():
                self._open()
            if self._delta is None:
                return None
            version = self._delta.version()
            if self._newest is None or self._newest.version != version:
                require_whole(self._folder, version)
                self._newest = Snapshot.of(self._delta)
                self._last_commit = self._folder.entry(log_file(version))
            return self._newest

    @contextmanager
    def at(self, version: int) -> Iterator[deltalake.DeltaTable]:
        """Hold a version, the newest as it is open; no other thread moves it on meanwhile."""
        with self._lock:
            if self._delta is not None and self._delta.version() == version:
                yield self._delta
                return
        with clear_errors(self._folder):
            table = _delta_table(self._folder, version)
        yield table

    def forget(self) -> None:
        """Open the table anew the next time."""
        with self._lock:
            self._delta = self._newest = None

    def __reduce__(self) -> tuple[type[OpenedTable], tuple[Folder]]:
        """Another process opens the table itself."""
        return type(self), (self._folder,)

    def _follow(self) -> bool:
        """Read what was committed since; False where it is to be opened: a table made anew, or a log cut."""
        from deltalake.exceptions import DeltaError

        if self._delta is None or self._last_commit is None:
            return False
        if self._folder.entry(self._last_commit.name) != self._last_commit:
            return False
        try:
            if self._folder.entry(log_file(self._delta.version() + 1)) is not None:
                self._delta.update_incremental()
        except DeltaError:
            return False
        return True

    def _open(self) -> None:
        from deltalake.exceptions import TableNotFoundError

        self._delta = self._newest = None
        self.actions.clear()
        try:
            self._delta = _delta_table(self._folder)
        except TableNotFoundError:
            return


def _delta_table(folder: Folder, version: int | None = None) -> deltalake.DeltaTable:
    from deltalake import DeltaTable

    uri, options = folder.delta_address()
    return DeltaTable(uri, version, storage_options=options or None)
