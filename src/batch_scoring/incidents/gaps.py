"""Keep the gaps between the windows of each series: what came, whatever was judged of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.incidents.stretches import join_stretches
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_changes import RowChanges, changes_since
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import (
    are,
    codes,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.groups import are_among
from batch_scoring.tables.schemas import GAPS, TIMESTAMP, WINDOW_KEY, WINDOW_KEYS

# Raise it when the same windows shall give other gaps.
VERSION = 1
STEP, RULES = "gaps", "gaps.rules"

_SERIES = ("sensor", "device")
_TIMES = (*WINDOW_KEY, "window_end")
_WINDOWS = pa.schema([WINDOW_KEYS.field(name) for name in _TIMES])
_LONG_AGO, _NEVER = -(2**62), 2**62


def update_gaps(windows: RowTable, after_us: int, gaps: RowTable) -> Change | None:
    """Return the change of the gaps since they were found last; None where no window has come or gone.

    Whatever came in which order, the gaps after it are those of all windows. Those in days whose windows were
    dropped for their age stay.

    Parameters
    ----------
    windows : RowTable
        The columns WINDOW_KEYS and features.
    after_us : int
        Shorter gaps are not kept, microseconds; nor is one window that is missing.
    gaps : RowTable
        Schema GAPS.
    """
    seen = gaps.progress(STEP)
    windows = windows.not_before(seen)
    number = number_of([VERSION, after_us, windows.id])
    changes = None
    if gaps.schema == GAPS and gaps.progress(RULES) == number:
        changes = changes_since(windows, seen, _TIMES)
    if not windows.exists or (changes is not None and changes.are_none):
        return None
    is_former = gaps.exists and gaps.schema != GAPS
    fleet = _Fleet.read(windows, after_us, None if is_former else gaps, changes)
    added, removed = fleet.differences()
    ended = are(added["state"], "ended")
    return Change(
        GAPS,
        # The last rows are written anew each hour: the gaps that have ended are not, with them.
        [[added.filter(to_arrow(ended))], [added.filter(to_arrow(~ended))]],
        {STEP: windows.position, RULES: number},
        rewritten=lambda: () if is_former else _without(gaps, removed),
        replaces_all=is_former,
        by_month=True,
    )


@dataclass(frozen=True)
class _Fleet:
    """What is known of all series.

    Attributes
    ----------
    stored : pyarrow.Table
        Schema GAPS: the stored rows that may be others now.
    spans : pyarrow.Table
        sensor, device, start and end: when there were windows, as far as stored rows may change.
    first : pyarrow.Table
        sensor, device and start: since when a series is known, at the latest.
    least : int
        Gaps are this long or longer, microseconds.
    """

    stored: pa.Table
    spans: pa.Table
    first: pa.Table
    least: int

    @classmethod
    def read(
        cls, windows: RowTable, after_us: int, gaps: RowTable | None, changes: RowChanges | None
    ) -> _Fleet:
        """Read the new windows, and the stored rows next to them."""
        files = windows.files() if changes is None else changes.files
        least = max(after_us, 2 * _window_length(windows))
        kept_from = windows.progress(RETENTION) or _LONG_AGO
        if changes is None:
            new = _spans(windows, files, least)
            redone, late = None, _LONG_AGO
        else:
            gained = _as_spans(changes.gained)
            new = pa.concat_tables([gained, _spans(windows, files, least)])
            redone = _lost_series(changes)
            late = int(to_numpy(new["start"]).min(initial=_NEVER))
        stored = _stored(gaps, late if redone is None or not redone.num_rows else _LONG_AGO)
        if redone is not None and redone.num_rows:
            again = _spans(windows, windows.files(), least, redone)
            new = pa.concat_tables([new, again])
        return cls._of(new, stored, redone, kept_from, least)

    @classmethod
    def _of(
        cls, new: pa.Table, stored: pa.Table, redone: pa.Table | None, kept_from: int, least: int
    ) -> _Fleet:
        """Put the stored spans beside the new ones; of series that are found anew, those of dropped days."""
        names = _Names.of(stored, new)
        series, start = names.series(stored), to_numpy(stored["start"])
        is_last = are(stored["state"], "last")
        end = np.where(is_last, _NEVER, to_numpy(stored["end"], null=_NEVER))
        n = names.size
        since = np.full(n, _NEVER)
        np.minimum.at(since, names.series(new), to_numpy(new["start"]))
        is_redone = np.ones(n, bool) if redone is None else names.has(redone)
        since[is_redone] = kept_from
        first, last = np.full(n, _NEVER), np.full(n, _LONG_AGO)
        first[series[is_last]] = to_numpy(stored["first_start"])[is_last]
        last[series[is_last]] = start[is_last]
        is_known = last > _LONG_AGO
        # Gaps that end before the first new window of their series stay as they are.
        may_change = is_last | (end > since[series])
        kept = stored.filter(to_arrow(may_change))
        series, start, end = series[may_change], start[may_change], end[may_change]
        # Between two stored gaps lie windows; before the first of them, too.
        order = np.lexsort((start, series))
        series, start, end = series[order], start[order], end[order]
        is_first = np.append(True, series[1:] != series[:-1])[: series.size]
        begin = np.append(_NEVER, end[:-1])[: series.size]
        begin = np.where(is_first, np.maximum(first[series], np.minimum(since[series], start)), begin)
        is_span = is_known[series] & (
            ~is_redone[series] | ((begin <= kept_from) & (first[series] < kept_from))
        )
        until = np.where(is_redone[series], np.minimum(start, np.maximum(kept_from, begin)), start)
        is_span &= begin <= until
        spans = pa.concat_tables(
            [new.select(_SPAN.names), names.spans(series[is_span], begin[is_span], until[is_span])]
        )
        keeps_first = is_known & (~is_redone | (first < kept_from))
        known = np.flatnonzero(keeps_first)
        return cls(kept, spans, names.spans(known, first[known], first[known]), least)

    def differences(self) -> tuple[pa.Table, pa.Table]:
        """Return the rows to add, and the gaps to remove: stored last rows are all written anew."""
        found = self._rows()
        is_last, was_last = (are(rows["state"], "last") for rows in (found, self.stored))
        ended, stored = found.filter(to_arrow(~is_last)), self.stored.filter(to_arrow(~was_last))
        after, before = (row_fingerprints(rows, GAPS.names) for rows in (ended, stored))
        added = ended.filter(to_arrow(~np.isin(after, before)))
        removed = stored.filter(to_arrow(~np.isin(before, after)))
        return pa.concat_tables([found.filter(to_arrow(is_last)), added]), removed

    def _rows(self) -> pa.Table:
        names = _Names.of(self.spans)
        series, start, end = join_stretches(
            names.series(self.spans),
            to_numpy(self.spans["start"]),
            to_numpy(self.spans["end"]),
            self.least - 1,
        )
        first = np.full(names.size, _NEVER)
        np.minimum.at(first, series, start)
        np.minimum.at(first, names.series(self.first), to_numpy(self.first["start"]))
        is_last = np.append(series[1:] != series[:-1], True)[: series.size]
        following = np.append(start[1:], 0)[: series.size]
        sensors, devices = names.of_series(series)
        columns = {
            "device": devices,
            "sensor": sensors,
            "start": _times(end),
            "end": _times(following, ~is_last),
            "first_start": _times(first[series], is_last),
            "state": strings(["ended", "last"]).take(to_arrow(is_last.astype(np.int64))),
        }
        return pa.Table.from_arrays([columns[name] for name in GAPS.names], schema=GAPS)


_SPAN = pa.schema([GAPS.field(name) for name in (*_SERIES, "start", "end")])


@dataclass(frozen=True)
class _Names:
    """Number the series of some tables from 0, in the order of sensor and device."""

    sensors: pa.Array
    devices: pa.Array
    pairs: Int

    @classmethod
    def of(cls, *tables: pa.Table) -> _Names:
        sensors, devices = (distinct(*(rows[name] for rows in tables)) for name in _SERIES)
        names = cls(sensors, devices, np.zeros(0, np.int64))
        pairs = np.unique(np.concatenate([names._pairs(rows) for rows in tables]))
        return cls(sensors, devices, pairs)

    @property
    def size(self) -> int:
        return self.pairs.size

    def series(self, rows: pa.Table) -> Int:
        """Return the number of each row's series, which is among them."""
        return np.searchsorted(self.pairs, self._pairs(rows))

    def has(self, rows: pa.Table) -> Bool:
        """Mark the series that are among some rows, shape (size,)."""
        return np.isin(self.pairs, self._pairs(rows))

    def of_series(self, series: Int) -> tuple[pa.Array, pa.Array]:
        """Return sensors and devices."""
        sensor, device = np.divmod(self.pairs[series], max(len(self.devices), 1))
        return self.sensors.take(to_arrow(sensor)), self.devices.take(to_arrow(device))

    def spans(self, series: Int, start: Int, end: Int) -> pa.Table:
        columns = [*self.of_series(series), _times(start), _times(end)]
        return pa.Table.from_arrays(columns, schema=_SPAN)

    def _pairs(self, rows: pa.Table) -> Int:
        sensor, device = positions(rows["sensor"], self.sensors), positions(rows["device"], self.devices)
        return np.where((sensor < 0) | (device < 0), -1, sensor * len(self.devices) + device)


