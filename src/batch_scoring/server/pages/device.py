"""The page of a device: its sensors over time, its incidents and its models."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.core.moments import DAY_US
from batch_scoring.plant.devices import Devices
from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.rendering import as_time, site_of, url, with_query
from batch_scoring.server.pages.shared import listed_of, show, states_of, totals_of
from batch_scoring.server.queries.device import (
    SENSORS_A_PAGE,
    SensorRow,
    device_data,
    device_range,
    list_sensors,
)
from batch_scoring.server.queries.marks import incidents_of
from batch_scoring.server.queries.totals import FleetTotals, newest_anomaly
from batch_scoring.server.workspace import Workspace
from batch_scoring.tables.arrow_arrays import positions, strings

_RANGES = {"6 h": DAY_US // 4, "1 d": DAY_US, "3 d": 3 * DAY_US, "7 d": 7 * DAY_US, "14 d": 14 * DAY_US}
_LONGEST_ID = 1000
_CHARTED = (
    *("windows", "predictions", "readings", "calibrations", "gaps", "incidents"),
    *("device_incidents", "stays"),
)


def device(request: Request) -> Response:
    """Show a device in a range of time."""
    workspace, values = site_of(request).workspace, request.query_params
    totals = totals_of(workspace)
    name = asked.exact_id(values, "id", _LONGEST_ID)
    place = position_of(totals, name)
    start, end = device_range(asked.moment(values, "from"), asked.moment(values, "to"), totals.end)
    rows = list_sensors(totals, place, start, end)
    focus, sisters, more = _chosen(values, rows)

    def read() -> dict[str, Any]:
        return device_data(workspace, name, focus, sisters, start, end)

    data = workspace.kept(read, _CHARTED, name, focus, *sisters, start, end)
    listed = listed_of(workspace)
    facts = data["facts"]
    return show(
        request,
        "device.html",
        id=name,
        state=states_of(workspace).words(place),
        start=start / 1e6,
        end=end / 1e6,
        focus=focus,
        sisters=sisters,
        tabs=[
            {"name": one.name, "anomalies": one.anomalies, "link": with_query(request, sensor=one.name)}
            for one in _on_page(rows, [focus, *sisters])
        ],
        n_more=len(rows) - 1 - len(sisters),
        more=with_query(request, sensors=more),
        last=_last_anomaly(request, totals, place, focus) if not data["series"][0]["flags"] else None,
        also=_other_ids(workspace, name),
        incidents=listed.rows(incidents_of(listed.incidents, name)),
        facts=facts,
        data_of=data,
        data=data,
        **_times(request, start, end, totals.end),
    )


def position_of(totals: FleetTotals, name: str) -> int:
    """Find a device; raises HTTPException 404 where it has not been scored."""
    place = int(positions(strings([name]), totals.devices)[0]) if len(totals.devices) else -1
    if place < 0:
        raise HTTPException(404, f"No device {name[:80]!r} has been scored in the days that are listed.")
    return place


def _chosen(values: Any, rows: list[SensorRow]) -> tuple[str, list[str], int]:
    """Choose the sensor in front, those below it, and where the next page of sensors begins."""
    names = [one.name for one in rows]
    focus = asked.choice(values, "sensor", names, names[0])
    others = [name for name in names if name != focus]
    first = asked.whole(values, "sensors", 0, 0, 100_000)
    first = first if first < len(others) else 0
    shown = others[first : first + SENSORS_A_PAGE - 1]
    return focus, shown, first + SENSORS_A_PAGE - 1 if first + len(shown) < len(others) else 0


def _on_page(rows: list[SensorRow], names: list[str]) -> list[SensorRow]:
    return [one for one in rows if one.name in names]


def _other_ids(workspace: Workspace, name: str) -> list[tuple[str, str]]:
    ids = Devices(workspace.file("devices")).ids_of(name)
    return [(one, url("/device", id=one)) for one in ids if one != name]


def _last_anomaly(request: Request, totals: FleetTotals, device: int, focus: str) -> dict[str, Any] | None:
    """Find the anomaly to go to from a range without one."""
    found = newest_anomaly(totals, device, focus)
    if found is None:
        return None
    start, sensor = found
    times = {"from": as_time(start), "to": as_time(start + DAY_US)}
    return {"day": start / 1e6, "sensor": sensor, "link": with_query(request, sensor=sensor, **times)}


def _times(request: Request, start: int, end: int, newest: int) -> dict[str, Any]:
    """Make the links to other ranges of time."""
    length = end - start

    def link(since: int, until: int) -> str:
        return with_query(request, **{"from": as_time(since), "to": as_time(until)})

    return {
        "earlier": link(start - length, start),
        "later": link(end, end + length) if end < newest else "",
        "newest": with_query(request, **{"from": "", "to": ""}),
        "ranges": [(name, link(end - span, end), span == length) for name, span in _RANGES.items()],
    }
