"""What pages share: results made once for the versions of their tables, and pages of a list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.rendering import render, site_of, with_query
from batch_scoring.server.queries.device_states import DeviceStates, device_states
from batch_scoring.server.queries.incidents import TABLES, Listed, list_incidents
from batch_scoring.server.queries.totals import FleetTotals, read_totals
from batch_scoring.server.workspace import Workspace


def show(request: Request, template: str, **values: Any) -> Response:
    """Fill a template of a page that says up to when there are windows; see :func:`.render`."""
    return render(request, template, as_of=totals_of(site_of(request).workspace).end / 1e6, **values)


def paged(request: Request, n: int, rows_a_page: int) -> tuple[slice, dict[str, Any]]:
    """Choose the page of a list that is asked for: its rows, and the template's links to its neighbours."""
    pages = max(1, -(-n // rows_a_page))
    page = min(asked.whole(request.query_params, "page", 1, 1, 1_000_000), pages)
    links = {
        "page": page,
        "pages": pages,
        "before": with_query(request, page=page - 1) if page > 1 else "",
        "after": with_query(request, page=page + 1) if page < pages else "",
    }
    return slice((page - 1) * rows_a_page, page * rows_a_page), links


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


def groups_of(workspace: Workspace) -> dict[str, list[str]]:
    """Return the devices of each group that people have named, by the group's name, sorted."""
    rows = workspace.file("devices")
    found: dict[str, list[str]] = {}
    for name, group in zip(rows["id"].to_pylist(), rows["group"].to_pylist(), strict=True):
        if group:
            found.setdefault(group, []).append(name)
    return dict(sorted(found.items()))
