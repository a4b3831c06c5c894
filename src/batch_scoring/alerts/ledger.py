"""Record which events were sent to which sink, and which are due: one row per event and sink."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import EPOCH, microseconds
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, constant, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import NOTIFICATIONS, OF_PEAK

# Under this name the table records since when incidents are notified, microseconds since the epoch.
NOTIFIED_SINCE = "since"
_KEY = ("event_id", "sink")
_MANY_FILES = 16
# Changes after which an incident is open.
OPEN = ("opened", "escalated", "overdue", "reminded")
# Columns that ledgers of before do not have.
_NEWER = (
    "last_start",
    "peak_sensor",
    *OF_PEAK,
    "warming_up",
    "advice",
    "at",
    "opened_at",
    "silenced_by",
    "message_id",
)
# Columns that say what became of an event at a sink.
AT_SINK = ("sink", "message_id", "is_delivered")
_ORDER = [(name, "ascending") for name in ("start", "incident_id", "number", "sink")]


@dataclass(frozen=True)
class Ledger:
    """The events that were sent, or are due, at each sink.

    Attributes
    ----------
    table : pyarrow.Table
        Schema NOTIFICATIONS, in the order in which events are sent.
    since : datetime
        Incidents that ended before, UTC, are not notified, unless the ledger knows them.
    """

    table: pa.Table = field(default_factory=lambda: empty_table(NOTIFICATIONS))
    since: datetime = EPOCH

    @classmethod
    def read(cls, stored: RowTable, since: int | None = None) -> Ledger:
        """Read the stored ledger: an event is delivered when one of its rows says so.

        Parameters
        ----------
        stored : RowTable
        since : int, optional
            Microseconds since the epoch.
        """
        stored.require_known(NOTIFICATIONS)
        # One of other columns is of an earlier version, which sent other events; columns may be missing.
        rows = empty_table(NOTIFICATIONS)
        if {*NOTIFICATIONS.names} - {*_NEWER} <= {*stored.schema.names} <= {*NOTIFICATIONS.names}:
            rows = _filled(pa.concat_tables([rows, stored.read()], promote_options="default"))
        rows = rows.sort_by([*_ORDER, ("is_delivered", "descending")]).combine_chunks()
        keys = row_fingerprints(rows, _KEY)
        is_first = np.append(True, keys[1:] != keys[:-1])[: keys.size]
        return cls(rows.filter(to_arrow(is_first)), EPOCH + timedelta(microseconds=since or 0))

    def change(self, stored: RowTable, progress: Mapping[str, int]) -> Change:
        """Return the change that stores this ledger; rows that are stored already stay where they are.

        Deliveries are appended in many small files; these are joined here.
        """
        if len(stored.files()) > _MANY_FILES or stored.schema != NOTIFICATIONS:
            return Change(NOTIFICATIONS, [[self.table]], progress, replaces_all=stored.exists)
        upsert = _upsert(stored, stored.files())
        new = list(upsert.fresh([self.table]))
        upsert.remove_unseen()
        return Change(NOTIFICATIONS, [new], progress, rewritten=upsert.rewritten)

    def note(self, rows: Int, stored: RowTable, since: int, progress: Mapping[str, int]) -> Change:
        """Return the change that appends some rows, except rows that other runs have appended.

        Parameters
        ----------
        rows : array of shape (n,), int64
        stored : RowTable
        since : int
            The version of it that this ledger was read from or, later, added to.
        progress : mapping
        """
        others = _upsert(stored, stored.added_since(since))
        return Change(NOTIFICATIONS, [others.fresh([self.table.take(to_arrow(rows))])], progress)

    def last_notified(self) -> pa.Table:
        """Return the last event of each incident, one row per incident; schema NOTIFICATIONS."""
        rows = np.flatnonzero(self._is_last())
        _, first = np.unique(self._incident[rows], return_index=True)
        return self.table.take(to_arrow(rows[first])).combine_chunks()

    def pending(self, sink: str) -> Int:
        """Return the rows that a sink has not acknowledged, in sending order, but for silenced ones."""
        return np.flatnonzero(are(self.table["sink"], sink) & self._waits())

    def pending_messages(self, sink: str) -> list[Int]:
        """Return the rows of each message that a sink has not acknowledged, shape (n,) each.

        In sending order: as runs noticed them, and of a run what it had to send together comes last.
        """
        rows = self.pending(sink)
        ids = self.table["message_id"].take(to_arrow(rows)).combine_chunks().dictionary_encode()
        message = to_numpy(ids.indices).astype(np.int64)
        order = np.argsort(message, kind="stable")
        ends = np.flatnonzero(np.diff(message[order])) + 1
        found = np.split(rows[order], ends) if rows.size else []
        at = to_numpy(self.table["at"])
        return sorted(found, key=lambda one: (at[one[0]], one.size > 1, one[0]))

    def _waits(self) -> Bool:
        waits: Bool = ~to_numpy(self.table["is_delivered"]) & are(self.table["silenced_by"], "")
        return waits

    def delivered(self, rows: Int) -> Ledger:
        """Return the ledger with some rows acknowledged."""
        is_delivered = to_numpy(self.table["is_delivered"]).copy()
        is_delivered[rows] = True
        columns = [*self.table.columns[:-1], to_arrow(is_delivered)]
        return Ledger(pa.Table.from_arrays(columns, schema=NOTIFICATIONS), self.since)

    def with_events(self, events: pa.Table, sinks: Mapping[str, int | None]) -> Ledger:
        """Add new events for each sink, and decide which message carries each.

        Parameters
        ----------
        events : pyarrow.Table
            Schema NOTIFICATIONS without the columns AT_SINK.
        sinks : mapping of str to int, optional
            By name the most messages that a sink gets in a run; None for a message an event. What waits for
            it from earlier runs counts.
        """
        parts, n = [self.table], events.num_rows
        for sink, most in sinks.items():
            free = None if most is None else max(most - len(self.pending_messages(sink)), 1)
            columns = {name: events[name] for name in events.column_names}
            columns["sink"] = constant(sink, n)
            columns["message_id"] = _message_ids(events, free)
            columns["is_delivered"] = to_arrow(np.zeros(n, bool))
            arrays = [columns[name] for name in NOTIFICATIONS.names]
            parts.append(pa.Table.from_arrays(arrays, schema=NOTIFICATIONS))
        return Ledger(pa.concat_tables(parts).sort_by(_ORDER).combine_chunks(), self.since)

    def pruned(self, since: datetime, sinks: Collection[str], listed: pa.ChunkedArray) -> Ledger:
        """Drop the rows that no later run needs.

        Kept are events that one of ``sinks`` still waits for, and of each incident the last event,
        as long as it is open or ended at ``since`` or later. Longer, while it is one of ``listed``, because
        it may flap and its events are counted on; but not what a sink waited for that is none of ``sinks``.
        """
        is_open = to_numpy(pc.is_in(self.table["change"], value_set=strings(OPEN)))
        is_recent = to_numpy(self.table["end"]) >= microseconds(since)
        waits = self._waits()
        is_owed = waits & to_numpy(pc.is_in(self.table["sink"], value_set=strings(list(sinks))))
        is_listed = to_numpy(pc.is_in(self.table["incident_id"], value_set=listed)) & ~waits
        keep = is_owed | (self._is_last() & (is_recent | is_open | is_listed))
        return Ledger(self.table.filter(to_arrow(keep)).combine_chunks(), since)

    @cached_property
    def _incident(self) -> Int:
        """Number the incident of each row."""
        if self.table.num_rows == 0:
            return np.zeros(0, np.int64)
        encoded = self.table["incident_id"].combine_chunks().dictionary_encode()
        return to_numpy(encoded.indices).astype(np.int64)

    def _is_last(self) -> Bool:
        number = to_numpy(self.table["number"])
        newest = np.zeros(number.size, np.int64)
        np.maximum.at(newest, self._incident, number)
        is_last: Bool = number == newest[self._incident]
        return is_last


def _upsert(stored: RowTable, files: Sequence[DataFile]) -> Upsert:
    """Compare events with those of some files: equal are those of one id, sink and delivery."""
    key = (*_KEY, "is_delivered")
    return Upsert(stored, files, key, lambda rows: np.zeros(rows.num_rows, np.uint64), key)


def _message_ids(events: pa.Table, most: int | None) -> pa.Array:
    """Return the id of the message that carries each event: the worst have one each, all others share one.

    What is opened comes before what is over, so that of an incident no message about its end is sent before
    that about its beginning.
    """
    ids = events["event_id"].combine_chunks()
    speaks = are(events["silenced_by"], "")
    if most is None or np.count_nonzero(speaks) <= most:
        return ids
    is_open = to_numpy(pc.is_in(events["change"], value_set=strings(OPEN)))
    order = np.lexsort((to_numpy(events["number"]), -to_numpy(events["priority"]), ~is_open, ~speaks))
    rest = order[most - 1 : np.count_nonzero(speaks)]
    names = sorted(ids.take(to_arrow(rest)).to_pylist())
    shared = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    is_shared = np.zeros(len(ids), bool)
    is_shared[rest] = True
    return pc.if_else(to_arrow(is_shared), constant(f"several-{shared}", len(ids)), ids)


def _filled(rows: pa.Table) -> pa.Table:
    """Fill what ledgers of before do not say: each event was a message of its own, noticed at its end."""
    instead = {
        "at": rows["end"],
        "opened_at": rows["end"],
        "silenced_by": constant("", rows.num_rows),
        "message_id": rows["event_id"],
    }
    for name, values in instead.items():
        if rows[name].null_count:
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, rows.schema.field(place), pc.coalesce(rows[name], values))
    return rows
