"""The champions and their versions; promote and roll back, each behind a confirmation."""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batch_scoring.core.errors import InputError
from batch_scoring.registry.published import Manifest, list_published, read_manifest
from batch_scoring.server import request_values as asked
from batch_scoring.server.pages.rendering import site_of, url
from batch_scoring.server.pages.shared import show
from batch_scoring.server.security import form_of

log = logging.getLogger(__name__)
CHANGES = ("promote", "rollback")
_LONGEST_SENSOR = 1000


def models(request: Request) -> Response:
    """Show the published champions; the versions are fetched after it, since MLflow takes seconds."""
    done = asked.choice(request.query_params, "done", CHANGES)
    return show(request, "models.html", champions=_champions(request), versions=None, done=done)


def versions(request: Request) -> Response:
    """Show the versions of every sensor."""
    champions = _champions(request)
    found = site_of(request).registry.versions(_identity(champions))
    return show(request, "models.html", champions=champions, versions=found, done="")


def confirm(request: Request) -> Response:
    """Ask whether a version is to be scored, with the figures of both."""
    site, values = site_of(request), request.query_params
    what, sensor, wanted = _change_of(values)
    known = [row for row in site.registry.versions(_identity(_champions(request))) if row["sensor"] == sensor]
    now = next((row for row in known if "champion" in row["alias"]), None)
    if what == "promote":
        then = next((row for row in known if row["version"] == wanted), None)
    else:
        then = next((row for row in known if "previous" in row["alias"]), None)
    if then is None:
        raise HTTPException(404, f"Sensor {sensor[:80]!r} has no such version to go to.")
    return show(request, "confirm.html", what=what, sensor=sensor, now=now, then=then)


def change(request: Request) -> Response:
    """Promote or roll back, as the registry's own command does."""
    registry = site_of(request).registry
    what, sensor, wanted = _change_of(form_of(request))
    # A warning, for the server keeps no less: who changed what is scored must be found later.
    log.warning("%s: %s %s %s", request.state.who or "somebody", what, sensor, wanted)
    if what == "promote":
        registry.promote(sensor, wanted)
    else:
        registry.roll_back(sensor)
    return RedirectResponse(url("/models", done=what), 303)


def _change_of(values: Any) -> tuple[str, str, str]:
    """Read what is to be done; a version is a number, so that no alias moves between page and press."""
    what = asked.choice(values, "do", CHANGES)
    sensor = asked.text(values, "sensor", _LONGEST_SENSOR)
    wanted = asked.whole(values, "version", 0, 1, 10**9) if what == "promote" else 0
    if not what or not sensor or (what == "promote" and not wanted):
        raise InputError("do, sensor, version: one is missing; open the page of the models again")
    return what, sensor, str(wanted or "")


def _champions(request: Request) -> list[Manifest]:
    published = site_of(request).workspace.published
    return [read_manifest(published, sensor) for sensor in list_published(published)]


def _identity(champions: list[Manifest]) -> tuple[str, ...]:
    return tuple(manifest.digest for manifest in champions)
