"""Pages for what went wrong: one sentence, and no traceback."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.core.errors import InputError
from batch_scoring.core.failures import traceback_of
from batch_scoring.server.pages.rendering import render

log = logging.getLogger(__name__)


def not_valid(request: Request, error: Exception) -> Response:
    """Say what of a request is not valid, or what of the workspace cannot be read."""
    assert isinstance(error, InputError)
    return render(request, "error.html", 400, title="This cannot be shown", sentence=str(error))


def refused(request: Request, error: Exception) -> Response:
    """Say that there is no such page, or why it is refused."""
    assert isinstance(error, HTTPException)
    sentence = "There is no such page." if error.detail == "Not Found" else error.detail
    return render(request, "error.html", error.status_code, title="Not here", sentence=sentence)


def failed(request: Request, error: Exception) -> Response:
    """Log a bug; the page names no file and no line."""
    log.error("%s %s\n%s", request.method, request.url.path, traceback_of(error))
    sentence = "This page failed. What went wrong is in the server's log."
    return render(request, "error.html", 500, title="An error", sentence=sentence)
