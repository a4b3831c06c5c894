"""Find the rows that a table gained and lost since a version, without those that were only rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.storage.row_table import DataFile, RowTable
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow
from batch_scoring.tables.fingerprints import row_fingerprints


@dataclass(frozen=True)
class RowChanges:
    """What changed in a table.

    Attributes
    ----------
    files : list of DataFile
        Files of which all rows are new.
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
MAX_ROWS = 4_000_000


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
        before, after = _read(table, removed, columns, nothing), _read(table, rewritten, columns, nothing)
    except InputError:
        return None  # vacuumed
    old, new = row_fingerprints(before, columns), row_fingerprints(after, columns)
    return RowChanges(
        [file for file in added if file not in rewritten],
        after.filter(to_arrow(~np.isin(new, old))),
        before.filter(to_arrow(~np.isin(old, new))),
    )


def _read(table: RowTable, files: Iterable[DataFile], columns: Sequence[str], nothing: pa.Table) -> pa.Table:
    rows = [batch.select(list(columns)) for file in files for batch in table.batches(file, columns)]
    return pa.concat_tables([nothing, *rows]).combine_chunks()
