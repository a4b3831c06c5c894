"""The incidents with what people made of them: open, acknowledged, silenced or closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.devices import listed_as
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.incidents.listed_stays import ListedStay, listed_stays
from batch_scoring.operations.actions import OPEN, handled
from batch_scoring.operations.silences import REVOKED, in_force, silence, silenced_incidents
from batch_scoring.operations.tables import read
from batch_scoring.plant.devices import Devices
from batch_scoring.server.workspace import Workspace
from batch_scoring.tables.arrays import Bool, Float
from batch_scoring.tables.arrow_arrays import are, as_rows, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, INCIDENT_ACTIONS, OUTLIER, SILENCES

SILENCED = "silenced"
STATES = ("open", "acknowledged", SILENCED, "closed")
KINDS = ("anomaly", "fleet_event", "sensor_silent", "device_silent", "source_silent", OUTLIER)
# People see an incident, and silence it, after its last window: runs are hourly, and readings come late.
_SEEN_LATE = timedelta(days=1)
TABLES = ("device_incidents", "incident_actions", "silences")


@dataclass(frozen=True)
class Listed:
    """The incidents in their order, one row each in all tables.

    Attributes
    ----------
    incidents : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    handled : pyarrow.Table
        Schema HANDLED.
    state : pyarrow.Array of string
        One of STATES; ``silenced`` is open, and no alert is sent.
    silence : pyarrow.Array of string
        Id of the silence that covers it; empty without one.
    listed_as : array of shape (n,), float64
        What they are ordered by.
    """

    incidents: pa.Table
    handled: pa.Table
    state: pa.Array
    silence: pa.Array
    listed_as: Float

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each state, without outliers."""
        listed = ~are(self.incidents["kind"], OUTLIER)
        return {name: int((are(self.state, name) & listed).sum()) for name in STATES}

    def rows(self, place: Any) -> list[dict[str, Any]]:
        """Return some incidents as dictionaries, with their state."""
        some = to_arrow(np.asarray(place, np.int64))
        parts = (self.incidents.take(some), self.handled.drop_columns(["incident_id", "state"]).take(some))
        states, silences = (one.take(some).to_pylist() for one in (self.state, self.silence))
        listed = self.listed_as[to_numpy(some)].tolist()
        return [
            {
                **{**incident, "is_over": incident["state"] == "closed", **done},
                **{"state": state, "silence": silence, "listed_as": by},
            }
            for incident, done, state, silence, by in zip(
                *map(as_rows, parts), states, silences, listed, strict=True
            )
        ]

    def find(self, incident_id: str) -> dict[str, Any] | None:
        """Return an incident by its id; None where it is not listed."""
        place = np.flatnonzero(are(self.incidents["incident_id"], incident_id))
        return self.rows(place[:1])[0] if place.size else None


