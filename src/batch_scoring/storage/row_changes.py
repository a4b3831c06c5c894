"""Find the rows that a table gained and lost since a version, without rows that were only rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow
from batch_scoring.tables.fingerprints import row_fingerprints


@dataclass(frozen=True)
class RowChanges:
    """What changed in a table.

    Attributes
    ----------
    files : list of DataFile
        Files whose rows are all new.
    gained, lost : pyarrow.Table
        Rows of other files that are new, and rows that are gone; a row that has changed is in both.
    """

    files: list[DataFile]
    gained: pa.Table
    lost: pa.Table

    @property
    def are_none(self) -> bool:
        """Whether no row has come or gone."""
        return not (self.files or self.gained.num_rows or self.lost.num_rows)


# More rows are not compared.
MAX_ROWS = 20_000_000


def changes_since(table: RowTable, version: int | None, columns: Sequence[str]) -> RowChanges | None:
    """Compare a table with an earlier version of it.

    Parameters
    ----------
    table : RowTable
    version : int or None
        None: before its first commit.
    columns : sequence of str
        The columns that are compared and returned; without nulls and lists.

    Returns
    -------
    RowChanges or None
        None where the earlier version cannot be read any more, or where so much was rewritten that to read
        everything takes less memory.
    """
    nothing = empty_table(pa.schema([table.schema.field(name) for name in columns] if table.exists else []))
    if version is None:
        return RowChanges(table.files(), nothing, nothing)
    removed = table.removed_since(version)
    if removed is None:
        return None
    added = table.added_since(version)
    rewritten = [file for file in added if any(file.overlaps(one.first, one.last + 1) for one in removed)]
    if not removed:
        return RowChanges(added, nothing, nothing)
    if sum(file.rows for file in (*removed, *rewritten)) > MAX_ROWS:
        return None
    try:
        old = np.sort(_fingerprints(table, removed, columns))
        gained, found = _others(table, rewritten, columns, old)
        new = np.sort(found)
        # Only fingerprints are held: an earlier file is read again where it has lost rows.
        lost = [] if _are_in(old, new).all() else _others(table, removed, columns, new)[0]
    except InputError:
        return None  # vacuumed
    return RowChanges(
        [file for file in added if file not in rewritten],
        pa.concat_tables([nothing, *gained]).combine_chunks(),
        pa.concat_tables([nothing, *lost]).combine_chunks(),
    )


def _fingerprints(table: RowTable, files: Iterable[DataFile], columns: Sequence[str]) -> UInt:
    found = [row_fingerprints(rows, columns) for file in files for rows in table.batches(file, columns)]
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _others(
    table: RowTable, files: Iterable[DataFile], columns: Sequence[str], known: UInt
) -> tuple[list[pa.Table], UInt]:
    """Return the rows that are not among known ones, fingerprints that are sorted, and all fingerprints."""
    rows, found = [], [np.zeros(0, np.uint64)]
    for file in files:
        for batch in table.batches(file, columns):
            found.append(row_fingerprints(batch, columns))
            is_other = ~_are_in(found[-1], known)
            if is_other.any():
                rows.append(batch.select(list(columns)).filter(to_arrow(is_other)))
    return rows, np.concatenate(found)


def _are_in(some: UInt, known: UInt) -> Bool:
    """Mark the numbers that are among known ones, sorted; shape (n,)."""
    if not known.size:
        return np.zeros(some.size, bool)
    found: Bool = known[np.minimum(np.searchsorted(known, some), known.size - 1)] == some
    return found
