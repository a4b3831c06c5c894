"""Read and append to the tables of what people on shift did."""

from __future__ import annotations

import pyarrow as pa

from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrow_arrays import empty_table


def read(table: RowTable, schema: pa.Schema) -> pa.Table:
    """Read all rows of a table; none where nobody has written any.

    Raises
    ------
    InputError
        When a newer version has written it.
    """
    table.require_known(schema)
    rows = pa.concat_tables([empty_table(schema), table.read()], promote_options="default")
    return rows.select(schema.names).combine_chunks()


def append(rows: pa.Table) -> Update:
    """Return the update that appends rows; it never conflicts with another one that appends."""
    return lambda _: Change(rows.schema, [[rows]])