def list_incidents(workspace: Workspace, at: datetime) -> Listed:
    """List the incidents, as people have handled them up to a time, UTC."""
    incidents = read(workspace.table("device_incidents"), DEVICE_INCIDENTS)
    done = handled(incidents, read(workspace.table("incident_actions"), INCIDENT_ACTIONS), at)
    silences = read(workspace.table("silences"), SILENCES)
    silence = silenced_incidents(incidents, at, silences, Devices(workspace.file("devices")))
    if isinstance(silence, pa.ChunkedArray):
        silence = silence.combine_chunks()
    is_silenced = are(done["state"], OPEN) & ~are(silence, "")
    state = done["state"].combine_chunks() if done.num_rows else strings([])
    state = pc.if_else(to_arrow(is_silenced), strings([SILENCED] * len(state)), state)
    return Listed(incidents, done, state, silence, listed_as(incidents, 0))


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents are wanted; empty is any.

    Attributes
    ----------
    state, level, kind : str
        ``level`` is the least one. Outliers are listed only where ``kind`` names them.
    text : str
        Part of the id of a device or of the name of a sensor, in any case.
    """

    state: str = ""
    level: str = ""
    kind: str = ""
    text: str = ""


def find_incidents(listed: Listed, wanted: IncidentFilter) -> Any:
    """Return the positions of the incidents that a filter leaves, in their order, shape (m,)."""
    rows = listed.incidents
    if not rows.num_rows:
        return np.zeros(0, np.int64)
    keep: Bool = are(rows["kind"], wanted.kind) if wanted.kind else ~are(rows["kind"], OUTLIER)
    if wanted.state:
        keep &= are(listed.state, wanted.state)
    if wanted.level:
        keep &= np.isin(rows["level"].to_pylist(), LEVELS[LEVELS.index(wanted.level) :])
    if wanted.text:
        keep &= _has_name(rows, wanted.text)
    return np.flatnonzero(keep)


def _has_name(rows: pa.Table, text: str) -> Bool:
    found = np.zeros(rows.num_rows, bool)
    for name in ("devices", "sensors"):
        lists = rows[name].combine_chunks()
        matches = to_numpy(pc.match_substring(lists.flatten(), text, ignore_case=True))
        found[to_numpy(pc.list_parent_indices(lists))[matches]] = True
    return found


def stays_of(workspace: Workspace, incident: dict[str, Any]) -> list[ListedStay]:
    """Return the stays at a level that an incident is about; see :func:`listed_stays`."""
    ranked = read(workspace.table("device_incidents"), DEVICE_INCIDENTS)
    row = ranked.filter(to_arrow(are(ranked["incident_id"], incident["incident_id"])))
    return listed_stays(workspace.table("stays"), row, Devices(workspace.file("devices")))


def trail(workspace: Workspace, incident: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    """Return what people did about an incident, the last first: its actions, and the rows of its silences.

    Parameters
    ----------
    workspace : Workspace
    incident : dict
        As :meth:`Listed.find` returns it.
    at : datetime
        Now, UTC.
    """
    actions = read(workspace.table("incident_actions"), INCIDENT_ACTIONS)
    name = incident["incident_id"]
    found = list(as_rows(actions.filter(to_arrow(are(actions["incident_id"], name)))))
    rows = list(as_rows(read(workspace.table("silences"), SILENCES)))
    known = Devices(workspace.file("devices"))
    mine = {
        row["silence_id"]
        for row in rows
        if row["change"] != REVOKED and _was_of(row, incident) and _covers(row, incident, at, known)
    }
    for row in rows:
        if row["silence_id"] in mine:
            action = "revoked a silence" if row["change"] == REVOKED else "silenced"
            seen = {"at": row["at"], "who": row["who"], "action": action, "verdict": None}
            found.append(seen | {"text": row["comment"]})
    return sorted(found, key=lambda row: row["at"], reverse=True)


def _was_of(row: dict[str, Any], incident: dict[str, Any]) -> bool:
    """Whether a silence, in force or not any more, had to do with the time of an incident."""
    last = row["until"] if row["every"] else row["end"]
    if last is not None and last <= incident["start"]:
        return False
    return not incident["is_over"] or row["start"] < incident["end"] + _SEEN_LATE


def _covers(row: dict[str, Any], incident: dict[str, Any], at: datetime, known: Devices) -> bool:
    """Whether the patterns of a silence cover an incident, whenever it is in force."""
    names = {name: row[name] for name in ("device", "sensor", "group")}
    probe = silence(row["who"], at, at, at + timedelta(minutes=1), **names)
    lists = {name: [incident[name]] for name in ("devices", "sensors")}
    one = pa.table(lists, pa.schema([DEVICE_INCIDENTS.field(name) for name in lists]))
    return bool(silenced_incidents(one, at, probe, known)[0].as_py())


def all_silences(workspace: Workspace, at: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the silences in force, and all rows ever written, the last first."""
    rows = read(workspace.table("silences"), SILENCES)
    newest_first = sorted(as_rows(rows), key=lambda row: row["at"], reverse=True)
    return list(as_rows(in_force(rows, at))), newest_first


def find_silence(workspace: Workspace, silence_id: str, at: datetime) -> dict[str, Any] | None:
    """Return a silence that is in force; None where there is none of this id."""
    return next((row for row in all_silences(workspace, at)[0] if row["silence_id"] == silence_id), None)
