"""A version of a Delta table: which files it has, what it has recorded, and what came and went since another.

Its rows are read by :class:`~batch_scoring.storage.table_rows.TableRows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypeVar

import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import InputError
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.delta_errors import clear_errors
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.opened_table import OpenedTable, Snapshot
from batch_scoring.storage.table_log import DATE, RETENTION, Commit, TableLog

if TYPE_CHECKING:
    from batch_scoring.storage.row_table import Change

T = TypeVar("T")

# Of a position, an int64 that is not negative.
_VERSION_BITS, _ORIGIN_SHIFT = 24, 22
REMAKE = "restore it from a backup, or delete the folder of the table and run again"


class TableVersion:
    """A version of a Delta table: the latest when it is first looked at.

    Parameters
    ----------
    folder : Folder
        Of the table; it need not exist.
    time : str, optional
        The column whose day (UTC) partitions the table.
    if_damaged : str
        What a person is to do with a file that is gone or cannot be read.
    opened : OpenedTable, optional
        The table as it is known already.
    """

    def __init__(
        self,
        folder: Folder,
        time: str | None = None,
        if_damaged: str = REMAKE,
        opened: OpenedTable | None = None,
    ) -> None:
        self.folder = folder
        self.time = time
        self.if_damaged = if_damaged
        self._opened = OpenedTable(folder) if opened is None else opened

    @cached_property
    def _snapshot(self) -> Snapshot | None:
        return self._opened.newest()

    @property
    def version(self) -> int:
        """Number of its last commit, from 0; -1 where the table does not exist."""
        return -1 if self._snapshot is None else self._snapshot.version

    @cached_property
    def origin(self) -> int:
        """Number that a table made anew in its place has not; 0 where the table does not exist."""
        return 0 if self._snapshot is None else number_of(self._snapshot.id) >> _ORIGIN_SHIFT

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
        return "" if self._snapshot is None else self._snapshot.id

    @property
    def exists(self) -> bool:
        """Whether the table has been written."""
        return self._snapshot is not None

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of its files, in order, without ``date``; no columns where the table does not exist."""
        fields = () if self._snapshot is None else self._snapshot.schema
        return pa.schema([one for one in fields if one.name not in self._days])

    def require_known(self, schema: pa.Schema) -> None:
        """Raise InputError where the table has all columns of a schema and more: a newer version made it."""
        newer = {*self.schema.names} - {*schema.names}
        if newer and {*schema.names} <= {*self.schema.names}:
            raise InputError(
                f"{self.folder.path()}: this table has columns that this version does not know "
                f"({', '.join(sorted(newer))}); install the version of batch_scoring that made them"
            )

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
        return TableLog(self.folder, self.version, self._opened.actions)

    @cached_property
    def _files(self) -> list[DataFile]:
        if self._snapshot is None:
            return []
        with clear_errors(self.folder):
            return self._snapshot.data_files(self.time)

    @property
    def num_rows(self) -> int:
        """Number of its rows."""
        return sum(file.rows for file in self._files)

    def latest(self) -> Self:
        """Return the newest version."""
        return type(self)(self.folder, self.time, self.if_damaged, self._opened)

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
        wanted = {"sensor": as_set(sensors), "device": as_set(devices)}
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
        table = type(self)(self.folder, self.time, self.if_damaged, self._opened)
        with self._opened.at(version) as opened:
            table.__dict__["_snapshot"] = Snapshot.of(opened)
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

    @property
    def _days(self) -> list[str]:
        return [] if self.time is None else [DATE]


def as_set(texts: Iterable[str] | None) -> frozenset[str] | None:
    """Return some texts as a set; one text alone is a set of one."""
    return None if texts is None else frozenset([texts] if isinstance(texts, str) else texts)
