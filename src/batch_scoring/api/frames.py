"""Take frames of any library in as Arrow tables, and give tables out as frames of that library."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pyarrow as pa
from narwhals.dependencies import (
    is_into_dataframe,
    is_into_lazyframe,
    is_into_series,
    is_pandas_dataframe,
)

from batch_scoring.core.errors import InputError

_INDEX, _ARROW = "__index_level_0__", "pyarrow"


def as_table(frame: Any) -> pa.Table:
    """Convert a frame to Arrow; an index of times without a name becomes the column ``timestamp``.

    Raises
    ------
    InputError
        When it is not a frame in memory, has no rows, a column of durations or one that Arrow has no type
        for, columns of several levels, or an index of several that lack names.
    """
    kind = type(frame).__name__
    if is_into_lazyframe(frame):
        raise InputError(f"readings are a {kind}; expected a frame in memory, such as its collect() returns")
    if not hasattr(frame, "__arrow_c_stream__") or is_into_series(frame):
        raise InputError(f"readings are a {kind}; expected a frame, such as one of pandas or Polars")
    _require_plain_labels(frame)
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
    for column in table.schema:
        if pa.types.is_duration(column.type):
            raise InputError(
                f"readings: column {column.name!r} holds durations; expected times or numbers, such as the "
                "seconds that dt.total_seconds() returns"
            )
    return pa.table([_written(column) for column in table.columns], table.column_names)


def _require_plain_labels(frame: Any) -> None:
    """Refuse labels of pandas in several levels: what each names is unclear."""
    if not is_pandas_dataframe(frame):
        return
    levels = list(range(frame.columns.nlevels))
    if len(levels) > 1:
        raise InputError(
            f"readings: the columns have {len(levels)} levels; expected one, such as "
            f"frame.stack({levels}).rename('value').reset_index() makes of levels that are named device and "
            "sensor"
        )
    if frame.index.nlevels > 1 and None in frame.index.names:
        raise InputError(
            f"readings: levels of the index have no names; expected {frame.index.nlevels} names, such as "
            "frame.rename_axis(['timestamp', 'device', …]) gives"
        )


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


def library_of(frame: Any) -> Any:
    """Return the name of the library that a frame is of, as ``as_native`` takes it; Arrow if not known."""
    if not is_into_dataframe(frame):
        return _ARROW
    return nw.from_native(frame, eager_only=True).implementation.value


def as_native(table: pa.Table, library: Any) -> Any:
    """Convert a table to a frame of a library; it stays one of Arrow where that is not installed."""
    if library == _ARROW:
        return table
    try:
        return nw.from_arrow(table, backend=library).to_native()
    except ImportError:
        return table
