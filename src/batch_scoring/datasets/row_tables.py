"""Delta Lake tables of rows: loaded lazily, changed by updates that commit rows and progress together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from batch_scoring.core.errors import ConflictError
from batch_scoring.datasets.entries import Entries
from batch_scoring.datasets.own import FolderDataset, require_kind
from batch_scoring.storage.opened_table import OpenedTable
from batch_scoring.storage.row_table import RowTable, Update
from batch_scoring.storage.table_version import REMAKE

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview

# Tries of an update that other runs overtake, and the longest wait between two of them, seconds.
TRIES = 8
_LONGEST_WAIT = 2.0
# By path and credentials. A table may be in several entries; all of them know what one has read of its log.
_OPENED: WeakValueDictionary[tuple[str, str], OpenedTable] = WeakValueDictionary()


class RowTableDataset(FolderDataset[Update, RowTable]):
    """A Delta Lake table, which pandas, Polars, DuckDB and Spark read as it is.

    ``load`` gives a :class:`~batch_scoring.storage.row_table.RowTable`, which reads nothing yet:
    ``table.to_pandas(sensors=["vibration"])`` and ``table.read(...)`` do, and a table that was never written
    has no rows. ``save`` takes an update: a function of the table as it is now that returns the
    :class:`~batch_scoring.storage.row_table.Change` to commit, or None. When another run commits first, the
    function is called again with the newer table.

    Parameters
    ----------
    path : str
        A local folder, or a URL.
    time : str, optional
        The column whose day (UTC) partitions the table.
    if_damaged : str
        What a person is to do with a file that is gone or cannot be read. Most tables are made again of the
        table before; readings are not, since their sources count as read.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(self, path: str, time: str | None = None, if_damaged: str = REMAKE, **more: Any) -> None:
        super().__init__(path, **more)
        self._time = time
        self._if_damaged = if_damaged
        place = self._folder.path(), repr(self._credentials)
        self._opened = _OPENED.setdefault(place, OpenedTable(self._folder))

    def load(self) -> RowTable:
        """Open the table's latest version."""
        return RowTable(self._folder, self._time, self._if_damaged, self._opened)

    def save(self, data: Update) -> None:
        """Commit an update to the latest version; raises InputError on anything else, such as a frame."""
        require_kind(
            data,
            Callable,
            "an update, such as `lambda table: Change(schema, [[rows]])`; readings of your own come in by "
            "`kedro run --pipelines=ingest`",
        )
        for attempt in range(TRIES):
            table = self.load()
            try:
                change = data(table)
                if change is not None:
                    table.commit(change)
                return
            except ConflictError:
                if attempt == TRIES - 1:
                    raise
            time.sleep(random.uniform(0, min(0.05 * 2**attempt, _LONGEST_WAIT)))

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        return preview_table(self.load().head(nrows))

    def _exists(self) -> bool:
        return self.load().exists


class RowTables(Entries):
    """All tables of a workspace: ``load`` gives a mapping of them, ``save`` takes a function of them."""

    def save(self, data: Callable[..., object]) -> None:  # type: ignore[override]
        """Call the function with the tables, by their names; raises InputError on anything else."""
        require_kind(data, Callable, "a function of the tables, as the pipeline maintain makes it")
        data(**self.load())

    def _exists(self) -> bool:
        """Nothing is ever missing: a table that was never written has no rows."""
        return True
