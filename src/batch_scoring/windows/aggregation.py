"""Aggregate the windows that new readings touch, a few days at a time, as a stream over the series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, MICROSECOND
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.processes import usable_cores
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.schemas import READINGS
from batch_scoring.windows.features import WINDOWS_BEFORE, aggregate_readings
from batch_scoring.windows.history import STORED
from batch_scoring.windows.settings import AggregateParameters

# Readings with their texts as dictionaries: those of a series' rows are equal, and take a third of the time.
_READ = pa.schema(
    field.with_type(pa.dictionary(pa.int32(), pa.string())) if pa.types.is_string(field.type) else field
    for field in READINGS
)


@dataclass(frozen=True)
class Span:
    """Windows to aggregate, which start in ``[start, end)``, microseconds since the epoch.

    Attributes
    ----------
    read_from : int
        Start of the readings needed: ``start``, or earlier where a feature looks at windows before.
    """

    start: int
    end: int
    read_from: int


def touched_spans(
    times: Sequence[tuple[int, int]],
    settings: AggregateParameters,
    by_month: bool = False,
    kept_from: int | None = None,
) -> list[Span]:
    """Find the windows that readings of these times may change, a day at a time.

    Parameters
    ----------
    times : sequence of (int, int)
        The first and the last time of some readings, microseconds since the epoch.
    by_month : bool
        Whether a month at a time instead.
    kept_from : int, optional
        The time before which not all readings are kept: windows that need one of them are left out.

    Returns
    -------
    list of Span
        In order and without overlaps; the windows of a span start on one day (UTC), or in one month. A
        window's change changes features of later ones, too, such as ``diff_mean`` of the next one.

    Examples
    --------
    >>> from datetime import timedelta
    >>> hour = AggregateParameters(timedelta(hours=1), ("mean", "diff_mean"))
    >>> [(span.start // 3_600_000_000, span.end // 3_600_000_000)
    ...  for span in touched_spans([(7_200_000_000, 7_300_000_000)], hour)]
    [(2, 4)]
    """
    window = settings.length // MICROSECOND
    # Readings of windows before are needed, and these count in windows after.
    beside = window * max(WINDOWS_BEFORE.get(name, 0) for name in settings.features)
    spans: list[Span] = []
    reach = None if kept_from is None else -(-kept_from // window) * window + beside
    for first, last in sorted(times):
        start, end = first // window * window, (last // window + 1) * window + beside
        start = start if reach is None else max(start, reach)
        if end > start:
            cuts = [start, *_cuts(start, end, window, by_month), end]
            spans += [Span(one, to, one - beside) for one, to in pairwise(cuts)]
            reach = end
    return spans


def _cuts(start: int, end: int, window: int, by_month: bool) -> list[int]:
    """List the starts between two times of the first windows of a day, or of a month."""
    days = np.arange(start // DAY_US + 1, -(-end // DAY_US))
    if by_month:
        dates = days.astype("M8[D]")
        days = days[dates == dates.astype("M8[M]")]
    cuts = np.unique(-(-days * DAY_US // window) * window)
    return [cut for cut in cuts.tolist() if start < cut < end]


def span_windows(
    sources: Sequence[Iterable[pa.Table]],
    span: Span,
    settings: AggregateParameters,
    stored: Sequence[Iterable[pa.Table]] = (),
) -> Iterator[pa.Table]:
    """Compute the windows of a span, one range of series at a time.

    Parameters
    ----------
    sources : sequence of iterables of pyarrow.Table
        Readings, schema READINGS, each source sorted by sensor, device and time.
    stored : sequence of iterables of pyarrow.Table
        Windows before the readings, schema STORED, each source sorted by sensor and device.

    Yields
    ------
    pyarrow.Table
        Never empty. Concatenated, they are sorted by sensor, device and window_start, and do not depend
        on the ranges.
    """
    window_us = settings.length // MICROSECOND
    n, nothing = len(sources), empty_table(STORED)

    def windows_of(parts: Sequence[pa.Table]) -> pa.Table:
        readings, before = pa.concat_tables(parts[:n]), pa.concat_tables([nothing, *parts[n:]])
        windows = aggregate_readings(readings, window_us, settings.features, settings.min_readings, before)
        return _within(windows, "window_start", span.start, span.end)

    inside: list[tuple[pa.Schema, Iterable[pa.Table]]] = [
        (_READ, (_within(rows, "timestamp", span.read_from, span.end).cast(_READ) for rows in tables))
        for tables in sources
    ]
    inside += [(STORED, tables) for tables in stored]
    ranges = device_ranges(inside, key=("sensor", "device"))
    tables = computed(windows_of, prefetched(ranges), workers=usable_cores())
    return (table for table in tables if table.num_rows)


def _within(rows: pa.Table, column: str, first_us: int, end_us: int) -> pa.Table:
    time = to_numpy(rows[column])
    inside = (time >= first_us) & (time < end_us)
    return rows if np.all(inside) else rows.filter(to_arrow(inside))
