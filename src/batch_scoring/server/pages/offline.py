"""The report page of the last run: one file, to keep or to send."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.server.pages.rendering import site_of


def report_page(request: Request) -> Response:
    """Send the page as a file: its own policy lets its script run only where it is opened by itself."""
    page = site_of(request).workspace.written("report_page")
    if page is None:
        raise HTTPException(404, "There is no report page yet; `kedro run --pipelines=report` makes it.")
    named = {"content-disposition": 'attachment; filename="fleet_report.html"'}
    return Response(page, media_type="text/html", headers=named)
