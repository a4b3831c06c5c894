"""The verdicts of people as the feedback that evaluation, training and recalibration read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from batch_scoring.operations.actions import VERDICT, holds, in_order
from batch_scoring.tables.arrow_arrays import as_rows, from_rows
from batch_scoring.tables.schemas import FEEDBACK, FLEET_EVENT, OUTLIER

# Silence has no windows that a model could learn from.
_KINDS = ("anomaly", FLEET_EVENT, OUTLIER)


def feedback_of(actions: pa.Table, incidents: pa.Table | None = None) -> pa.Table:
    """Convert verdicts to feedback.

    Parameters
    ----------
    actions : pyarrow.Table
        Schema INCIDENT_ACTIONS, in any order.
    incidents : pyarrow.Table, optional
        Schema DEVICE_INCIDENTS: an incident that is still there is as it is now, since it may have grown
        after the verdict; others, and what has flapped since, are as the person saw them.

    Returns
    -------
    pyarrow.Table
        Schema FEEDBACK: of the last verdict of each incident, unless it was taken back, a row for each
        device and sensor that it lists, at most 100 devices. Verdicts on silence are none.
    """
    last: dict[str, dict[str, Any]] = {}
    for row in as_rows(in_order(actions, "action_id")):
        if row["action"] == VERDICT:
            last[row["incident_id"]] = row
    names = ["incident_id", "devices", "sensors", "start", "end", "last_start"]
    now = {row["incident_id"]: row for row in as_rows(incidents.select(names))} if incidents and last else {}
    rows = [
        {"device": device, "sensor": sensor, "verdict": row["verdict"], "note": row["text"]}
        | {"start": seen["start"], "end": seen["end"]}
        for name, row in last.items()
        if row["verdict"] and row["kind"] in _KINDS
        for seen in [now[name] if name in now and holds(row, now[name]["last_start"]) else row]
        for device in seen["devices"]
        for sensor in seen["sensors"]
    ]
    return from_rows(rows, FEEDBACK)
