"""In which state each device is: an incident nobody has seen, one that somebody has, silence, or quiet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.operations.actions import ACKNOWLEDGED, OPEN
from batch_scoring.server.queries.incidents import SILENCED, Listed
from batch_scoring.server.queries.totals import FleetTotals, newest_unscored
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import OUTLIER

STATES = (OPEN, ACKNOWLEDGED, SILENCED, "silent", "not scored", "quiet")


@dataclass(frozen=True)
class DeviceStates:
    """The states of the devices of a fleet, one element a device.

    Attributes
    ----------
    priority : array of shape (n,), float64
        Of its worst incident that is open and neither acknowledged nor silenced; 0 without one.
    level : array of shape (n,), int64
        Position in ``LEVELS`` of that; -1 without one.
    acknowledged, silenced : array of shape (n,), bool
        Whether it has an incident of that state.
    silent, unscored : array of shape (n,), bool
        Whether an open incident is of silence; whether windows of the newest day were not scored.
    """

    priority: Float
    level: Int
    acknowledged: Bool
    silenced: Bool
    silent: Bool
    unscored: Bool

    def words(self, device: int) -> str:
        """Name the state of a device, and the level of its incident."""
        if self.silent[device]:
            return "silent"
        if self.level[device] >= 0:
            return LEVELS[self.level[device]]
        others = {ACKNOWLEDGED: self.acknowledged, SILENCED: self.silenced, "not scored": self.unscored}
        return next((name for name, mask in others.items() if mask[device]), "")

    def mask(self, state: str, level: str) -> Bool:
        """Mark the devices of a state, and those with an open incident of at least a level."""
        has = self.level >= 0
        known = {
            OPEN: has,
            ACKNOWLEDGED: self.acknowledged,
            SILENCED: self.silenced,
            "silent": self.silent,
            "not scored": self.unscored,
        }
        known["quiet"] = ~np.any(list(known.values()), axis=0)
        keep = known[state] if state else np.ones(has.size, bool)
        return keep & (self.level >= LEVELS.index(level)) if level else keep

    def named(self, totals: FleetTotals, state: str, level: str) -> pa.Array:
        """Return the ids of :meth:`mask`."""
        return totals.devices.filter(to_arrow(self.mask(state, level)))


def device_states(totals: FleetTotals, listed: Listed) -> DeviceStates:
    """Find the state of each device; an incident of many devices names the worst hundred."""
    n = len(totals.devices)
    priority, level = np.zeros(n), np.full(n, -1)
    masks = {name: np.zeros(n, bool) for name in (ACKNOWLEDGED, SILENCED, "silent")}
    rows = listed.incidents
    if rows.num_rows and n:
        lists = rows["devices"].combine_chunks()
        row, device = to_numpy(pc.list_parent_indices(lists)), positions(lists.flatten(), totals.devices)
        is_listed = ~are(rows["kind"], OUTLIER)
        keep = (device >= 0) & is_listed[row]
        row, device = row[keep], device[keep]
        is_open = are(listed.state, OPEN)[row]
        np.maximum.at(priority, device[is_open], to_numpy(rows["priority"])[row[is_open]])
        np.maximum.at(level, device[is_open], positions(rows["level"], strings(LEVELS))[row[is_open]])
        is_silence = to_numpy(pc.ends_with(rows["kind"], "_silent"))[row]
        masks["silent"][device[is_open & is_silence]] = True
        for name in (ACKNOWLEDGED, SILENCED):
            masks[name][device[are(listed.state, name)[row]]] = True
    return DeviceStates(
        priority,
        level,
        masks[ACKNOWLEDGED],
        masks[SILENCED],
        masks["silent"],
        newest_unscored(totals),
    )
