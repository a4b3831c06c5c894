"""Find what has changed since the last notification: incidents opened, closed, withdrawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, constant, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import NOTIFICATIONS, OF_INCIDENT, OUTLIER

EVENTS = pa.schema([field for field in NOTIFICATIONS if field.name not in ("sink", "is_delivered")])

_NEVER_NOTIFIED = -1
_CHANGES = ("opened", "closed", "withdrawn")
_OPENED, _CLOSED, _WITHDRAWN = range(3)


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


def with_changes(
    ledger: Ledger, current: pa.Table, since: datetime, wanted: Wanted, sinks: Sequence[str]
) -> Ledger:
    """Add the changes of known and new incidents to the ledger, and drop incidents that are over.

    Where nothing has changed, the ledger is returned as it is.

    Parameters
    ----------
    ledger : Ledger
    current : pyarrow.Table
        Schema DEVICE_INCIDENTS: ended at ``since`` or later, or known to the ledger
        with their successors, if any. More rows do no harm.
    since : datetime
        UTC. A new incident that ended earlier is not notified.
    wanted : Wanted
    sinks : sequence of str
        The sinks to notify.

    Returns
    -------
    Ledger
        An incident is ``opened`` once when it is new, also where it is over already, and again when
        it was notified as closed and goes on; it is ``closed`` once no window can extend it;
        it is ``withdrawn`` when late readings, or another model, have made it another one or none.
        ``merged_into`` names the incident of the device, or the event of the fleet, that lies there now; that
        one is notified whatever its age. ``number`` counts the events of an incident, and with its id makes
        that of the event.
    """
    notified = ledger.last_notified()
    place = _places(current["incident_id"], notified["incident_id"])
    was, number = _last_change(notified, place)
    is_open = are(current["state"], "open")
    gone = notified.filter(to_arrow(_is_gone(notified, current)))
    merged_into = _successors(gone, current)

    is_due = to_numpy(current["end"]) >= microseconds(since)
    is_due &= wanted.mask(current)
    is_due |= to_numpy(pc.is_in(current["incident_id"], value_set=merged_into))
    opens = np.where(was == _CLOSED, is_open, is_due & (was != _OPENED))
    closes = ~is_open & (opens | (was == _OPENED))
    none = constant("", current.num_rows)
    events = pa.concat_tables(
        [
            _events("opened", current, number + 1, none, opens),
            _events("closed", current, number + 1 + opens, none, closes),
            _events(
                "withdrawn", gone, to_numpy(gone["number"]) + 1, merged_into, np.ones(gone.num_rows, bool)
            ),
        ]
    )
    return ledger.with_events(events, sinks).pruned(since, sinks) if events.num_rows else ledger


def _places(ids: pa.ChunkedArray, among: pa.ChunkedArray) -> Int:
    found = pc.index_in(ids, value_set=among)
    return to_numpy(found, null=-1).astype(np.int64)


def _last_change(notified: pa.Table, place: Int) -> tuple[Int, Int]:
    """Return the last change notified of the incidents at these positions, and its event number."""
    change = to_numpy(pc.index_in(notified["change"], value_set=strings(_CHANGES))).astype(np.int64)
    # The last position, -1, stands for an incident that was never notified.
    return np.append(change, _NEVER_NOTIFIED)[place], np.append(to_numpy(notified["number"]), 0)[place]


def _is_gone(notified: pa.Table, current: pa.Table) -> Bool:
    is_there = to_numpy(pc.is_in(notified["incident_id"], value_set=current["incident_id"]))
    is_gone: Bool = ~(is_there | are(notified["change"], "withdrawn"))
    return is_gone


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


def _events(change: str, incidents: pa.Table, number: Int, merged_into: pa.Array, chosen: Bool) -> pa.Table:
    if not chosen.any():
        return empty_table(EVENTS)
    rows = incidents.filter(to_arrow(chosen))
    names, numbers = rows["incident_id"].to_pylist(), np.asarray(number, np.int64)[chosen]
    columns = {
        "event_id": strings([f"{name}-{n}" for name, n in zip(names, numbers.tolist(), strict=True)]),
        "change": constant(change, rows.num_rows),
        "number": to_arrow(numbers),
        **{name: rows[name] for name in OF_INCIDENT},
        "merged_into": merged_into.filter(to_arrow(chosen)),
    }
    return pa.Table.from_arrays([columns[name] for name in EVENTS.names], schema=EVENTS)
