"""In which state each device is: an open incident, silence, windows that were not scored, or quiet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.server.queries.totals import FleetTotals, newest_unscored
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, OUTLIER

STATES = ("open", "silent", "not scored", "quiet")


@dataclass(frozen=True)
class DeviceStates:
    """The states of the devices of a fleet, one element a device.

    Attributes
    ----------
    priority : array of shape (n,), float64
        Of its worst open incident; 0 without one.
    level : array of shape (n,), int64
        Position in ``LEVELS`` of that; -1 without one.
    silent, unscored : array of shape (n,), bool
    """

    priority: Float
    level: Int
    silent: Bool
    unscored: Bool

    def words(self, device: int) -> str:
        """Name the state of a device, and the level of its incident."""
        if self.silent[device]:
            return "silent"
        if self.level[device] >= 0:
            return LEVELS[self.level[device]]
        return "not scored" if self.unscored[device] else ""

    def mask(self, state: str, level: str) -> Bool:
        """Mark the devices of a state, and those with an open incident of at least a level."""
        has = self.level >= 0
        quiet = ~(has | self.silent | self.unscored)
        known = {"open": has, "silent": self.silent, "not scored": self.unscored, "quiet": quiet}
        keep = known[state] if state else np.ones(has.size, bool)
        return keep & (self.level >= LEVELS.index(level)) if level else keep

    def named(self, totals: FleetTotals, state: str, level: str) -> pa.Array:
        """Return the ids of :meth:`mask`."""
        return totals.devices.filter(to_arrow(self.mask(state, level)))


def device_states(totals: FleetTotals, incidents: RowTable) -> DeviceStates:
    """Find the state of each device.

    Parameters
    ----------
    totals : FleetTotals
    incidents : RowTable
        Schema DEVICE_INCIDENTS; without it no incident is open. An incident of many devices names the worst
        hundred.
    """
    n = len(totals.devices)
    priority, level, silent = np.zeros(n), np.full(n, -1), np.zeros(n, bool)
    if incidents.exists and incidents.schema == DEVICE_INCIDENTS:
        rows = incidents.read(["kind", "state", "level", "priority", "devices"])
        is_listed = are(rows["state"], "open") & ~are(rows["kind"], OUTLIER)
        rows = rows.filter(to_arrow(is_listed)).combine_chunks()
        if rows.num_rows:
            lists = rows["devices"].combine_chunks()
            row, device = to_numpy(pc.list_parent_indices(lists)), positions(lists.flatten(), totals.devices)
            row, device = row[device >= 0], device[device >= 0]
            levels = positions(rows["level"], strings(LEVELS))
            np.maximum.at(priority, device, to_numpy(rows["priority"])[row])
            np.maximum.at(level, device, levels[row])
            is_silence = to_numpy(pc.ends_with(rows["kind"], "_silent"))
            silent[device[is_silence[row]]] = True
    return DeviceStates(priority, level, silent, newest_unscored(totals))
