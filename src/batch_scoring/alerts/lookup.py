"""Look up the incidents that a notification ledger needs, and what people have made of them."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from batch_scoring.alerts.changes import Current
from batch_scoring.operations.actions import ACKNOWLEDGED, CLOSED, handled
from batch_scoring.operations.silences import silenced_incidents
from batch_scoring.plant.devices import NOTHING_KNOWN, Devices
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import are, empty_table
from batch_scoring.tables.schemas import ACCEPTED, DEVICE_INCIDENTS, FALSE_ALARM, INCIDENT_ACTIONS, SILENCES


def look_up(incidents: RowTable) -> pa.Table:
    """Read the ranked incidents; schema DEVICE_INCIDENTS."""
    is_known = incidents.schema == DEVICE_INCIDENTS
    return incidents.read().combine_chunks() if is_known else empty_table(DEVICE_INCIDENTS)


def with_people(
    incidents: pa.Table,
    at: datetime,
    actions: pa.Table | None = None,
    silences: pa.Table | None = None,
    devices: Devices = NOTHING_KNOWN,
) -> Current:
    """Add what people have made of incidents until a time.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    at : datetime
        UTC.
    actions, silences : pyarrow.Table, optional
        Schemas INCIDENT_ACTIONS and SILENCES.
    devices : Devices, optional
    """
    actions = empty_table(INCIDENT_ACTIONS) if actions is None else actions
    silences = empty_table(SILENCES) if silences is None else silences
    found = handled(incidents, actions, at)
    return Current(
        incidents,
        ~are(found["state"], CLOSED),
        are(found["verdict"], FALSE_ALARM) | are(found["verdict"], ACCEPTED),
        are(found["state"], ACKNOWLEDGED),
        silenced_incidents(incidents, at, silences, devices),
    )
