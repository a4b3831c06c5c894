"""Results that several pages show, each made once for the versions of its tables."""

from __future__ import annotations

from datetime import UTC, datetime

from batch_scoring.server.queries.device_states import DeviceStates, device_states
from batch_scoring.server.queries.incidents import TABLES, Listed, list_incidents
from batch_scoring.server.queries.totals import FleetTotals, read_totals
from batch_scoring.server.workspace import Workspace


def totals_of(workspace: Workspace) -> FleetTotals:
    """Return the totals of the newest days."""

    def read() -> FleetTotals:
        return read_totals(workspace.table("daily_totals"))

    return workspace.kept(read, ("daily_totals",))


def listed_of(workspace: Workspace) -> Listed:
    """Return the incidents as they are handled now; made anew each minute, for silences begin and end."""
    now = datetime.now(UTC)

    def read() -> Listed:
        return list_incidents(workspace, now)

    return workspace.kept(read, TABLES, now.strftime("%H:%M"))


def states_of(workspace: Workspace) -> DeviceStates:
    """Return the state of each device of the totals."""

    def read() -> DeviceStates:
        return device_states(totals_of(workspace), listed_of(workspace))

    return workspace.kept(read, ("daily_totals", *TABLES), datetime.now(UTC).strftime("%H:%M"))
