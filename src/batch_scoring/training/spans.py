"""Read the span of times of a file of windows from its footer, or else from its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from batch_scoring.core.moments import microseconds
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.device_ranges import read_batches

TIMES = ("window_start", "window_end")


@dataclass(frozen=True)
class Span:
    """The first and last start and end of windows, in µs since the epoch, and how many windows there are."""

    first_start: int
    last_start: int
    last_end: int
    n_windows: int


@dataclass(frozen=True)
class Day:
    """One file of windows and its span."""

    file: pq.ParquetFile
    span: Span


def span_of(file: pq.ParquetFile) -> Span | None:
    """Read a file's span of times from its footer, or else from its rows; None for a file without rows."""
    metadata = file.metadata
    if metadata.num_rows == 0:
        return None
    place = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    start, end = (
        [metadata.row_group(group).column(place[name]).statistics for group in range(metadata.num_row_groups)]
        for name in TIMES
    )
    if not all(one is not None and one.has_min_max for one in (*start, *end)):
        return _read_span(file, np.iinfo(np.int64).max)
    return Span(
        min(microseconds(one.min) for one in start),
        max(microseconds(one.max) for one in start),
        max(microseconds(one.max) for one in end),
        metadata.num_rows,
    )


def ended_span(file: pq.ParquetFile, span: Span, now: int) -> Span | None:
    """Return the span of the windows that have ended; None where none has."""
    if span.last_end <= now:
        return span
    return _read_span(file, now) if span.first_start < now else None


def _read_span(file: pq.ParquetFile, now: int) -> Span | None:
    spans = []
    for batch in read_batches(file, TIMES):
        start, end = (to_numpy(batch[name]) for name in TIMES)
        start, end = start[end <= now], end[end <= now]
        if start.size:
            spans.append((int(start.min()), int(start.max()), int(end.max()), start.size))
    if not spans:
        return None
    first, last, last_end, n = zip(*spans, strict=True)
    return Span(min(first), max(last), max(last_end), sum(n))
