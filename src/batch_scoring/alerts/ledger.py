"""Record which events were sent to which sink, and which are due: one row per event and sink."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import EPOCH, as_text, microseconds
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, constant, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import NOTIFICATIONS

_KEY = ("event_id", "sink")
_MANY_FILES = 16
# Sensors named in a message's text.
_NAMED = 3
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
        # One of other columns is of an earlier version, which sent other events; columns may be missing.
        rows = empty_table(NOTIFICATIONS)
        if (
            {*NOTIFICATIONS.names} - {"warming_up", "advice"}
            <= {*stored.schema.names}
            <= {*NOTIFICATIONS.names}
        ):
            rows = pa.concat_tables([rows, stored.read()], promote_options="default")
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
        """Return the rows that a sink has not acknowledged, in sending order."""
        of_sink = are(self.table["sink"], sink)
        return np.flatnonzero(of_sink & ~to_numpy(self.table["is_delivered"]))

    def delivered(self, rows: Int) -> Ledger:
        """Return the ledger with some rows acknowledged."""
        is_delivered = to_numpy(self.table["is_delivered"]).copy()
        is_delivered[rows] = True
        columns = [*self.table.columns[:-1], to_arrow(is_delivered)]
        return Ledger(pa.Table.from_arrays(columns, schema=NOTIFICATIONS), self.since)

    def with_events(self, events: pa.Table, sinks: Iterable[str]) -> Ledger:
        """Add new events, schema NOTIFICATIONS without the last two columns, for each sink."""
        parts, n = [self.table], events.num_rows
        for sink in sinks:
            columns = [*events.columns, constant(sink, n), to_arrow(np.zeros(n, bool))]
            parts.append(pa.Table.from_arrays(columns, schema=NOTIFICATIONS))
        return Ledger(pa.concat_tables(parts).sort_by(_ORDER).combine_chunks(), self.since)

    def pruned(self, since: datetime, sinks: Collection[str]) -> Ledger:
        """Drop the rows that no later run needs.

        Kept are events that one of ``sinks`` still waits for, and of each incident the last event,
        as long as it is open or ended at ``since`` or later.
        """
        end, is_open = to_numpy(self.table["end"]), are(self.table["change"], "opened")
        is_recent = end >= microseconds(since)
        is_owed = ~to_numpy(self.table["is_delivered"]) & to_numpy(
            pc.is_in(self.table["sink"], value_set=strings(list(sinks)))
        )
        keep = is_owed | (self._is_last() & (is_recent | is_open))
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


def messages(rows: pa.Table) -> list[dict[str, Any]]:
    """Convert events to messages of plain JSON values.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema NOTIFICATIONS.

    Returns
    -------
    list of dict
        All columns but the last two, and ``text``, a sentence. Times are ISO 8601 in UTC; a number
        that is not finite is None, and so is ``merged_into`` where it is empty.
    """
    events = rows.select([name for name in NOTIFICATIONS.names if name not in ("sink", "is_delivered")])
    return [_message(row) for row in as_rows(events)]


def _message(row: dict[str, Any]) -> dict[str, Any]:
    message = {name: _plain(value) for name, value in row.items()} | {
        "merged_into": row["merged_into"] or None
    }
    merged = f" (now part of {message['merged_into']})" if message["merged_into"] else ""
    text = (
        f"incident {message['incident_id']} {message['change']}{merged}: {message['level']}, "
        f"{_what(message)}, {message['start']} to {message['end']}, priority {message['priority']:.3g}"
    )
    return message | {"text": text}


def _what(message: dict[str, Any]) -> str:
    """Say in words what an incident is about."""
    # Ids may be any text: quoted, a line break in one cannot forge a log line.
    sensors = ", ".join(map(repr, message["sensors"][:_NAMED]))
    if message["n_sensors"] > _NAMED:
        sensors += f" and {message['n_sensors'] - _NAMED} more"
    device, n_devices = f"device {message['device']!r}", message["n_devices"]
    severity = message["peak_severity"]
    peak = "beyond measure" if severity is None else format(severity, ".3g")
    return {
        "sensor_silent": f"{device} sends nothing from {sensors}",
        "device_silent": f"{device} sends nothing",
        "source_silent": f"most of {n_devices} devices send nothing",
        "fleet_event": f"{n_devices} devices at once, sensors {sensors}, severity {peak}",
        "outlier": f"{device}, a single window of {sensors}, severity {peak}, {message['top_feature']}",
    }.get(message["kind"], f"{device}, sensors {sensors}, severity {peak}, {message['top_feature']}")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return as_text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
