"""Add rows to a table whose keys are unique: equal rows stay as they are, different ones are replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.storage.row_table import DataFile, RowTable
from batch_scoring.tables.arrays import Bool, UInt
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

    def replace(self, keys: UInt, contents: UInt, anyway: bool = False) -> Bool:
        """Mark the rows to add, shape (n,); stored rows of their keys are removed.

        Parameters
        ----------
        keys, contents : arrays of shape (n,), uint64
            Fingerprints of the rows' keys and contents.
        anyway : bool
            Whether equal rows are replaced, too.
        """
        if not self._stored.size:
            return np.ones(keys.size, bool)
        place = np.minimum(np.searchsorted(self._stored, keys), self._stored.size - 1)
        is_stored = self._stored[place] == keys
        is_dropped = self._is_replaced[self._order[place]]
        is_equal: Bool = is_stored & ~is_dropped & (self._contents[place] == contents) & (not anyway)
        self._is_seen[self._order[place[is_stored]]] = True
        self._is_replaced[self._order[place[is_stored & ~is_equal]]] = True
        return ~is_equal

    def drop(self, keys: UInt) -> None:
        """Remove the stored rows whose keys have these fingerprints, before ``fresh`` is read."""
        self._is_replaced[self._order[np.isin(self._stored, keys)]] = True

    def remove_unseen(self) -> None:
        """Remove the stored rows whose keys were not among those compared."""
        self._is_replaced |= ~self._is_seen

    def rewritten(self, lost: list[pa.Table] | None = None) -> Iterator[tuple[DataFile, Iterator[pa.Table]]]:
        """Yield the files that lose rows, each with the rows that stay; after ``fresh`` has been read.

        The keys of the rows that are lost are added to ``lost``.
        """
        for file, start, end in zip(self._files, self._places, self._places[1:], strict=False):
            is_lost = self._is_replaced[start:end]
            if is_lost.any():
                yield file, self._without(file, is_lost, lost)

    def _without(self, file: DataFile, is_lost: Bool, lost: list[pa.Table] | None) -> Iterator[pa.Table]:
        start = 0
        for rows in self._table.batches(file):
            kept = ~is_lost[start : start + rows.num_rows]
            start += rows.num_rows
            if lost is not None and not kept.all():
                lost.append(rows.select(self._key).filter(to_arrow(~kept)))
            yield rows.filter(to_arrow(kept))
