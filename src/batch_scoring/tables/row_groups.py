"""Regroup rows into row groups of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

# Rows of a device are adjacent; a step holds one row group in memory at a time.
ROW_GROUP_ROWS = 131_072


def in_row_groups(
    batches: Iterable[pa.RecordBatch | pa.Table], rows: int = ROW_GROUP_ROWS
) -> Iterator[pa.Table]:
    """Regroup batches into tables of one size.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch or pyarrow.Table
        Of one schema and any size, including empty.
    rows : int
        Rows in each table.

    Yields
    ------
    pyarrow.Table
        The same rows in the same order, ``rows`` in each table and the rest in the last one; each
        column is one chunk, so results do not depend on the batches. Without rows, no tables.
    """
    held: list[pa.Table] = []
    n_held = 0
    for batch in batches:
        held.append(batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch]))
        n_held += batch.num_rows
        if n_held < rows:
            continue
        table = pa.concat_tables(held)
        whole = n_held - n_held % rows
        for start in range(0, whole, rows):
            yield table.slice(start, rows).combine_chunks()
        held, n_held = [table.slice(whole)], n_held - whole
    if n_held:
        yield pa.concat_tables(held).combine_chunks()
