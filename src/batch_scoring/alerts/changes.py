"""Find what has changed since the last notification: incidents opened, worse, waiting, over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.alerts.ledger import AT_SINK, OPEN, Ledger
from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, constant, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import NOTIFICATIONS, OF_INCIDENT, OUTLIER, TIMESTAMP

EVENTS = pa.schema([field for field in NOTIFICATIONS if field.name not in AT_SINK])

_CHANGES = (*OPEN, "closed", "withdrawn")
_CLOSED = _CHANGES.index("closed")
_NEVER_NOTIFIED = -1


@dataclass(frozen=True)
class Wanted:
    """Which incidents are notified.

    Attributes
    ----------
    min_level : str
        A new incident of a lower level is not; it may grow.
    outliers : bool
        Whether single anomalous windows are.
    warming_up : bool
        Whether those of young models are.
    """

    min_level: str = LEVELS[0]
    outliers: bool = False
    warming_up: bool = False

    def mask(self, incidents: pa.Table) -> Bool:
        """Mark the incidents that are notified, shape (n,)."""
        levels = strings(LEVELS[LEVELS.index(self.min_level) :])
        wanted: Bool = to_numpy(pc.is_in(incidents["level"], value_set=levels))
        is_young = to_numpy(incidents["warming_up"], null=False)
        return wanted & (are(incidents["kind"], OUTLIER) <= self.outliers) & (is_young <= self.warming_up)


@dataclass(frozen=True)
class Pace:
    """When an open incident that nobody has acknowledged is notified again; None for never.

    Attributes
    ----------
    escalate_after : timedelta, optional
        Once, this time after it was opened.
    remind_every : timedelta, optional
        This time after it was last notified.
    """

    escalate_after: timedelta | None = None
    remind_every: timedelta | None = None


NO_PACE = Pace()


@dataclass(frozen=True)
class Current:
    """The n incidents of now, and what people have made of them.

    Attributes
    ----------
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    is_open : array of shape (n,), bool
        Neither over nor settled by a verdict.
    is_settled, is_acknowledged : array of shape (n,), bool
        By a person.
    silenced_by : pyarrow.Array of string, n
        Ids of silences; ``""`` where alerts are sent.
    """

    rows: pa.Table
    is_open: Bool
    is_settled: Bool
    is_acknowledged: Bool
    silenced_by: pa.Array

    @classmethod
    def untouched(cls, rows: pa.Table) -> Current:
        """Return incidents that no person has looked at."""
        no = np.zeros(rows.num_rows, bool)
        return cls(rows, are(rows["state"], "open"), no, no, constant("", rows.num_rows))


@dataclass(frozen=True)
class _Last:
    """Of each current incident its last event: change, number, level, times (µs), size, silence and kind."""

    change: Int
    number: Int
    level: Int
    at: Int
    opened_at: Int
    end: Int
    n_incidents: Int
    silenced_by: pa.Array
    kind: pa.Array

    @classmethod
    def of(cls, notified: pa.Table, ids: pa.ChunkedArray) -> _Last:
        place = to_numpy(pc.index_in(ids, value_set=notified["incident_id"]), null=-1).astype(np.int64)
        numbers = (
            pc.index_in(notified["change"], value_set=strings(_CHANGES)),
            notified["number"],
            pc.index_in(notified["level"], value_set=strings(LEVELS)),
            notified["at"],
            notified["opened_at"],
            notified["end"],
            notified["n_incidents"],
        )
        # The last position, -1, stands for an incident that was never notified.
        change, number, level, at, opened_at, end, n_incidents = (
            np.append(to_numpy(one).astype(np.int64), nothing)[place]
            for one, nothing in zip(numbers, (_NEVER_NOTIFIED, 0, 0, 0, 0, 0, 0), strict=True)
        )
        rows = to_arrow(np.where(place < 0, notified.num_rows, place))
        silenced_by, kind = (
            pa.chunked_array([*notified[name].chunks, strings([""])], pa.string()).take(rows).combine_chunks()
            for name in ("silenced_by", "kind")
        )
        return cls(change, number, level, at, opened_at, end, n_incidents, silenced_by, kind)


def with_changes(
    ledger: Ledger,
    current: Current,
    at: datetime,
    since: datetime,
    wanted: Wanted,
    sinks: Mapping[str, int | None],
    pace: Pace = NO_PACE,
) -> Ledger:
    """Add the changes of known and new incidents to the ledger, and drop incidents that are over.

    Where nothing has changed, the ledger is returned as it is.

    Parameters
    ----------
    ledger : Ledger
    current : Current
        Incidents that ended at ``since`` or later, or are known to the ledger, with their successors, if any.
        More rows do no harm.
    at : datetime
        UTC, the scheduled time of the run.
    since : datetime
        UTC. A new incident that ended earlier is not notified.
    wanted : Wanted
    sinks : mapping of str to int, optional
        The sinks to notify, and the most messages of each in a run; None for a message an event.
    pace : Pace, optional

    Returns
    -------
    Ledger
        An incident is ``opened`` once when it is new, also where it is over already, and again when
        it was notified as closed and goes on, or has flapped since, or when it is still open after a
        silence; ``escalated`` when its level rises, or what was unusual falls silent; ``overdue`` and
        ``reminded`` as ``pace`` says, while nobody has acknowledged it;
        ``closed`` once no window can extend it, or a person has settled it; ``withdrawn`` when late readings,
        or another model, have made it another one or none. ``merged_into`` names the incident of the device,
        or the event of the fleet, that lies there now; that one is notified whatever its age. ``number``
        counts the events of an incident, and with its id makes that of the event.
        What is opened while it is silenced is noted with the silence, and so is its end; nobody is notified.
    """
    notified, rows = ledger.last_notified(), current.rows
    last, now = _Last.of(notified, rows["incident_id"]), microseconds(at)
    gone = notified.filter(to_arrow(_is_gone(notified, rows, microseconds(since))))
    merged_into = _successors(gone, rows)

    is_due = (to_numpy(rows["end"]) >= microseconds(since)) & wanted.mask(rows) & ~current.is_settled
    is_due |= to_numpy(pc.is_in(rows["incident_id"], value_set=merged_into))
    has_flapped = _has_flapped(rows, last, _notified_as_others(notified, gone, merged_into))
    changes = _changes(current, last, is_due, has_flapped, now, pace)
    opens = changes["opened"]
    more = {
        "merged_into": constant("", rows.num_rows),
        "at": _times(np.full(rows.num_rows, now)),
        "opened_at": _times(np.where(opens, now, last.opened_at)),
        "silenced_by": pc.if_else(to_arrow(opens), current.silenced_by, last.silenced_by),
    }
    of_gone = {
        "merged_into": merged_into,
        "at": _times(np.full(gone.num_rows, now)),
        "opened_at": gone["opened_at"],
        "silenced_by": gone["silenced_by"],
    }
    every = np.ones(gone.num_rows, bool)
    parts = [_events("withdrawn", gone, every, to_numpy(gone["number"]) + 1, of_gone)]
    for change, which in changes.items():
        # What opened and closed between two runs has two events.
        number = last.number + 1 + (opens if change == "closed" else 0)
        parts.append(_events(change, rows, which, number, more))
    events = pa.concat_tables(parts)
    if events.num_rows == 0:
        return ledger
    return ledger.with_events(events, sinks).pruned(since, [*sinks], rows["incident_id"])


def _notified_as_others(notified: pa.Table, gone: pa.Table, merged_into: pa.Array) -> pa.Table:
    """Return what was notified as other incidents: in which it lies now, ``merged_into``, and its ``end``."""
    parts = [
        notified.select(["merged_into", "end"]),
        pa.table([merged_into, gone["end"]], ["merged_into", "end"]),
    ]
    return pa.concat_tables(parts).combine_chunks()


def _has_flapped(rows: pa.Table, last: _Last, others: pa.Table) -> Bool:
    """Mark the incidents that have another part, later than all that was notified; shape (n,).

    Late readings that make the last part longer are not notified; nor is what was notified as another
    incident.
    """
    place = to_numpy(pc.index_in(others["merged_into"], value_set=rows["incident_id"]), null=-1)
    # The last position, -1, stands for what lies in none of them.
    until = np.append(last.end, 0)
    np.maximum.at(until, place.astype(np.int64), to_numpy(others["end"]).astype(np.int64))
    has_more: Bool = to_numpy(rows["n_incidents"]) > last.n_incidents
    return has_more & (to_numpy(rows["end"]).astype(np.int64) > until[:-1])


def _changes(
    current: Current, last: _Last, is_due: Bool, has_flapped: Bool, now: int, pace: Pace
) -> dict[str, Bool]:
    """Mark the incidents that have changed, by change but ``withdrawn``; shape (n,) each."""
    was_open = (last.change >= 0) & (last.change < len(OPEN))
    is_silent, was_silent = ~are(current.silenced_by, ""), ~are(last.silenced_by, "")
    # A flap between two runs is over when it is seen.
    goes_on = current.is_open | (is_due & has_flapped)
    opens = np.where(last.change == _CLOSED, goes_on, is_due & ~was_open)
    opens |= was_open & was_silent & ~is_silent & current.is_open
    closes = ~current.is_open & (opens | was_open)
    follows = was_open & current.is_open & ~opens & ~is_silent & ~was_silent
    return {"opened": opens, **_again(current, last, follows, now, pace), "closed": closes}


def _again(current: Current, last: _Last, follows: Bool, now: int, pace: Pace) -> dict[str, Bool]:
    """Mark the open incidents that are worse, or wait for somebody, by change; shape (n,) each."""
    level = pc.index_in(current.rows["level"], value_set=strings(LEVELS))
    sends_nothing, sent_nothing = (_are_silences(kind) for kind in (current.rows["kind"], last.kind))
    worse = follows & ((to_numpy(level).astype(np.int64) > last.level) | (sends_nothing & ~sent_nothing))
    waits = follows & ~worse & ~current.is_acknowledged
    overdue = reminded = np.zeros(follows.size, bool)
    if pace.escalate_after is not None:
        due = last.opened_at + pace.escalate_after // MICROSECOND
        overdue = waits & (now >= due) & (last.at < due)
    if pace.remind_every is not None:
        reminded = waits & ~overdue & (now - last.at >= pace.remind_every // MICROSECOND)
    return {"escalated": worse, "overdue": overdue, "reminded": reminded}


def _are_silences(kinds: pa.Array | pa.ChunkedArray) -> Bool:
    found: Bool = to_numpy(pc.ends_with(kinds, "_silent"))
    return found


def _is_gone(notified: pa.Table, current: pa.Table, since: int) -> Bool:
    is_there = to_numpy(pc.is_in(notified["incident_id"], value_set=current["incident_id"]))
    is_gone: Bool = ~(is_there | are(notified["change"], "withdrawn"))
    # What was over long ago is not listed for ever.
    is_over = are(notified["change"], "closed") & (to_numpy(notified["end"]).astype(np.int64) < since)
    return is_gone & ~is_over


def _successors(gone: pa.Table, current: pa.Table) -> pa.Array:
    """Return for each withdrawn incident the id of the one that lies in its place, or ''."""
    if gone.num_rows == 0:
        return strings([])
    places = pa.chunked_array([pc.unique(gone["device"]), strings([""])], pa.string())
    of_device: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in as_rows(current.filter(pc.is_in(current["device"], value_set=pc.unique(places)))):
        of_device[row["device"]].append(row)
    found = []
    for row in as_rows(gone):
        # The device's own come first, and of these the same kind, then the earliest.
        those = [*of_device[row["device"]], *(of_device[""] if row["device"] else ())]
        there = [
            (not one["device"], one["kind"] != row["kind"], one["start"], one["incident_id"])
            for one in those
            if one["start"] <= row["end"]
            and row["start"] <= one["end"]
            and not set(one["sensors"]).isdisjoint(row["sensors"])
        ]
        found.append(min(there)[-1] if there else "")
    return strings(found)


def _events(
    change: str,
    incidents: pa.Table,
    chosen: Bool,
    number: Int,
    more: Mapping[str, pa.Array | pa.ChunkedArray],
) -> pa.Table:
    """Make the events of the chosen incidents; ``more`` has the columns that no incident has."""
    if not chosen.any():
        return empty_table(EVENTS)
    mask = to_arrow(chosen)
    rows, numbers = incidents.filter(mask), np.asarray(number, np.int64)[chosen]
    names = zip(rows["incident_id"].to_pylist(), numbers.tolist(), strict=True)
    columns = {
        "event_id": strings([f"{name}-{n}" for name, n in names]),
        "change": constant(change, rows.num_rows),
        "number": to_arrow(numbers),
        **{name: rows[name] for name in OF_INCIDENT},
        **{name: values.filter(mask) for name, values in more.items()},
    }
    return pa.Table.from_arrays([columns[name] for name in EVENTS.names], schema=EVENTS)


def _times(microseconds: Int) -> pa.Array:
    return to_arrow(microseconds.astype(np.int64)).cast(TIMESTAMP)
