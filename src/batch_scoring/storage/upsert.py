"""Add rows to a table whose keys are unique: equal rows stay as they are, different ones are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import to_arrow
from batch_scoring.tables.fingerprints import row_fingerprints


class Upsert:
    """Rows to add, compared with the stored rows of some files.

    Parameters
    ----------
    table : RowTable
    files : sequence of DataFile
        The files that may hold a row of the same key.
    key : sequence of str
        The columns that name a row.
    content : callable, optional
        Computes a fingerprint of each row, shape (n,), uint64; equal rows have equal ones. Default: over all
        columns.
    read : sequence of str, optional
        The columns that ``content`` reads besides the key.
    among : callable, optional
        Marks the rows that :meth:`remove_unseen` may remove, shape (n,); default: all.
    """

    def __init__(
        self,
        table: RowTable,
        files: Sequence[DataFile],
        key: Sequence[str],
        content: Callable[[pa.Table], UInt] | None = None,
        read: Sequence[str] | None = None,
        among: Callable[[pa.Table], Bool] | None = None,
    ) -> None:
        self._table = table
        self._key = list(key)
        self._content = content or (lambda rows: row_fingerprints(rows, table.schema.names))
        self._files = list(files)
        columns = None if read is None else [*self._key, *(name for name in read if name not in key)]
        keys, contents, others, self._places = [], [], [], [0]
        for file in self._files:
            for rows in table.batches(file, columns):
                keys.append(row_fingerprints(rows, self._key))
                contents.append(self._content(rows))
                others.append(np.zeros(rows.num_rows, bool) if among is None else ~among(rows))
            self._places.append(sum(map(len, keys)))
        stored = np.concatenate([np.zeros(0, np.uint64), *keys])
        self._order = np.argsort(stored, kind="stable")
        self._stored = stored[self._order]
        self._contents = np.concatenate([np.zeros(0, np.uint64), *contents])[self._order]
        self._is_replaced = np.zeros(stored.size, bool)
        self._is_seen = np.concatenate([np.zeros(0, bool), *others])

    @property
    def size(self) -> int:
        """Number of the stored rows."""
        return self._stored.size

    def fresh(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass on the rows that are new or differ from the stored row of their key."""
        if not self._stored.size:
            yield from tables
            return
        for rows in tables:
            keep = self.replace(row_fingerprints(rows, self._key), self._content(rows))
            if keep.all():
                yield rows
            elif keep.any():
                yield rows.filter(to_arrow(keep))

    def differ(self, keys: UInt, contents: UInt) -> Bool:
        """Mark the rows that are not stored as they are, shape (n,).

        Parameters
        ----------
        keys, contents : arrays of shape (n,), uint64
            Fingerprints of the rows' keys and contents.
        """
        return ~self._compare(keys, contents)[2]

    def replace(self, keys: UInt, contents: UInt) -> Bool:
        """Mark the rows to add as :meth:`differ` does; stored rows of their keys are removed."""
        row, is_stored, is_equal = self._compare(keys, contents)
        if is_stored.any():
            self._is_seen[row[is_stored]] = True
            self._is_replaced[row[is_stored & ~is_equal]] = True
        return ~is_equal

    def drop(self, keys: UInt) -> None:
        """Remove the stored rows whose keys have these fingerprints."""
        first = np.searchsorted(self._stored, keys)
        n = np.searchsorted(self._stored, keys, "right") - first
        place = np.repeat(first - np.cumsum(n) + n, n) + np.arange(n.sum())
        self._is_replaced[self._order[place]] = True

    def remove_unseen(self, kept: Bool | None = None) -> None:
        """Remove the stored rows whose keys were not among those compared.

        Parameters
        ----------
        kept : array of shape (n,), bool, optional
            Marks stored rows, in the order of the files, that stay all the same.
        """
        self._is_replaced |= ~self._is_seen & (True if kept is None else ~kept)

    def removed(self) -> list[tuple[DataFile, Bool]]:
        """Return the files that lose rows, each with the mask of these rows."""
        places = zip(self._files, self._places, self._places[1:], strict=False)
        masks = [(file, self._is_replaced[start:end]) for file, start, end in places]
        return [(file, mask) for file, mask in masks if mask.any()]

    def rewritten(self, lost: list[pa.Table] | None = None) -> Iterator[tuple[DataFile, Iterator[pa.Table]]]:
        """Yield the files that lose rows, each with the rows that stay; after ``fresh`` has been read.

        The keys of the rows that are lost are added to ``lost``.
        """
        note = None if lost is None else lambda rows: lost.append(rows.select(self._key))
        for file, mask in self.removed():
            yield file, rows_without(self._table, file, mask, note)

    def _compare(self, keys: UInt, contents: UInt) -> tuple[Int, Bool, Bool]:
        """Return each row's stored row, whether its key is stored, and whether it is stored as it is."""
        if not self._stored.size:
            return np.zeros(keys.size, np.int64), np.zeros(keys.size, bool), np.zeros(keys.size, bool)
        place = np.minimum(np.searchsorted(self._stored, keys), self._stored.size - 1)
        row = self._order[place]
        is_stored: Bool = self._stored[place] == keys
        return row, is_stored, is_stored & ~self._is_replaced[row] & (self._contents[place] == contents)


def rows_without(
    table: RowTable, file: DataFile, is_lost: Bool, note: Callable[[pa.Table], None] | None = None
) -> Iterator[pa.Table]:
    """Read the rows of a file but those of a mask, shape (file.rows,), which are handed to ``note``."""
    start = 0
    for rows in table.batches(file):
        kept = ~is_lost[start : start + rows.num_rows]
        start += rows.num_rows
        if note is not None and not kept.all():
            note(rows.filter(to_arrow(~kept)))
        yield rows.filter(to_arrow(kept))