def _times(microseconds: Int, is_known: Bool | None = None) -> pa.Array:
    times = to_arrow(np.ascontiguousarray(microseconds)).view(TIMESTAMP)
    if is_known is None or is_known.all():
        return times
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(TIMESTAMP, len(times), [mask, times.buffers()[1]])


def _as_spans(windows: pa.Table) -> pa.Table:
    columns = [windows[name] for name in (*_SERIES, "window_start", "window_end")]
    return pa.Table.from_arrays(columns, schema=_SPAN)


def _spans(
    windows: RowTable, files: Iterable[DataFile], least: int, series: pa.Table | None = None
) -> pa.Table:
    """Read when there were windows, those of some series or of all."""
    found = [empty_table(_SPAN)]
    for file in files:
        for rows in windows.batches(file, _TIMES, encoded=_SERIES):
            spans = _stretches(rows.combine_chunks(), least)
            found.append(
                spans if series is None else spans.filter(to_arrow(are_among(spans, series, _SERIES)))
            )
    return pa.concat_tables(found).combine_chunks()


def _stretches(windows: pa.Table, least: int) -> pa.Table:
    """Join windows, in the order of series and time, to spans without a gap; schema _SPAN."""
    start, end = to_numpy(windows["window_start"]), to_numpy(windows["window_end"])
    is_first = np.ones(start.size, bool)
    is_first[1:] = start[1:] - end[:-1] >= least
    for name in _SERIES:
        is_first[1:] |= np.diff(codes(windows[name])) != 0
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], start.size)[: first.size] - 1
    names = [windows[name].take(to_arrow(first)).cast(pa.string()) for name in _SERIES]
    return pa.table([*names, _times(start[first]), _times(end[last])], schema=_SPAN)


