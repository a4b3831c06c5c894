"""Guards every request: whom it is meant for, who sends it, how large it is, and where a form comes from."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batch_scoring.server.access import Access

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
MAX_URL, MAX_FORM = 4096, 16_384
MAX_FIELDS = 40
# A form that never ends would keep its connection.
FORM_SECONDS = 30
SESSION, VISITOR, WHO = "fleet_session", "fleet_visitor", "fleet_who"
SIGN_IN, SIGN_OUT, ASSETS = "/sign-in", "/sign-out", "/assets/"
_LONGEST_WHO = 60


class Guard:
    """ASGI middleware that refuses what the pages must not see.

    Parameters
    ----------
    app : ASGI application
    access : Access
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on with ``scope["state"]`` filled."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            else:  # no page speaks over a web socket
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        # Pair by pair: with `http.cookies`, one bad cookie of another program would drop ours, too.
        cookies = cookie_parser(headers.get("cookie", ""))
        visitor = cookies.get(VISITOR, "")
        is_new = not _is_hex(visitor)
        visitor = secrets.token_hex(16) if is_new else visitor
        state = scope.setdefault("state", {})
        state["csrf"] = self._access.signature("form", visitor)
        who = self._who(headers, cookies)
        # Of the whole name: another one may begin with the same letters.
        state["may_act"] = self._access.may_act(who, self._groups(headers))
        state["who"] = who[:_LONGEST_WHO]
        state["session"] = cookies.get(SESSION, "")
        state["form"] = {}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    found[name] = value
                # What a page shows is not left behind in a browser or a proxy.
                found.setdefault("cache-control", "no-store")
                if is_new and not scope["path"].startswith(ASSETS):
                    found.append("set-cookie", _cookie(scope, VISITOR, visitor))
            await send(message)

        refusal = self._refusal(scope, headers, cookies) or _refuse_to_act(scope, state)
        if refusal is None and scope["method"] == "POST":
            refusal = await self._read_form(scope, headers, receive, state)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers, cookies: dict[str, str]) -> Response | None:
        # A page of another site may have its name point here; then the host is its name.
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _host_name(hosts[0]) not in self._access.names:
            sentence = f"This server is not {_shown(hosts)}. Start it with --name for each of its names."
            return _plain(sentence, 421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _plain("Only GET, HEAD and POST are known here.", 405)
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_URL:
            return _plain("This URL is too long.", 414)
        return None if self._may_pass(scope, headers, cookies) else _ask_to_sign_in(scope)

    def _may_pass(self, scope: Scope, headers: Headers, cookies: dict[str, str]) -> bool:
        access, path = self._access, scope["path"]
        if access.proxy_header:
            # A proxy that adds its header to that of the browser would let people name themselves.
            names = headers.getlist(access.proxy_header)
            return len(names) == 1 and bool(names[0].strip())
        if not access.token or path == SIGN_IN or path.startswith(ASSETS):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and access.is_token(given.strip()):
            return True
        return access.sessions.has(cookies.get(SESSION, ""))

    def _who(self, headers: Headers, cookies: dict[str, str]) -> str:
        if self._access.proxy_header:
            return headers.get(self._access.proxy_header, "").strip()
        return _readable(cookies.get(WHO, "")) or self._access.user

    def _groups(self, headers: Headers) -> list[str]:
        name = self._access.groups_header
        texts = headers.getlist(name) if name else []
        return [group.strip() for text in texts for group in text.split(",") if group.strip()]

    async def _read_form(
        self, scope: Scope, headers: Headers, receive: Receive, state: dict[str, object]
    ) -> Response | None:
        """Read a form of bounded size that one of our own pages has sent."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and urlsplit(origin).netloc.lower() != headers["host"].lower():
            return _plain("This form comes from another site.", 403)
        if site is not None and site != "same-origin":
            return _plain("This form comes from another site.", 403)
        if headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            return _plain("Only forms are read here.", 415)
        body = bytearray()
        with anyio.move_on_after(FORM_SECONDS) as waited:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return _plain("The form ended early.", 400)
                body += message.get("body", b"")
                if len(body) > MAX_FORM:
                    return _plain("This form is too large.", 413)
                if not message.get("more_body"):
                    break
        if waited.cancelled_caught:
            return _plain("This form did not arrive in time.", 408)
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            return _plain("This form cannot be read.", 400)
        form = dict(fields)
        if not hmac.compare_digest(form.pop("csrf", "").encode(), str(state["csrf"]).encode()):
            return _plain("This form is out of date. Open its page again, and send it once more.", 403)
        state["form"] = form
        return None


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of the form that the guard has read."""
    form: dict[str, str] = request.state.form
    return form


def set_cookie(response: Response, request: Request, name: str, value: str) -> None:
    """Set a cookie that scripts and other sites do not see."""
    response.headers.append("set-cookie", _cookie(request.scope, name, quote(value, safe="")))


def drop_cookie(response: Response, request: Request, name: str) -> None:
    """Have a browser forget a cookie."""
    response.headers.append("set-cookie", _cookie(request.scope, name, "") + "; Max-Age=0")


def _cookie(scope: Scope, name: str, value: str) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _readable(text: str) -> str:
    found = unquote(text, errors="replace").strip()[:_LONGEST_WHO]
    return found if found.isprintable() else ""


def _is_hex(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)


def _host_name(host: str) -> str:
    """Return the name of a Host header without its port.

    Examples
    --------
    >>> _host_name("Fleet.example:8050"), _host_name("[::1]:80"), _host_name("::1")
    ('fleet.example', '[::1]', '')
    """
    name, colon, port = host.rpartition(":")
    if not colon:
        return host.lower()
    if not port.isdecimal():
        return host.lower() if host.endswith("]") else ""
    return name.lower() if name.startswith("[") or ":" not in name else ""


def _shown(hosts: list[str]) -> str:
    return repr(hosts[0][:80]) if hosts else "named by this request"


def _ask_to_sign_in(scope: Scope) -> Response:
    if scope["method"] == "GET" and scope["path"] not in ("/version", "/metrics"):
        query = scope["query_string"].decode("latin-1")
        here = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"{SIGN_IN}?to={quote(here, safe='')}", 303)
    return _plain("Sign in first, or send the token as `Authorization: Bearer TOKEN`.", 401)


def _refuse_to_act(scope: Scope, state: Mapping[str, object]) -> Response | None:
    if scope["method"] != "POST" or state["may_act"] or scope["path"] in (SIGN_IN, SIGN_OUT):
        return None
    return _plain(f"{state['who']} may look, but not act; --may-act of the server names who may.", 403)


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status)
