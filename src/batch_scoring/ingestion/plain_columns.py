"""Columns of Parquet files in which nothing is to be decided: moments, and ids as ranks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import MAX_SEGMENT_BYTES, fits_in_path
from batch_scoring.core.moments import DAY_US
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.schemas import READINGS

YEAR_US = 365 * DAY_US


def is_plain_time(kind: pa.DataType, settings: IngestSettings) -> bool:
    """Whether times of a type are moments as they are."""
    return bool(pa.types.is_timestamp(kind) and (kind.tz is not None or settings.timezone == "UTC"))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, or a dictionary of texts."""
    of_value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(of_value) or pa.types.is_large_string(of_value))


def as_dictionary(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return texts as dictionaries of one type, whichever program has written them."""
    kind = pa.dictionary(pa.int32(), pa.string())
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return encoded if encoded.type.equals(kind) else encoded.cast(kind)


def moments(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as they are stored; ArrowInvalid where one is not of whole microseconds."""
    whole = times.cast(pa.timestamp("us", times.type.tz))
    return whole.cast(pa.int64()).cast(READINGS.field("timestamp").type)


def name_ranks(names: pa.Array) -> Int | None:
    """Return each name's rank as UTF-8 bytes, shape (n,); None where one may be refused."""
    names.validate(full=True)
    if _may_be_refused(names):
        return None
    rank = np.empty(len(names), np.int64)
    rank[to_numpy(pc.array_sort_indices(names)).astype(np.int64)] = np.arange(len(names))
    return rank


def ranks(texts: pa.ChunkedArray) -> Int | None:
    """Return the rank as UTF-8 bytes of each text, shape (n,); None where a text, or none, may be refused.

    Parameters
    ----------
    texts : pyarrow.ChunkedArray
        Dictionaries in one chunk.
    """
    if texts.null_count or not len(texts):
        return None
    rank = name_ranks(texts.chunk(0).dictionary)
    return None if rank is None else rank[to_numpy(texts.chunk(0).indices)]


def _may_be_refused(names: pa.Array) -> bool:
    """Whether an id may be missing, blank, or too long for a path."""
    if names.null_count:
        return True
    # Most are short, and begin with what is no blank: that is seen of all at once.
    is_short = to_numpy(pc.binary_length(names)).max() * 3 <= MAX_SEGMENT_BYTES
    if is_short and to_numpy(pc.match_substring_regex(names, "^[!-~]")).all():
        return False
    return not all(name.strip() and fits_in_path(name) for name in names.to_pylist())


def may_be_unset(series: Int, time: Int) -> bool:
    """Whether a time may be that of a clock that was not set, which staging decides."""
    if time.max() - time.min() <= YEAR_US:
        return False
    is_gap = (series[1:] == series[:-1]) & (np.diff(time) > YEAR_US)
    begins = time[np.append(True, series[1:] != series[:-1])]
    return bool(is_gap.any() or begins.max() - begins.min() > YEAR_US)
