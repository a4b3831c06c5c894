"""Pages for what went wrong: one sentence, and no traceback."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from batch_scoring.core.errors import InputError
from batch_scoring.core.failures import traceback_of
from batch_scoring.core.system_errors import system_error
from batch_scoring.server.pages.rendering import render
from batch_scoring.server.pages.sign_in import own_path

log = logging.getLogger(__name__)


def not_valid(request: Request, error: Exception) -> Response:
    """Say what of a request is not valid, or what of the workspace cannot be read."""
    assert isinstance(error, InputError)
    title = "Not done" if request.method == "POST" else "This cannot be shown"
    return _page(request, 400, title, str(error))


def refused(request: Request, error: Exception) -> Response:
    """Say that there is no such page, or why it is refused."""
    assert isinstance(error, HTTPException)
    sentence = "There is no such page." if error.detail == "Not Found" else error.detail
    return _page(request, error.status_code, "Not here", sentence)


def of_the_system(request: Request, error: Exception) -> Response:
    """Say what is wrong with the machine or its storage."""
    found = system_error(error)
    if found is None:
        raise error
    log.error("%s", found)
    return _page(request, 503, "This cannot be shown now", str(found))


def failed(request: Request, error: Exception) -> Response:
    """Log a bug; the page names no file and no line."""
    log.error("%s %s\n%s", request.method, request.url.path, traceback_of(error))
    sentence = "This page failed. What went wrong is in the server's log."
    return _page(request, 500, "An error", sentence)


def _page(request: Request, status: int, title: str, sentence: str) -> Response:
    return render(request, "error.html", status, title=title, sentence=sentence, back=_form_page(request))


def _form_page(request: Request) -> str:
    """Return the page that a form was sent from; empty where it is not one of ours."""
    came = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or came.netloc.lower() != request.headers["host"].lower():
        return ""
    return own_path(came.path + (f"?{came.query}" if came.query else ""))
