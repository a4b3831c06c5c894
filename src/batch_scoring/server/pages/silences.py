"""Silences: devices and sensors without alerts, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.core.errors import InputError
from batch_scoring.operations.silences import revoke, silence
from batch_scoring.operations.tables import append
from batch_scoring.plant.devices import ALL, Devices
from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.incidents import DONE, LENGTHS, MAX_COMMENT, back, said_of, who_of
from batch_scoring.server.pages.rendering import site_of, url
from batch_scoring.server.pages.shared import groups_of, listed_of, show, totals_of
from batch_scoring.server.queries.coverage import Coverage, find_coverage
from batch_scoring.server.queries.incidents import all_silences, find_silence
from batch_scoring.server.security import form_of
from batch_scoring.server.workspace import Workspace

_PATTERN = 1000
_SHOWN = 100


def silences(request: Request) -> Response:
    """List the silences, with a form for another one."""
    workspace = site_of(request).workspace
    in_force, written = all_silences(workspace, datetime.now(UTC))
    done = asked.choice(request.query_params, "done", tuple(DONE))
    return show(
        request,
        "silences.html",
        in_force=in_force,
        written=written[:_SHOWN],
        done=done,
        said=said_of(request),
        lengths=LENGTHS,
        groups=[*groups_of(workspace)],
        pattern=asked.text(request.query_params, "device", _PATTERN),
        sensor_pattern=asked.text(request.query_params, "sensor", _PATTERN) or ALL,
    )


def set_silence(request: Request) -> Response:
    """Set a silence, and show the incident or the list it was set from."""
    form, now = form_of(request), datetime.now(UTC)
    every = asked.choice(form, "every", ("day", "week")) or None
    start, end = _span(form, now)
    until = asked.time(form, "until") if every else None
    if until is not None and until <= now:
        raise InputError("until: it is over already; expected a time in the future, UTC, or none")
    patterns = _patterns(form)
    rows = silence(
        who_of(request),
        now,
        start,
        end,
        **patterns,
        every=every,
        until=until,
        comment=asked.written(form, "text", MAX_COMMENT) or None,
    )
    covered = _coverage(site_of(request).workspace, patterns, now)
    site_of(request).workspace.save("silences", append(rows))
    return back(
        request, _origin(form, "silence", devices=str(covered.devices), incidents=str(covered.incidents))
    )


def _patterns(form: Mapping[str, str]) -> dict[str, str]:
    """Read what is to be silenced; that it is everything has to be said twice."""
    found = {name: asked.text(form, name, _PATTERN) for name in ("device", "sensor", "group")}
    if not found["device"]:
        raise InputError("device: it is empty; expected a device or a pattern, such as 'pump-*'")
    found = {name: pattern or ALL for name, pattern in found.items()}
    if not any(pattern.strip("*?") for pattern in found.values()) and form.get("everything") != "yes":
        raise InputError(
            "device, sensor, group: they match the whole fleet; name a part of it, or tick 'The whole fleet'"
        )
    return found


def _coverage(workspace: Workspace, patterns: Mapping[str, str], now: datetime) -> Coverage:
    """Find what is covered; patterns that match nothing are a slip of the pen."""
    totals, rows = totals_of(workspace), workspace.file("devices")
    found = find_coverage(totals, listed_of(workspace), rows, Devices(rows), now, patterns)
    if not found.is_any and len(totals.devices):
        shown = ", ".join(f"{name} {pattern[:80]!r}" for name, pattern in patterns.items() if pattern != ALL)
        raise InputError(
            f"{shown}: nothing of {len(totals.devices):,} devices matches; expected names as the fleet shows "
            "them, where A and a differ"
        )
    return found


def revoke_silence(request: Request) -> Response:
    """Revoke a silence."""
    workspace, form, now = site_of(request).workspace, form_of(request), datetime.now(UTC)
    row = find_silence(workspace, request.path_params["silence_id"], now)
    if row is None:
        raise HTTPException(404, "This silence is over, or revoked already.")
    workspace.save("silences", append(revoke(row, who_of(request), now)))
    return back(request, _origin(form, "revoke"))


def _span(form: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """Read from when to when: a length from now on, or two times."""
    start = asked.time(form, "start") or now
    end = asked.time(form, "end")
    if end is None:
        length = asked.choice(form, "for", tuple(LENGTHS), "1 hour")
        end = start + timedelta(hours=LENGTHS[length])
    if end <= now and not form.get("every"):
        raise InputError("end: it is over already; expected a time in the future, UTC")
    return start, end


def _origin(form: Mapping[str, str], done: str, **more: str) -> str:
    incident = form.get("incident", "")
    is_id = len(incident) == 16 and all(c in "0123456789abcdef" for c in incident)
    return url(f"/incidents/{incident}" if is_id else "/incidents/silences", done=done, **more)
