"""What a silence covers: how many devices, and which incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.operations.silences import silence, silenced, silenced_incidents
from batch_scoring.plant.devices import Devices
from batch_scoring.server.queries.incidents import Listed
from batch_scoring.server.queries.totals import FleetTotals
from batch_scoring.tables.arrow_arrays import are, to_arrow


@dataclass(frozen=True)
class Coverage:
    """How much the patterns of a silence match.

    Attributes
    ----------
    devices : int
        Devices of the totals with a sensor that matches.
    incidents : int
        Incidents that are not closed, and covered whole.
    is_any : bool
        Whether a device, an incident or a device that people have listed matches.
    """

    devices: int
    incidents: int
    is_any: bool


def find_coverage(
    totals: FleetTotals,
    listed: Listed,
    rows: pa.Table,
    known: Devices,
    at: datetime,
    patterns: Mapping[str, str],
) -> Coverage:
    """Find what patterns of devices, sensors and groups cover.

    Parameters
    ----------
    totals : FleetTotals
    listed : Listed
    rows : pyarrow.Table
        Devices that people have listed, schema DEVICES.
    known : Devices
        The same, as patterns are matched against them.
    at : datetime
        Now, UTC.
    patterns : mapping of str to str
        ``device``, ``sensor`` and ``group``.
    """
    # Whenever the silence itself begins: one of a moment, with its patterns.
    device, sensor, group = (patterns[name] for name in ("device", "sensor", "group"))
    until = at + timedelta(minutes=1)
    probe = silence("nobody", at, at, until, device=device, sensor=sensor, group=group)
    pairs = np.unique(totals.device.astype(np.int64) * len(totals.sensors) + totals.sensor)
    of_device, of_sensor = np.divmod(pairs, max(1, len(totals.sensors)))
    names = totals.devices.take(to_arrow(of_device)), totals.sensors.take(to_arrow(of_sensor))
    hit = ~are(silenced(*names, at, probe, known), "")
    covered = ~are(silenced_incidents(listed.incidents, at, probe, known), "")
    written = known.are_like(rows["id"], device)
    written &= known.are_in_group_like(rows["id"], group)
    return Coverage(
        np.unique(of_device[hit]).size,
        int((covered & ~are(listed.state, "closed")).sum()),
        bool(hit.any() or covered.any() or written.any()),
    )
