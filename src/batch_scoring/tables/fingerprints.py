"""Fingerprints of rows and tables, which show the windows that changed since they were scored.

They detect accidental changes only; they are not cryptographic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.tables.arrays import UInt
from batch_scoring.tables.arrow_arrays import to_numpy

_ODD = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0x7FF8DEADBEEF0001)


def row_fingerprints(table: pa.Table, columns: Sequence[str]) -> UInt:
    """Compute a 64-bit fingerprint of each row over some columns, shape (n,).

    Among n rows two different ones share a fingerprint with a probability of about n² / 2⁶⁴.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of strings (also as dictionaries), floats, integers or timestamps; a null differs from every
        value.
    columns : sequence of str
        Their order matters.

    Examples
    --------
    >>> t = pa.table({"device": ["a", "b", "a"], "x": [1.0, 1.0, 1.0]})
    >>> f = row_fingerprints(t, ["device", "x"])
    >>> bool(f[0] == f[2]), bool(f[0] == f[1])
    (True, False)
    """
    result = np.zeros(table.num_rows, np.uint64)
    if result.size == 0:
        # For no chunks Arrow calls pa.array, which imports pandas.
        return result
    with np.errstate(over="ignore"):
        for name in columns:
            result = _mix(result * _ODD ^ _column_bits(table[name].combine_chunks()))
    return result


def _mix(x: UInt) -> UInt:
    """Apply the finaliser of SplitMix64 (Steele, Lea & Flood 2014): each bit of x affects all bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _column_bits(column: pa.Array) -> UInt:
    if column.null_count:
        values = column.drop_null()
        bits = np.full(len(column), _NULL)
        bits[to_numpy(column.is_valid())] = _column_bits(values)
        return bits
    if pa.types.is_dictionary(column.type):
        return _column_bits(column.dictionary)[to_numpy(column.indices)]
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        return _string_bits(encoded.dictionary)[to_numpy(encoded.indices)]
    if pa.types.is_floating(column.type):
        # + 0.0 turns -0.0 into 0.0, as both compare equal.
        numbers: UInt = (to_numpy(column.cast(pa.float64())) + 0.0).view(np.uint64)
        return numbers
    return to_numpy(column.cast(pa.int64())).view(np.uint64)


def _string_bits(strings: pa.Array) -> UInt:
    """Hash each string: a polynomial in an odd number over its bytes, and its length."""
    offsets = np.frombuffer(strings.buffers()[1], np.int32)[strings.offset :][: len(strings) + 1]
    size = np.diff(offsets)
    total = int(size.sum())
    if total == 0:
        return size.astype(np.uint64)
    data = np.frombuffer(strings.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    longest = int(size.max())
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(longest, _ODD, np.uint64))
        numbers = data.astype(np.uint64) + np.uint64(1)
        if total == longest * size.size:  # all are as long, as names with a number often are
            return _mix(np.dot(numbers.reshape(-1, longest), powers) + np.uint64(longest))
        start = offsets[:-1] - offsets[0]
        terms = numbers * powers[np.arange(total) - np.repeat(start, size)]
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
        return _mix(sums[start + size] - sums[start] + size.astype(np.uint64))
