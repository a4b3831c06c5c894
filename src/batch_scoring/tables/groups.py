"""Group the rows of a table by texts, and sum the groups up. Arrow's own ways import pandas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import distinct, positions, to_arrow, to_numpy


class Groups:
    """The groups of rows with the same texts, sorted by these as UTF-8 bytes.

    Parameters
    ----------
    rows : pyarrow.Table
        n rows.
    keys : sequence of str
        Columns of texts without nulls; the first counts most in the order.

    Attributes
    ----------
    first : ndarray of int64, shape (g,)
        The first row of each group.
    """

    def __init__(self, rows: pa.Table, keys: Sequence[str]) -> None:
        self._rows = rows
        code = np.zeros(rows.num_rows, np.int64)
        for key in keys:
            names = distinct(rows[key])
            code = code * len(names) + positions(rows[key], names)
        _, self.first, self._number = np.unique(code, return_index=True, return_inverse=True)
        self._order = np.argsort(self._number, kind="stable")
        self._begins = np.flatnonzero(np.diff(self._number[self._order], prepend=-1))

    def firsts(self, columns: Sequence[str]) -> pa.Table:
        """Return these columns of each group's first row."""
        return self._rows.select(columns).take(to_arrow(self.first))

    def sums(self, column: str) -> pa.Array:
        """Sum a column of numbers without nulls, shape (g,)."""
        return self._reduced(np.add, column)

    def mins(self, column: str) -> pa.Array:
        """Return the least of a column of numbers or times without nulls, shape (g,)."""
        return self._reduced(np.minimum, column)

    def maxima(self, column: str) -> pa.Array:
        """Return the largest of a column of numbers or times, shape (g,); null where all are."""
        kind = self._rows.schema.field(column).type
        values = self._rows[column]
        if not values.null_count:
            return self._reduced(np.maximum, column)
        is_there = to_numpy(values.is_valid())
        lowest = (
            np.iinfo(np.int64).min if kind.bit_width == 64 and not pa.types.is_floating(kind) else -np.inf
        )
        found = to_arrow(np.maximum.reduceat(to_numpy(values, null=lowest)[self._order], self._begins))
        some = np.logical_or.reduceat(is_there[self._order], self._begins)
        return pc.if_else(to_arrow(some), found.cast(kind), pa.nulls(len(found), kind))

    def count_distinct(self, column: str) -> pa.Array:
        """Count the different texts or times of each group, shape (g,), int64."""
        values = self._rows[column]
        texts = pa.types.is_string(values.type)
        _, code = np.unique(
            positions(values, distinct(values)) if texts else to_numpy(values), return_inverse=True
        )
        pairs = np.unique(self._number * np.int64(code.max(initial=0) + 1) + code)
        return to_arrow(np.bincount(pairs // (code.max(initial=0) + 1), minlength=self.first.size))

    def _reduced(self, function: np.ufunc, column: str) -> pa.Array:
        kind = self._rows.schema.field(column).type
        return to_arrow(function.reduceat(to_numpy(self._rows[column])[self._order], self._begins)).cast(kind)


def are_among(rows: pa.Table, others: pa.Table, keys: Sequence[str]) -> Bool:
    """Whether each row's texts are those of a row of another table, shape (n,)."""
    code, other = np.zeros(rows.num_rows, np.int64), np.zeros(others.num_rows, np.int64)
    for key in keys:
        names = distinct(rows[key], others[key])
        code = code * len(names) + positions(rows[key], names)
        other = other * len(names) + positions(others[key], names)
    found: Bool = np.isin(code, other)
    return found