def _window_length(windows: RowTable) -> int:
    """Return the length of a window, microseconds; all of a table are of one length."""
    for file in windows.files():
        for rows in windows.batches(file, ["window_start", "window_end"], rows=1):
            if rows.num_rows:
                first = rows.slice(0, 1)
                return int((to_numpy(first["window_end"]) - to_numpy(first["window_start"]))[0])
    return 0


def _lost_series(changes: RowChanges) -> pa.Table:
    """Return a row of each series that has lost a window."""
    gained, lost = (row_fingerprints(rows, WINDOW_KEY) for rows in (changes.gained, changes.lost))
    rows = changes.lost.filter(to_arrow(~np.isin(lost, gained)))
    _, first = np.unique(row_fingerprints(rows, _SERIES), return_index=True)
    return rows.select(list(_SERIES)).take(to_arrow(first))


def _stored(gaps: RowTable | None, since: int) -> pa.Table:
    """Read the last rows of all series, and the gaps that end after a time."""
    found = [empty_table(GAPS)]
    for file in gaps.files() if gaps is not None else ():
        has_ended = file.bounds.get("state") == ("ended", "ended")
        if has_ended and file.bounds.get("end", (0, _NEVER))[1] <= since:
            continue
        for rows in gaps.batches(file) if gaps is not None else ():
            is_late = to_numpy(rows["end"], null=_NEVER) > since
            found.append(rows.filter(to_arrow(is_late | are(rows["state"], "last"))))
    return pa.concat_tables(found).combine_chunks()


def _without(gaps: RowTable, removed: pa.Table) -> Iterator[tuple[DataFile, Sequence[pa.Table]]]:
    """Yield the files that lose rows, each with the rows that stay: gaps that are not removed."""
    keys = row_fingerprints(removed, GAPS.names)
    for file in gaps.files():
        state = file.bounds.get("state")
        if state == ("last", "last"):
            yield file, ()
            continue
        if not keys.size and state == ("ended", "ended"):
            continue
        ended = [rows.filter(to_arrow(are(rows["state"], "ended"))) for rows in gaps.batches(file)]
        kept = [rows.filter(to_arrow(~np.isin(row_fingerprints(rows, GAPS.names), keys))) for rows in ended]
        if sum(rows.num_rows for rows in kept) < file.rows:
            yield file, kept
