"""Convert between NumPy and Arrow by their buffers: no copy, and no import of pandas.

Arrow's own ``to_numpy`` and ``pa.array`` import pandas wherever it is installed, to check whether
their argument is one of its types: half a second of every scoring job.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_scoring.core.moments import EPOCH, microseconds
from batch_scoring.tables.arrays import Bool, Float, Int

_FIXED_WIDTH = {
    pa.float64(): np.float64,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint64(): np.uint64,
}

_NUMPY_KINDS = {pa.float64(): np.float64, pa.bool_(): np.bool_}


def to_numpy(array: pa.Array | pa.ChunkedArray, null: Any = None) -> NDArray[Any]:
    """Convert an Arrow array to NumPy, shape (n,).

    Parameters
    ----------
    array : pyarrow.Array or ChunkedArray
        Booleans, float64, int32, int64, uint64, or timestamps, which become int64.
    null : number or bool, optional
        Replaces nulls. Without it, nulls keep whatever value their buffer holds.
    """
    if isinstance(array, pa.ChunkedArray):
        # Without a chunk, Arrow would call pa.array.
        array = array.combine_chunks() if array.num_chunks else _nothing(array.type)
    if pa.types.is_boolean(array.type):
        return _without_nulls(_bits(array.buffers()[1], array.offset, len(array)), array, null)
    width = _FIXED_WIDTH.get(array.type, np.int64)
    if not pa.types.is_timestamp(array.type) and array.type not in _FIXED_WIDTH:
        raise TypeError(f"Arrow type {array.type} is not supported; expected booleans, numbers or timestamps")
    if len(array) == 0:
        return np.zeros(0, width)
    values = np.frombuffer(array.buffers()[1], width)[array.offset :][: len(array)]
    return _without_nulls(values, array, null)


def _without_nulls(values: NDArray[Any], array: pa.Array, null: Any) -> NDArray[Any]:
    if null is None or not array.null_count:
        return values
    return np.where(_bits(array.buffers()[0], array.offset, len(array)), values, null)


def to_arrow(values: NDArray[Any]) -> pa.Array:
    """Convert booleans, float64, int32, int64 or uint64 of shape (n,) to Arrow."""
    if values.dtype == np.bool_:
        bits = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), values.size, [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(np.ascontiguousarray(values))])


def strings(texts: Sequence[str]) -> pa.Array:
    """Build an Arrow array of strings."""
    return packed([text.encode() for text in texts], pa.string())


def packed(values: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    """Build an Arrow array of bytes, or of strings from their UTF-8 bytes."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def constant(text: str, n: int) -> pa.Array:
    """Build an Arrow array of one string, n times."""
    return strings([text]).take(to_arrow(np.zeros(n, np.int64)))


