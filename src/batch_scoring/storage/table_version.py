"""Read a version of a Delta table: which files it has, what came and went since another one, and its rows.

``deltalake`` reads the log. The files are read here, because every step streams rows in the order of sensor,
device and time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_time
from batch_scoring.core.system_errors import system_error
from batch_scoring.storage.data_file import DataFile, read_data_file
from batch_scoring.storage.delta_errors import clear_errors, require_whole
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.parquet import open_parquet
from batch_scoring.storage.table_log import DATE, RETENTION, Commit, TableLog
from batch_scoring.tables.arrow_arrays import as_rows, empty_table, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, group_bounds, read_batches, read_pieces, row_groups
from batch_scoring.tables.schemas import TIMESTAMP

if TYPE_CHECKING:
    import deltalake

    from batch_scoring.storage.row_table import Change

T = TypeVar("T")

# Of times in microseconds; a null is before the first.
_FIRST, _LAST = -(2**63) + 1, 2**63 - 1
# Of a position, an int64 that is not negative.
_VERSION_BITS, _ORIGIN_SHIFT = 24, 22
REMAKE = "restore it from a backup, or delete the folder of the table and run again"


class TableVersion:
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
            with clear_errors(self.folder):
                table = DeltaTable(uri, storage_options=options or None)
        except TableNotFoundError:
            return None
        require_whole(self.folder, table.version())
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
        with clear_errors(self.folder):
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
        files = [read_data_file(action, self.time) for action in actions]
        return sorted(files, key=lambda one: (one.day or date.min, one.first, one.last, one.name))

    @property
    def num_rows(self) -> int:
        """Number of its rows."""
        return sum(file.rows for file in self._files)

    def latest(self) -> Self:
        """Return the newest version."""
        return type(self)(self.folder, self.time, self.if_damaged)

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
            if column not in opened.schema_arrow.names:
                continue
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
        changes = self._logged_since(version, TableLog.changes_since)
        if changes is None:
            return dict.fromkeys((file.name for file in self._files), self.version)
        return changes[0]

    def removed_since(self, version: int | None) -> list[DataFile] | None:
        """List the files of a version whose rows were rewritten or removed later; None if it is unknown.

        What :func:`~batch_scoring.storage.compaction.forget` has removed for its age is left out.
        """
        version = self.own_version(version)
        changes = self._logged_since(version, TableLog.changes_since)
        if changes is None or version is None or version < 0:
            return None if changes is None else []
        kept_from, names = self.progress(RETENTION) or 0, changes[1]
        files = [file for file in self.at(version)._files if file.name in names] if names else []
        return [file for file in files if file.last >= kept_from]

    def commits_since(self, version: int) -> list[Commit] | None:
        """Describe the commits after a version, in order; None where the log is gone."""
        return self._logged_since(version, TableLog.commits_since)

    def version_of(self, change: Change, since: int) -> int | None:
        """Return the version, after an earlier one, that a change has been committed as; None for none."""
        commits = self.commits_since(since) or []
        return next((commit.version for commit in commits if commit.id == change.id), None)

    def at(self, version: int) -> Self:
        """Return an earlier version."""
        from deltalake import DeltaTable

        uri, options = self.folder.delta_address()
        table = type(self)(self.folder, self.time, self.if_damaged)
        with clear_errors(self.folder):
            table.__dict__["_delta"] = DeltaTable(uri, version, storage_options=options or None)
        return table

    def _logged_since(self, version: int | None, read: Callable[[TableLog, int], T]) -> T | None:
        """Return what the log says of later commits; None where it is gone."""
        known = self.own_version(version)
        if known is None:
            return None
        with clear_errors(self.folder):
            try:
                return read(self._log, known)
            except FileNotFoundError:
                return None

    def had(self, position: int | None) -> bool:
        """Whether a :attr:`position` is of this version or an earlier one."""
        return self.own_version(position) is not None

    def not_before(self, position: int | None) -> Self:
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

        A file written before the table gained a column lacks it.

        Raises
        ------
        InputError
            When the file is gone or damaged.
        """
        missing = f"this file of a table is gone; {self.if_damaged}"
        opened = open_parquet(self.folder, file.name, self.if_damaged, missing, encoded)
        with self._naming(file):
            found = opened.schema_arrow
            if opened.metadata.num_rows != file.rows or not set(found.names) <= set(self.schema.names):
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

        Columns in ``encoded`` may come as dictionaries: texts that repeat take a fifth of the time. Columns
        that the table gained after the file was written are null.
        """
        asked = {"sensor": sensors, "device": devices}
        wanted = {name: strings(sorted(ids)) for name, ids in asked.items() if ids is not None}
        opened = self.open(file, encoded if file.is_own else ())
        with self._naming(file):
            names = list(columns) if columns is not None else self.schema.names
            groups = list(range(opened.num_row_groups))
            for name, ids in wanted.items():
                groups = row_groups(opened, name, ids.to_pylist(), groups)
            stored = set(opened.schema_arrow.names)
            needed = [name for name in dict.fromkeys([*names, *wanted]) if name in stored]
            later = [self.schema.field(name) for name in names if name not in stored]
            pieces = (
                read_pieces(opened, needed, rows, groups) if file.is_own else self._sorted(opened, needed)
            )
            for batch in pieces:
                kept = batch
                for name, ids in wanted.items():
                    is_wanted = positions(kept[name], ids) >= 0
                    kept = kept if is_wanted.all() else kept.filter(to_arrow(is_wanted))
                for one in later:
                    kept = kept.append_column(one, pa.nulls(kept.num_rows, one.type))
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
        needed = list(columns) if columns is not None else self.schema.names
        schema = pa.schema([self.schema.field(name) for name in needed if self.exists])
        tables = [empty_table(schema)]
        is_part = start is not None or end is not None
        low, high = _FIRST if start is None else start, _LAST if end is None else end
        extra = [str(self.time)] if is_part and self.time not in needed else []
        for file in self.files(start, end, *wanted):
            for batch in self.batches(file, [*needed, *extra], *wanted):
                rows = batch
                if is_part:
                    time = to_numpy(batch[str(self.time)].cast(TIMESTAMP), null=_FIRST - 1)
                    rows = batch.filter(to_arrow((time >= low) & (time < high)))
                tables.append(rows.select(needed).cast(schema))
        return pa.concat_tables(tables)

    def to_pandas(self, **wanted: Any) -> Any:
        """Read rows as a pandas data frame; see :meth:`read`."""
        return self.read(**wanted).to_pandas()

    def to_polars(self, **wanted: Any) -> Any:
        """Read rows as a Polars data frame; see :meth:`read`."""
        import polars

        return polars.from_arrow(self.read(**wanted))

    @property
    def _days(self) -> list[str]:
        return [] if self.time is None else [DATE]


def _microseconds(time: int | datetime | str | None, where: str) -> int | None:
    return time if time is None or isinstance(time, int) else microseconds(read_time(time, where))


def _as_set(texts: Iterable[str] | None) -> frozenset[str] | None:
    return None if texts is None else frozenset([texts] if isinstance(texts, str) else texts)
