"""The last runs, with timings and failures."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.server.pages.rendering import site_of
from batch_scoring.server.pages.shared import show
from batch_scoring.server.queries.jobs import job_runs, step_commits


def jobs(request: Request) -> Response:
    """List the last runs, what the steps have committed, and the newest runs of jobs."""
    site = site_of(request)
    return show(
        request,
        "jobs.html",
        recorded=[{"run": one, "state": one.seen_now()} for one in site.runs()],
        steps=step_commits(site.workspace),
        runs=job_runs(site.records),
    )
