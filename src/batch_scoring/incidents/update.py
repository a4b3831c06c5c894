"""Carry incidents on from the open ones: join what was scored since, and series with late windows anew."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.incidents.joining import UNFINISHED, JoinRules, incidents_table, join_windows
from batch_scoring.storage.row_changes import RowChanges, changes_since
from batch_scoring.storage.row_table import Change, DataFile, RowTable
from batch_scoring.tables.arrays import Bool, UInt
from batch_scoring.tables.arrow_arrays import are, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import by_sensor, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.pieces import DAY_US, day_pieces
from batch_scoring.tables.schemas import INCIDENTS, JUDGED, PREDICTIONS

logger = logging.getLogger(__name__)

# Raise it when the same predictions shall give other incidents.
VERSION = 2
STEP, RULES, UNTIL = "incidents", "incidents.rules", "incidents.until"

_WINDOWS = pa.schema([PREDICTIONS.field(name) for name in ("sensor", *JUDGED)])
_SERIES = ("sensor", "device")
_ORDER = [(name, "ascending") for name in ("sensor", "device", "start")]
_NOTHING = empty_table(INCIDENTS)
_JUDGED = pa.schema([PREDICTIONS.field(name) for name in JUDGED])


def update_incidents(predictions: RowTable, rules: JoinRules, incidents: RowTable) -> Change | None:
    """Return the change of the incidents since they were found last; None where nothing was scored.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    rules : JoinRules
        With other rules than the last time, all predictions are joined anew.
    incidents : RowTable
        Schema INCIDENTS.
    """
    number = number_of([VERSION, asdict(rules)])
    changes = None
    if incidents.progress(RULES) == number:
        changes = changes_since(predictions, incidents.progress(STEP), _WINDOWS.names)
    is_anew = changes is None
    if changes is None:
        changes = RowChanges(predictions.files(), empty_table(_WINDOWS), empty_table(_WINDOWS))
    until = None if is_anew else incidents.progress(UNTIL)
    if not (
        changes.files or changes.gained.num_rows or changes.lost.num_rows or (is_anew and incidents.exists)
    ):
        return None
    late = _Late.find(predictions, changes, until, rules)
    stored = _NOTHING if is_anew else _unfinished(incidents)
    closed, unfinished = _join_new(
        predictions, changes.files, until, late, stored.filter(to_arrow(~late.has(stored))), rules
    )
    again_closed, again_unfinished = _join_sensors([late.windows], _NOTHING, rules)
    closed, unfinished = (
        pa.concat_tables([closed, again_closed]),
        pa.concat_tables([unfinished, again_unfinished]),
    )
    logger.info(
        "incidents: %s closed, %s open",
        f"{closed.num_rows:,}",
        f"{int(are(unfinished['state'], 'open').sum()):,}",
    )
    newest = max((file.last for file in predictions.files()), default=0)
    return Change(
        INCIDENTS,
        # Apart, so that the next hour rewrites only the file of those that are not closed.
        [[part.sort_by(_ORDER)] for part in (closed, unfinished) if part.num_rows],
        {STEP: predictions.version, RULES: number, UNTIL: newest},
        rewritten=tuple if is_anew else lambda: _kept(incidents, late),
        replaces_all=is_anew,
        by_month=True,
    )


@dataclass(frozen=True)
class _Late:
    """The series whose earlier windows have changed.

    Attributes
    ----------
    keys : array of shape (m,), uint64
        Fingerprints of sensor and device.
    start : int
        From when on they are joined anew, microseconds since the epoch: no incident of theirs reaches across it.
    windows : pyarrow.Table
        Their predictions from then on, sorted by sensor, device and window_start.
    """

    keys: UInt
    start: int
    windows: pa.Table

    @classmethod
    def find(cls, predictions: RowTable, changes: RowChanges, until: int | None, rules: JoinRules) -> _Late:
        rows = pa.concat_tables(
            [
                changes.gained.select([*_SERIES, "window_start"]),
                changes.lost.select([*_SERIES, "window_start"]),
                *_late_rows(predictions, changes.files, until),
            ]
        )
        if rows.num_rows == 0:
            return cls(np.zeros(0, np.uint64), 0, empty_table(_WINDOWS))
        series = rows.group_by(list(_SERIES), use_threads=False).aggregate([])
        keys, first = row_fingerprints(series, _SERIES), int(to_numpy(rows["window_start"]).min())
        earliest = min((file.first for file in predictions.files()), default=first)
        margin = DAY_US
        while True:
            late = cls(keys, first - margin, _read(predictions, series, keys, first - margin))
            if late.start <= earliest or late.is_apart(rules):
                return late
            margin *= 4

    def has(self, rows: pa.Table) -> Bool:
        """Mark the rows of these series, shape (n,)."""
        return np.isin(row_fingerprints(rows, _SERIES), self.keys)

    def is_apart(self, rules: JoinRules) -> bool:
        """Whether nothing before the start can be part of an incident after it."""
        flagged = self.windows.filter(self.windows["is_anomaly"])
        start, end = (to_numpy(flagged[name]) for name in ("window_start", "window_end"))
        reach = np.maximum(rules.tolerated_gap * (end - start), rules.cool_down_us)
        return bool(np.all(start - self.start > reach))


def _late_rows(predictions: RowTable, files: Sequence[DataFile], until: int | None) -> Iterator[pa.Table]:
    for file in files:
        if until is None or file.first > until:
            continue
        for rows in predictions.batches(file, [*_SERIES, "window_start"]):
            yield rows.select([*_SERIES, "window_start"]).filter(
                to_arrow(to_numpy(rows["window_start"]) <= until)
            )


def _read(predictions: RowTable, series: pa.Table, keys: UInt, start: int) -> pa.Table:
    sensors, devices = (pc.unique(series[name]).to_pylist() for name in _SERIES)
    rows = predictions.read(_WINDOWS.names, start, sensors=sensors, devices=devices)
    return _by_time([rows.filter(to_arrow(np.isin(row_fingerprints(rows, _SERIES), keys)))])


def _join_new(
    predictions: RowTable,
    files: Sequence[DataFile],
    until: int | None,
    late: _Late,
    unfinished: pa.Table,
    rules: JoinRules,
) -> tuple[pa.Table, pa.Table]:
    """Join the windows after ``until`` with the runs that go on, piece by piece; schema INCIDENTS."""
    closed = [_NOTHING]
    for start, end in day_pieces([(file.first, file.last, file.rows) for file in files]):
        first = start if until is None else max(start, until + 1)
        inside = [file for file in files if file.overlaps(first, end)]
        sources = [(_WINDOWS, _between(predictions, file, first, end, late)) for file in inside]
        tables = (_by_time(parts) for parts in device_ranges(sources, key=_SERIES))
        done, unfinished = _join_sensors(tables, unfinished, rules)
        closed.append(done)
    return pa.concat_tables(closed), unfinished


def _between(predictions: RowTable, file: DataFile, start: int, end: int, late: _Late) -> Iterator[pa.Table]:
    for rows in predictions.batches(file, _WINDOWS.names):
        time = to_numpy(rows["window_start"])
        mine = (time >= start) & (time < end)
        if late.keys.size:
            mine &= ~late.has(rows)
        yield rows.select(_WINDOWS.names).filter(to_arrow(mine))


def _join_sensors(
    tables: Iterable[pa.Table], unfinished: pa.Table, rules: JoinRules
) -> tuple[pa.Table, pa.Table]:
    """Join windows sorted by sensor and device; runs of sensors and devices without windows stay."""
    closed, going_on, seen = [_NOTHING], [_NOTHING], []
    for sensor, windows in by_sensor(tables):
        seen.append(sensor)
        earlier = _as_runs(unfinished.filter(to_arrow(are(unfinished["sensor"], sensor))))
        sources = [(_JUDGED, map(_what_matters, windows)), (UNFINISHED, [earlier])]
        for part, its_earlier in device_ranges(sources):
            done, rest = join_windows(part, its_earlier, rules)
            closed.append(incidents_table(done, sensor, "closed"))
            is_incident = rest["is_incident"]
            going_on.append(incidents_table(rest.filter(is_incident), sensor, "open"))
            going_on.append(incidents_table(rest.filter(pc.invert(is_incident)), sensor, "forming"))
    is_seen = pc.is_in(unfinished["sensor"], value_set=strings(seen))
    return pa.concat_tables(closed), pa.concat_tables([unfinished.filter(pc.invert(is_seen)), *going_on])


def _as_runs(unfinished: pa.Table) -> pa.Table:
    """Convert incidents that are not closed to schema UNFINISHED, sorted by device."""
    columns = {name: unfinished[name] for name in UNFINISHED.names if name in INCIDENTS.names}
    columns["is_incident"] = to_arrow(are(unfinished["state"], "open"))
    rows = pa.Table.from_arrays([columns[name] for name in UNFINISHED.names], schema=UNFINISHED)
    return rows.sort_by("device").combine_chunks()


def _what_matters(windows: pa.Table) -> pa.Table:
    """Select the anomalies and each device's last window, which shows until when it was observed."""
    rows = windows.select(list(JUDGED)).combine_chunks()
    if rows.num_rows == 0:
        return rows
    device = rows["device"].combine_chunks()
    is_last = np.append(to_numpy(pc.not_equal(device[1:], device[:-1])), True)
    return rows.filter(to_arrow(is_last | to_numpy(rows["is_anomaly"])))


