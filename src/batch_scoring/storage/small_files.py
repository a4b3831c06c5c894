"""Join the small files that hourly commits leave, so that a table that is read whole stays in few files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable

# So many files, each of so few rows, are joined.
MANY_FILES, FEW_ROWS = 8, 4_096

Rewritten = Iterable[tuple[DataFile, Iterable[pa.Table]]]


class SmallFiles:
    """The small files of a table that a change joins, once there are many; else it stays as it is.

    Parameters
    ----------
    table : RowTable
    rewritten : callable
        Of the change, see :class:`~batch_scoring.storage.row_table.Change`.
    order : sequence of str
        The columns by which the rows of a file are sorted.
    """

    def __init__(self, table: RowTable, rewritten: Callable[[], Rewritten], order: Sequence[str]) -> None:
        small = {file.name: file for file in table.files() if file.rows < FEW_ROWS}
        self._small = small if len(small) > MANY_FILES else {}
        self._table = table
        self._before = rewritten
        self._order = [(name, "ascending") for name in order]
        self._others: list[tuple[DataFile, Iterable[pa.Table]]] = []

    def rows(self) -> Iterator[pa.Table]:
        """Yield what stays of the small files: the last part of the change."""
        kept: dict[str, Iterable[pa.Table]] = {
            name: self._table.batches(file) for name, file in self._small.items()
        }
        self._others = []
        for file, rows in self._before():
            if file.name in kept:
                kept[file.name] = rows
            else:
                self._others.append((file, rows))
        joined = [rows for some in kept.values() for rows in some]
        if joined:
            yield pa.concat_tables(joined).sort_by(self._order)

    def rewritten(self) -> Rewritten:
        """Return what the change rewrites, after :meth:`rows` has been read."""
        return [*self._others, *((file, ()) for file in self._small.values())]
