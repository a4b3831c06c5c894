"""Take frames of any library in as Arrow tables, and give tables out as frames of that library."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pyarrow as pa
from narwhals.dependencies import is_into_dataframe

from batch_scoring.core.errors import InputError

_INDEX = "__index_level_0__"


def as_table(frame: Any) -> pa.Table:
    """Convert a frame to Arrow; an index of times without a name becomes the column ``timestamp``.

    Raises
    ------
    InputError
        When it is no frame, or has no rows.
    """
    if not hasattr(frame, "__arrow_c_stream__"):
        raise InputError(
            f"readings are a {type(frame).__name__}; expected a frame, such as one of pandas or Polars"
        )
    table = pa.table(frame).replace_schema_metadata(None)
    if table.num_rows == 0:
        raise InputError("readings: the frame has no rows; expected one measurement or more")
    if _INDEX in table.column_names:
        is_time = (
            pa.types.is_timestamp(table.schema.field(_INDEX).type) and "timestamp" not in table.column_names
        )
        names = ["timestamp" if name == _INDEX else name for name in table.column_names]
        table = table.rename_columns(names) if is_time else table.drop_columns([_INDEX])
    return table


def as_native(table: pa.Table, like: Any) -> Any:
    """Convert a table to a frame of the same library as another one; to Arrow where it is not known."""
    if not is_into_dataframe(like) or isinstance(like, pa.Table):
        return table
    backend = nw.from_native(like, eager_only=True).implementation
    return nw.from_arrow(table, backend=backend).to_native()