def _by_time(parts: Sequence[pa.Table]) -> pa.Table:
    with_rows = [part for part in parts if part.num_rows]
    if len(with_rows) == 1 and len(parts) > 1:
        return with_rows[0]
    order = [(name, "ascending") for name in (*_SERIES, "window_start")]
    return pa.concat_tables([empty_table(_WINDOWS), *with_rows]).sort_by(order).combine_chunks()


def _unfinished(incidents: RowTable) -> pa.Table:
    """Read the incidents that are not closed."""
    rows = [
        batch.filter(to_arrow(~are(batch["state"], "closed")))
        for file in incidents.files()
        if file.bounds.get("state") != ("closed", "closed")
        for batch in incidents.batches(file)
    ]
    return pa.concat_tables([_NOTHING, *rows])


def _kept(incidents: RowTable, late: _Late) -> Iterator[tuple[DataFile, list[pa.Table]]]:
    """Yield the files that lose incidents, each with those that stay.

    All that are not closed are written anew, and of late series those that are found anew.
    """
    for file in incidents.files():
        may_be_late = late.keys.size and file.last >= late.start
        if file.bounds.get("state") == ("closed", "closed") and not may_be_late:
            continue
        tables = list(incidents.batches(file))
        kept = [
            rows.filter(
                to_arrow(
                    are(rows["state"], "closed") & ~(late.has(rows) & (to_numpy(rows["start"]) >= late.start))
                )
            )
            for rows in tables
        ]
        if sum(rows.num_rows for rows in kept) < file.rows:
            yield file, kept
