"""Take frames of any library in as Arrow tables, and give tables out as frames of that library."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pyarrow as pa
from narwhals.dependencies import is_into_dataframe, is_into_lazyframe

from batch_scoring.core.errors import InputError

_INDEX = "__index_level_0__"


def as_table(frame: Any) -> pa.Table:
    """Convert a frame to Arrow; an index of times without a name becomes the column ``timestamp``.

    Raises
    ------
    InputError
        When it is no frame in memory, has no rows, or a column that Arrow has no type for.
    """
    kind = type(frame).__name__
    if is_into_lazyframe(frame):
        raise InputError(f"readings are a {kind}; expected a frame in memory, such as its collect() returns")
    if not hasattr(frame, "__arrow_c_stream__"):
        raise InputError(f"readings are a {kind}; expected a frame, such as one of pandas or Polars")
    try:
        table = pa.table(frame).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"readings: this {kind} is not valid ({error}); expected columns of one type each, such as "
            "numbers or text, and of different names"
        ) from None
    if table.num_rows == 0:
        raise InputError("readings: the frame has no rows; expected one measurement or more")
    if _INDEX in table.column_names:
        is_time = (
            pa.types.is_timestamp(table.schema.field(_INDEX).type) and "timestamp" not in table.column_names
        )
        names = ["timestamp" if name == _INDEX else name for name in table.column_names]
        table = table.rename_columns(names) if is_time else table.drop_columns([_INDEX])
    return pa.table([_written(column) for column in table.columns], table.column_names)


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give categories of Polars a type that Arrow can write to Parquet."""
    kind = column.type
    if not (pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type)):
        return column
    parts = [
        pa.DictionaryArray.from_arrays(part.indices, part.dictionary.cast(pa.string()))
        for part in column.chunks
    ]
    return pa.chunked_array(parts)


def as_native(table: pa.Table, like: Any) -> Any:
    """Convert a table to a frame of the same library as another one; to Arrow where it is not known."""
    if not is_into_dataframe(like) or isinstance(like, pa.Table):
        return table
    backend = nw.from_native(like, eager_only=True).implementation
    return nw.from_arrow(table, backend=backend).to_native()
