"""What is sent as it is: the report page of the last run as a file, and the metrics for Prometheus."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.server.pages.rendering import site_of

_METRICS = "text/plain; version=0.0.4; charset=utf-8"


def report_page(request: Request) -> Response:
    """Send the page as a file: its own policy lets its script run only where it is opened by itself."""
    page = site_of(request).workspace.written("report_page")
    if page is None:
        raise HTTPException(404, "There is no report page yet; `kedro run --pipelines=report` makes it.")
    named = {"content-disposition": 'attachment; filename="fleet_report.html"'}
    return Response(page, media_type="text/html", headers=named)


def metrics(request: Request) -> Response:
    """Send the metrics; a scraper sends the token as ``Authorization: Bearer TOKEN``."""
    write = site_of(request).metrics
    if write is None:
        raise HTTPException(404, "This server was started without metrics.")
    return Response(write(), headers={"content-type": _METRICS})
