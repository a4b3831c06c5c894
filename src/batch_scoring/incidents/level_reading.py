"""Read the windows that show the levels around incidents, and of devices that may be renamed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import HOUR_US
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.levels import LAGS_US, LEVELS, seen_after
from batch_scoring.incidents.renames import COMPARED, Read
from batch_scoring.incidents.shifts import STEP_US, Pairs
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.series_copies import SeriesCopies
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow, to_numpy

_SERIES = ("sensor", "device")


def read_levels(
    predictions: RowTable,
    series: pa.Table,
    first: Int,
    last: Int,
    lags: Sequence[int] = LAGS_US,
    schema: pa.Schema = LEVELS,
    compared: Sequence[int] = (),
) -> pa.Table:
    """Read the windows of some spans, and of these spans by each lag before.

    Parameters
    ----------
    predictions : RowTable
    series : pyarrow.Table
        sensor and device of each span.
    first, last : array of shape (n,), int64
        The spans, half-open, microseconds since the epoch.
    lags : sequence of int, optional
        Microseconds.
    schema : pyarrow.Schema, optional
        The columns to read, LEVELS or VALUES.
    compared : sequence of int, optional
        Spans are read that may have windows by one of these lags before, microseconds; without, all are.

    Returns
    -------
    pyarrow.Table
        In any order; other windows of these series, too.
    """
    if compared and series.num_rows:
        is_due = np.any([_may_have(predictions, first - lag, last - lag) for lag in compared], 0)
        series, first, last = series.filter(to_arrow(is_due)), first[is_due], last[is_due]
    if not series.num_rows:
        return empty_table(schema)
    there = [name for name in schema.names if name in predictions.schema.names]
    first, last = (np.concatenate([one, *(one - lag for lag in lags)]) for one in (first, last))
    known, found = pa.schema([schema.field(name) for name in there]), [empty_table(schema)]
    copies = SeriesCopies(predictions)
    for file in predictions.files(int(first.min()), int(last.max())):
        # Each file is asked for the series that it may show: of a pair of steps in an hour, no day is read.
        here = np.flatnonzero((first <= file.last) & (last > file.first)) % series.num_rows
        if here.size:
            mine = series.take(to_arrow(here))
            sensors, devices = (pc.unique(mine[name]).to_pylist() for name in _SERIES)
            if file.may_have("sensor", sensors) and file.may_have("device", devices):
                found += [rows.cast(known) for rows in copies.batches(file, there, sensors, devices)]
    return pa.concat_tables(found, promote_options="default")


def _may_have(predictions: RowTable, first: Int, last: Int) -> Bool:
    """Mark the spans that a file of predictions overlaps, shape (n,)."""
    found = np.zeros(first.size, bool)
    for file in predictions.files(int(first.min()), int(last.max())):
        found |= (first <= file.last) & (last > file.first)
    return found


def read_between(predictions: RowTable, incidents: pa.Table, pairs: Pairs, rules: JoinRules) -> pa.Table:
    """Read what shows the levels of pairs; schema LEVELS, see :func:`read_levels`."""
    some = incidents.take(to_arrow(pairs.first))
    margin = max(rules.cool_down_us, rules.tolerated_gap * STEP_US)
    start = to_numpy(incidents["start"])
    first, last = start[pairs.first] - margin, start[pairs.second] + margin
    # A level is held against that of a week or a day before: of a fleet's first day, nothing is read.
    return read_levels(predictions, some, first, last, compared=LAGS_US)


def read_around(predictions: RowTable, incidents: pa.Table, rules: JoinRules) -> pa.Table:
    """Read the hours before and after short incidents; schema LEVELS, see :func:`read_levels`."""
    begin, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    after = seen_after(rules)
    # A step shows in what follows: where that is not seen, the days before do not matter.
    return read_levels(predictions, incidents, begin - HOUR_US, end + after, LAGS_US if after else ())


def windows_reader(windows: RowTable) -> Read:
    """Return how to read the levels and spreads of devices from the table of windows.

    Parameters
    ----------
    windows : RowTable
        The columns WINDOW_KEYS and features; without ``mean`` nothing is read.
    """

    def read(devices: Sequence[str], first: Int, last: Int) -> pa.Table:
        if "mean" not in windows.schema.names:
            return empty_table(COMPARED)
        there = [name for name in COMPARED.names if name in windows.schema.names]
        found = [empty_table(COMPARED)]
        for file in windows.files(int(first.min()), int(last.max()), devices=devices):
            here = np.flatnonzero((first <= file.last) & (last > file.first)).tolist()
            if here:
                some = {devices[place] for place in here}
                known = pa.schema([COMPARED.field(name) for name in there])
                batches = windows.batches(file, there, None, some, encoded=_SERIES)
                found += [rows.cast(known) for rows in batches]
        return pa.concat_tables(found, promote_options="default").combine_chunks()

    return read
