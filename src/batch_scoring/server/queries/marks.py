"""What lies over the charts of a device: gaps, times that are not judged, and incidents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.listed_stays import listed_stays
from batch_scoring.incidents.stretches import join_stretches
from batch_scoring.operations.tables import read
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.rules import OFF
from batch_scoring.server.workspace import Workspace
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import are, as_rows, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS

MAX_STRETCHES, MAX_INCIDENTS = 500, 50
# Only what is drawn: a workspace of older code lacks columns until its next run.
_SPAN = ("sensor", "start", "end")


def find_marks(
    workspace: Workspace, device: str, sensors: list[str], predictions: pa.Table, start: int, end: int
) -> dict[str, dict[str, list[Any]]]:
    """Find the gaps, what is not judged, incidents and long stays of each sensor, seconds since the epoch."""
    return {
        "gaps": _gaps(workspace.table("gaps"), device, sensors, start, end),
        "unjudged": _unjudged(workspace, device, sensors, predictions, start, end),
        "incidents": _incidents(workspace.table("incidents"), device, sensors, start, end),
        "stays": _stays(workspace, device, start, end),
    }


def _gaps(table: RowTable, device: str, sensors: list[str], start: int, end: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if not table.exists:
        return found
    rows = table.read(_SPAN, None, end, sensors, [device])
    for row in as_rows(rows):
        since = microseconds(row["start"])
        until = microseconds(row["end"]) if row["end"] else end
        if until > start and since < end and until > since:
            found.setdefault(row["sensor"], []).append([since / 1e6, until / 1e6, row["end"] is None])
    return {name: sorted(spans)[-MAX_STRETCHES:] for name, spans in found.items()}


def _unjudged(
    workspace: Workspace, device: str, sensors: list[str], predictions: pa.Table, start: int, end: int
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    known = Devices(workspace.file("devices"))
    rows = workspace.file("calendar")
    names = strings([device] * len(sensors)), strings(sensors)
    for row in range(min(rows.num_rows, MAX_STRETCHES)):
        one = rows.slice(row, 1)
        reason = one["reason"][0].as_py() or "calendar"
        for number, since, until in zip(*Calendar(one, known).stretches(*names, start, end), strict=True):
            found.setdefault(sensors[number], []).append([int(since) / 1e6, int(until) / 1e6, reason])
    if "rule" in predictions.column_names:
        off = predictions.filter(to_arrow(are(predictions["rule"], OFF)))
        begins, ends = (to_numpy(off[name]) for name in ("window_start", "window_end"))
        place = positions(off["sensor"], strings(sensors))
        order = np.lexsort((begins, place))
        for number, a, b in zip(*join_stretches(place[order], begins[order], ends[order], 0), strict=True):
            found.setdefault(sensors[number], []).append([int(a) / 1e6, int(b) / 1e6, "the machine is off"])
    return {name: spans[:MAX_STRETCHES] for name, spans in found.items()}


def _incidents(
    table: RowTable, device: str, sensors: list[str], start: int, end: int
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if not table.exists:
        return found
    rows = table.read([*_SPAN, "state"], start - 31 * DAY_US, end, sensors, [device])
    for row in as_rows(rows):
        if row["state"] == "forming" or microseconds(row["end"]) <= start:
            continue
        span = [microseconds(row[name]) / 1e6 for name in ("start", "end")]
        found.setdefault(row["sensor"], []).append([*span, row["state"] == "open"])
    return {name: sorted(spans)[-MAX_STRETCHES:] for name, spans in found.items()}


def _stays(workspace: Workspace, device: str, start: int, end: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    ranked, known = workspace.table("device_incidents"), Devices(workspace.file("devices"))
    rows = read(ranked, DEVICE_INCIDENTS)
    mine = rows.take(to_arrow(incidents_of(rows, known.newest(device))))
    for one in listed_stays(workspace.table("stays"), mine, known):
        if one.device == device and one.start < end and one.end > start:
            times = (moment / 1e6 for moment in (one.start, one.usual_until, one.end))
            found.setdefault(one.sensor, []).append([*times, one.is_open])
    return {name: spans[:MAX_STRETCHES] for name, spans in found.items()}


def incidents_of(ranked: pa.Table, device: str) -> Int:
    """Return the positions of the incidents of a device, those of many devices among them, shape (m,)."""
    lists = ranked["devices"].combine_chunks()
    mine = are(ranked["device"], device)
    mine[to_numpy(pc.list_parent_indices(lists))[are(lists.flatten(), device)]] = True
    return np.flatnonzero(mine)[:MAX_INCIDENTS]
