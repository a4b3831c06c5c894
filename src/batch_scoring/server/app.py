"""Put the application together: routes, errors, and the guard before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from batch_scoring.core.errors import InputError
from batch_scoring.server.pages import (
    device,
    downloads,
    errors,
    fleet,
    incidents,
    jobs,
    models,
    sign_in,
    silences,
)
from batch_scoring.server.pages.rendering import Site, asset, asset_url
from batch_scoring.server.security import Guard

# Each reads a few row groups at a time: this bounds the memory.
READERS = 4
# So many wait for MLflow at a time, of each kind of request.
WAITING = 2
SECONDS_BETWEEN_LOOKS = 1.0
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
_KINDS = {"fleet.js": "text/javascript", "fleet.css": "text/css"}


def make_app(site: Site) -> Guard:
    """Make the application over a workspace."""
    routes = [
        Route("/", fleet.fleet),
        Route("/device", device.device),
        Route("/incidents", incidents.incidents),
        Route("/incidents/silences", silences.silences, methods=["GET"]),
        Route("/incidents/silences", silences.set_silence, methods=["POST"]),
        Route("/incidents/silences/{silence_id}", silences.revoke_silence, methods=["POST"]),
        Route("/incidents/{incident_id}", incidents.incident, methods=["GET"]),
        Route("/incidents/{incident_id}", incidents.change, methods=["POST"]),
        Route("/models", models.models, methods=["GET"]),
        Route("/models", _apart(models.change), methods=["POST"]),
        Route("/models/versions", _apart(models.versions)),
        Route("/models/confirm", _apart(models.confirm)),
        Route("/jobs", jobs.jobs),
        Route("/offline", downloads.report_page),
        Route("/sign-in", sign_in.show_sign_in, methods=["GET"]),
        Route("/sign-in", sign_in.sign_in, methods=["POST"]),
        Route("/sign-out", sign_in.sign_out, methods=["POST"]),
        Route("/version", _version),
        Route("/metrics", downloads.metrics),
        Route("/assets/{name}", _asset),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            InputError: errors.not_valid,
            OSError: errors.of_the_system,
            HTTPException: errors.refused,
            Exception: errors.failed,
        },
        lifespan=_few_readers,
    )
    app.state.site = site
    app.state.version = ""
    # Outside of what Starlette puts around an application: the page of an error is guarded, too.
    return Guard(app, site.access)


def _apart(handler: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Run a handler that waits for MLflow beside the readers: others do not wait for it."""
    limiter = anyio.CapacityLimiter(WAITING)

    async def handle(request: Request) -> Response:
        return await anyio.to_thread.run_sync(handler, request, limiter=limiter)

    return handle


@asynccontextmanager
async def _few_readers(app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = READERS
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, app)
        yield
        tasks.cancel_scope.cancel()


async def _watch(app: Starlette) -> None:
    """Look for commits all the time, so that a page is answered at once."""
    own, workspace = anyio.CapacityLimiter(1), app.state.site.workspace
    while True:
        app.state.version = await anyio.to_thread.run_sync(workspace.version, limiter=own)
        await anyio.sleep(SECONDS_BETWEEN_LOOKS)


async def _version(request: Request) -> Response:
    """Say which commits there are; it changes when a run commits."""
    return PlainTextResponse(request.app.state.version)


def _asset(request: Request) -> Response:
    """Send a script or style, which browsers may keep: its name changes with its content."""
    for name, kind in _KINDS.items():
        if request.url.path == asset_url(name):
            return Response(asset(name), media_type=kind, headers=_FOREVER)
    raise HTTPException(404)
