"""Aggregate the windows that new readings touch, a few days at a time, as a stream over the series."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.settings import AggregateParameters

_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Span:
    """Windows to aggregate: those that start in ``[start, end)``, microseconds since the epoch.

    Attributes
    ----------
    start, end : int
    read_from : int
        Start of the readings needed: ``start``, or that of the window before when its mean is needed.
    """

    start: int
    end: int
    read_from: int


def touched_spans(times: Sequence[tuple[int, int]], settings: AggregateParameters) -> list[Span]:
    """Find the windows that readings of these times may change, in pieces of about a day.

    Parameters
    ----------
    times : sequence of (int, int)
        The first and the last time of some readings, microseconds since the epoch.
    settings : AggregateParameters

    Returns
    -------
    list of Span
        In order and without overlaps. A window's change changes ``diff_mean`` of the next one, too.

    Examples
    --------
    >>> from datetime import timedelta
    >>> hour = AggregateParameters(timedelta(hours=1), ("mean",))
    >>> [(span.start // 3_600_000_000, span.end // 3_600_000_000)
    ...  for span in touched_spans([(7_200_000_000, 7_300_000_000)], hour)]
    [(2, 4)]
    """
    window = settings.window // MICROSECOND
    piece = -(-_DAY_US // window) * window
    starts = [first // window * window for first, _ in times]
    ends = [(last // window + 2) * window for _, last in times]
    order = np.argsort(np.array(starts, np.int64), kind="stable").tolist()
    spans: list[Span] = []
    reach = None
    before = window if "diff_mean" in settings.features else 0
    for place in order:
        start = starts[place] if reach is None else max(starts[place], reach)
        cuts = [start, *range((start // piece + 1) * piece, ends[place], piece), ends[place]]
        if ends[place] > start:
            spans += [Span(one, end, one - before) for one, end in pairwise(cuts)]
            reach = ends[place]
    return spans


def span_windows(
    sources: Sequence[Iterable[pa.Table]], span: Span, settings: AggregateParameters
) -> Iterator[pa.Table]:
    """Compute the windows of a span, one range of series at a time.

    Parameters
    ----------
    sources : sequence of iterables of pyarrow.Table
        Readings, schema READINGS, each source sorted by sensor, device and time.
    span : Span
    settings : AggregateParameters

    Yields
    ------
    pyarrow.Table
        Never empty. Concatenated, they are sorted by sensor, device and window_start, and do not depend
        on the ranges.
    """
    window_us = settings.window // MICROSECOND

    def windows_of(readings: pa.Table) -> pa.Table:
        windows = aggregate_readings(readings, window_us, settings.features, settings.min_readings)
        return _within(windows, "window_start", span.start, span.end)

    inside = [(READINGS, _readings_within(tables, span)) for tables in sources]
    ranges = device_ranges(inside, key=("sensor", "device"))
    readings = prefetched(pa.concat_tables(parts) for parts in ranges)
    tables = computed(windows_of, readings, workers=len(os.sched_getaffinity(0)))
    return (table for table in tables if table.num_rows)


def _readings_within(tables: Iterable[pa.Table], span: Span) -> Iterator[pa.Table]:
    for rows in tables:
        yield _within(rows, "timestamp", span.read_from, span.end)


def _within(rows: pa.Table, column: str, first_us: int, end_us: int) -> pa.Table:
    time = to_numpy(rows[column])
    inside = (time >= first_us) & (time < end_us)
    return rows if np.all(inside) else rows.filter(to_arrow(inside))
