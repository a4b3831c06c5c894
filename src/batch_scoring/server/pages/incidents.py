"""Incidents: the list, one of them with what people did, and the actions."""

from __future__ import annotations

from datetime import UTC, datetime
from glob import escape
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.core.text import number
from batch_scoring.incidents.evidence import LEVELS
from batch_scoring.incidents.listed_stays import ListedStay
from batch_scoring.operations.actions import VERDICTS, act
from batch_scoring.operations.tables import append
from batch_scoring.plant.devices import ALL
from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.rendering import as_time, site_of, url, with_query
from batch_scoring.server.pages.shared import groups_of, listed_of, paged, show
from batch_scoring.server.queries.incidents import (
    KINDS,
    STATES,
    IncidentFilter,
    find_incidents,
    stays_of,
    trail,
)
from batch_scoring.server.security import WHO, form_of, set_cookie

ROWS_A_PAGE = 30
# Hours of each length that a silence may have.
LENGTHS = {"1 hour": 1, "4 hours": 4, "8 hours": 8, "1 day": 24, "7 days": 168, "30 days": 720}
MAX_COMMENT = 4_000
DONE = {
    "acknowledge": "Acknowledged.",
    "unacknowledge": "The acknowledgement is taken back.",
    "comment": "The comment is kept.",
    "verdict": "The verdict is kept; the next training and evaluation read it.",
    "unjudge": "The verdict is taken back.",
    "silence": "Silenced.",
    "revoke": "The silence is revoked.",
}
# Which action takes back what was done.
UNDO = {"acknowledge": "unacknowledge", "unacknowledge": "acknowledge", "verdict": "unjudge"}


def incidents(request: Request) -> Response:
    """List the incidents."""
    workspace, values = site_of(request).workspace, request.query_params
    listed = listed_of(workspace)
    wanted = IncidentFilter(
        asked.choice(values, "state", (*STATES, "any"), "open").replace("any", ""),
        asked.choice(values, "level", LEVELS),
        asked.choice(values, "kind", KINDS),
        asked.text(values, "q"),
    )
    found = find_incidents(listed, wanted)
    here, links = paged(request, len(found), ROWS_A_PAGE)
    return show(
        request,
        "incidents.html",
        rows=listed.rows(found[here]),
        tabs=[
            (state, n, with_query(request, state=state, page=""), wanted.state == state)
            for state, n in listed.counts.items()
        ],
        all_link=with_query(request, state="any", page=""),
        wanted=wanted,
        n=len(found),
        **links,
        levels=LEVELS,
        kinds=KINDS,
        is_known=workspace.table("device_incidents").exists,
    )


def incident(request: Request) -> Response:
    """Show an incident, what people did about it, and what can be done."""
    workspace = site_of(request).workspace
    row = _find(request)
    done = asked.choice(request.query_params, "done", tuple(DONE))
    device = row["device"] or (row["devices"] or [""])[0]
    sensor = row["sensors"][0] if row["n_sensors"] == 1 and row["sensors"] else ""
    stays = stays_of(workspace, row)
    return show(
        request,
        "incident.html",
        row=row,
        trail=trail(workspace, row, datetime.now(UTC)),
        verdicts=VERDICTS,
        done=done,
        said=said_of(request),
        undo=UNDO.get(done, ""),
        stays=[(one.sensor, one.start / 1e6, one.words) for one in stays],
        chart=_chart_link(row, stays, device, sensor),
        pattern=escape(device),
        sensor_pattern=escape(sensor) or ALL,
        lengths=LENGTHS,
        groups=[*groups_of(workspace)],
    )


def change(request: Request) -> Response:
    """Record what a person did about an incident, and show it again."""
    workspace, form = site_of(request).workspace, form_of(request)
    row, who = _find(request), who_of(request)
    what = asked.choice(form, "do", tuple(DONE))
    text = asked.written(form, "text", MAX_COMMENT)
    # Without the check a press on the button with nothing chosen would take a verdict back.
    verdict = asked.choice(form, "verdict", VERDICTS) or None
    if what == "verdict" and verdict is None:
        raise InputError(f"verdict: none is chosen; expected one of {', '.join(VERDICTS)}")
    action = {"unjudge": "verdict"}.get(what, what)
    rows = act(
        {**row, "state": None},
        action,
        who,
        datetime.now(UTC),
        verdict if what == "verdict" else None,
        text or None,
    )
    workspace.save("incident_actions", append(rows))
    return back(request, url(f"/incidents/{row['incident_id']}", done=what))


def said_of(request: Request) -> str:
    """Say what was done before this page was shown; of a silence, how much it covers."""
    values = request.query_params
    done = asked.choice(values, "done", tuple(DONE))
    if done != "silence" or not values.get("devices"):
        return DONE.get(done, "")
    n, m = (asked.whole(values, name, 0, 0, 10**9) for name in ("devices", "incidents"))
    return f"Silenced. It covers {number(n, 'device')} and {number(m, 'incident')} not closed."


def back(request: Request, to: str) -> Response:
    """Lead to a page after a form, and remember the name that was given."""
    response = RedirectResponse(to, 303)
    if form_of(request).get("who", "").strip() and not site_of(request).access.proxy_header:
        set_cookie(response, request, WHO, asked.written(form_of(request), "who", 60, is_one_line=True))
    return response


def who_of(request: Request) -> str:
    """Return who acts: the name in the form, unless a proxy knows better."""
    if site_of(request).access.proxy_header:
        return str(request.state.who)
    return asked.written(form_of(request), "who", 60, is_one_line=True) or str(request.state.who)


def _find(request: Request) -> dict[str, Any]:
    listed = listed_of(site_of(request).workspace)
    found = listed.find(request.path_params["incident_id"])
    if found is None:
        raise HTTPException(
            404, "This incident is not listed any more: it is older, or late windows have changed it."
        )
    return found


def _chart_link(row: dict[str, Any], stays: list[ListedStay], device: str, sensor: str) -> str:
    """Link to the device around the incident, and its stays: half of their length before and after them."""
    if not device:
        return ""
    start = min([microseconds(row["start"]), *(one.start for one in stays)])
    end = microseconds(row["end"])
    around = max((end - start) // 2, DAY_US // 8)
    return url("/device", id=device, sensor=sensor, from_=as_time(start - around), to=as_time(end + around))