def distinct(*texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the distinct strings of several arrays, sorted as UTF-8 bytes."""
    found = pc.unique(pa.chunked_array([pc.unique(some) for some in texts], pa.string()))
    return found.take(pc.array_sort_indices(found))


def as_matrix(lists: pa.ChunkedArray) -> Float:
    """Convert lists of float64 of one length to an array, shape (n, length)."""
    values = to_numpy(lists.combine_chunks().flatten())
    return values.reshape(len(lists), -1) if len(lists) else np.zeros((0, 0))


def as_lists(rows: Float, kind: pa.DataType) -> pa.Array:
    """Convert an array of shape (n, length) to lists of float64."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(to_arrow(offsets), to_arrow(rows.ravel())).cast(kind)


def positions(texts: pa.Array | pa.ChunkedArray, among: pa.Array) -> Int:
    """Look up each string's position among distinct ones, shape (n,); -1 where it is missing.

    Fast where equal strings are adjacent, as the rows of a device are: each run is looked up once.
    """
    texts = _one_chunk(texts)
    if pa.types.is_dictionary(texts.type):
        return positions(texts.dictionary, among)[to_numpy(texts.indices)]
    runs = pc.run_end_encode(texts)
    if runs.values.equals(among):  # as the windows of devices that all have a model: no search
        found = np.arange(len(among))
    else:
        found = to_numpy(pc.index_in(runs.values, value_set=among), null=-1).astype(np.int64)
    return np.repeat(found, np.diff(to_numpy(runs.run_ends), prepend=0))


class Lookup:
    """Looks up the strings of one column after the other among distinct ones, as :func:`positions` does.

    A dictionary that equals the one before, such as the devices of the next hour, is not searched again.

    Parameters
    ----------
    among : pyarrow.Array
    """

    def __init__(self, among: pa.Array) -> None:
        self._among = among
        self._known: pa.Array = strings([])
        self._found: Int = np.zeros(0, np.int64)

    def positions(self, texts: pa.Array | pa.ChunkedArray) -> Int:
        """Look up each string's position, shape (n,); -1 where it is missing."""
        column = _one_chunk(texts)
        if not pa.types.is_dictionary(column.type):
            return positions(column, self._among)
        return self._find(column.dictionary)[to_numpy(column.indices)]

    def has(self, texts: pa.Array | pa.ChunkedArray) -> Bool:
        """Mark the strings that are there, shape (n,)."""
        column = _one_chunk(texts)
        if not pa.types.is_dictionary(column.type):
            return positions(column, self._among) >= 0
        is_one: Bool = self._find(column.dictionary) >= 0
        return np.ones(len(column), bool) if is_one.all() else is_one[to_numpy(column.indices)]

    def _find(self, dictionary: pa.Array) -> Int:
        if not dictionary.equals(self._known):
            self._known, self._found = dictionary, positions(dictionary, self._among)
        return self._found


def codes(texts: pa.ChunkedArray) -> Int:
    """Number the texts of a column, shape (n,): equal ones alike."""
    column = _one_chunk(texts)
    column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return to_numpy(column.indices)


def are_among(texts: pa.ChunkedArray, among: pa.Array) -> Bool:
    """Mark the strings that are among distinct ones, shape (n,)."""
    return Lookup(among).has(texts)


def span_between(texts: pa.Array | pa.ChunkedArray, first: str, last: str) -> slice:
    """Return where sorted texts (UTF-8 bytes) lie between two, both among them."""
    begin = bisect_left(range(len(texts)), first, key=lambda row: texts[row].as_py())
    return slice(begin, bisect_right(range(len(texts)), last, begin, key=lambda row: texts[row].as_py()))


def are(texts: pa.Array | pa.ChunkedArray, text: str) -> Bool:
    """Compare strings with one text, shape (n,). Arrow's ``equal`` imports pandas for empty arrays."""
    found: Bool = to_numpy(pc.is_in(texts, value_set=_alone(text)))
    return found


@lru_cache
def _alone(text: str) -> pa.Array:
    return strings([text])


def empty_table(schema: pa.Schema) -> pa.Table:
    """Build a table without rows."""
    return pa.Table.from_batches([], schema=schema)


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.combine_chunks() if column.num_chunks else _nothing(column.type)


def _nothing(kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return strings([])
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(to_arrow(np.zeros(0, np.int32)), strings([]))
    return pa.Array.from_buffers(kind, 0, [None, None])


def _bits(buffer: pa.Buffer, offset: int, n: int) -> Bool:
    if n == 0:
        return np.zeros(0, np.bool_)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), count=offset + n, bitorder="little")
    return bits[offset:].view(np.bool_)


def as_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Convert rows to dictionaries, times in UTC. Arrow's ``to_pylist`` imports pandas for times."""
    columns = [_as_list(column) for column in table.columns]
    return (dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def from_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Convert dictionaries to a table of strings, lists of them, numbers, times and booleans; missing: null.

    Arrow's ``from_pylist`` imports pandas.
    """
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        is_there = np.array([value is not None for value in values], bool)
        if pa.types.is_string(field.type):
            column = strings([value or "" for value in values])
        elif pa.types.is_list(field.type):
            ends = np.cumsum([0, *(len(value or ()) for value in values)], dtype=np.int32)
            texts = strings([text for value in values for text in value or ()])
            column = pa.ListArray.from_arrays(to_arrow(ends), texts).cast(field.type)
        else:
            numbers = [microseconds(one) if isinstance(one, datetime) else one or 0 for one in values]
            kind = _NUMPY_KINDS.get(field.type, np.int64)
            column = to_arrow(np.array(numbers, kind)).cast(field.type)
        nothing = pa.nulls(len(rows), field.type)
        columns.append(column if is_there.all() else pc.if_else(to_arrow(is_there), column, nothing))
    return pa.table(columns, schema=schema)


def with_values(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    """Replace a column by these values, None for null; see :func:`from_rows` for their kinds."""
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    rows = from_rows([{name: value} for value in values], pa.schema([field]))
    return table.set_column(place, field, rows[name])


def _as_list(column: pa.ChunkedArray) -> list[Any]:
    if not pa.types.is_timestamp(column.type):
        return column.to_pylist()
    numbers = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_pylist()
    return [None if number is None else EPOCH + timedelta(microseconds=number) for number in numbers]
