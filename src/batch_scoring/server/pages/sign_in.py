"""Sign in with the token, and the name under which actions are recorded; sign out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from batch_scoring.server.pages.rendering import render, site_of
from batch_scoring.server.security import SESSION, SIGN_IN, WHO, drop_cookie, form_of, set_cookie


def show_sign_in(request: Request) -> Response:
    """Ask for the token."""
    return _page(request, own_path(request.query_params.get("to", "/")))


def sign_in(request: Request) -> Response:
    """Check the token, and go on to where the person wanted to go."""
    form, access = form_of(request), site_of(request).access
    to = own_path(form.get("to", "/"))
    if not access.is_token(form.get("token", "")):
        return _page(request, to, 403)
    response = RedirectResponse(to, 303)
    set_cookie(response, request, SESSION, access.sessions.begin())
    if form.get("who", "").strip():
        set_cookie(response, request, WHO, form["who"].strip()[:60])
    return response


def sign_out(request: Request) -> Response:
    """End the session, and have the browser forget it and the name."""
    site_of(request).access.sessions.end(request.state.session)
    response = RedirectResponse(SIGN_IN, 303)
    for name in (SESSION, WHO):
        drop_cookie(response, request, name)
    return response


def _page(request: Request, to: str, status: int = 200) -> Response:
    """Ask for the token; who has none yet sees no path of this machine."""
    return render(request, "sign_in.html", status, to=to, is_wrong=status != 200, workspace="Fleet")


def own_path(to: str) -> str:
    r"""Return a path of this server; anything else leads to the fleet.

    Examples
    --------
    >>> [own_path(to) for to in ("/device?id=a", "//evil.example", "https://evil.example", "/\\evil")]
    ['/device?id=a', '/', '/', '/']
    """
    is_own = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if is_own else "/"
