"""The metrics of the workspace, for Prometheus."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.server.pages.rendering import site_of

_KIND = "text/plain; version=0.0.4; charset=utf-8"


def metrics(request: Request) -> Response:
    """Send the metrics; a scraper sends the token as ``Authorization: Bearer TOKEN``."""
    write = site_of(request).metrics
    if write is None:
        raise HTTPException(404, "This server was started without metrics.")
    return Response(write(), headers={"content-type": _KIND})
