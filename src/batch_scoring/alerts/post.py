"""POST a body to an address that a person configured: with a deadline, retries, and no way elsewhere."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection, InvalidURL
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from batch_scoring import __version__
from batch_scoring.alerts.sinks.base import RefusedError, UnreachableError
from batch_scoring.core.deadline import call_within
from batch_scoring.core.errors import InputError

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# Statuses to retry, besides all from 500 on.
_LATER = (408, 425, 429)
# The address or authorization is wrong, and will be for the next event too.
_NEVER = (401, 403, 404, 405, 407, 410)
# Instead of the error's own text, which holds the address or the header: they may be secret.
_UNSENDABLE = "its address or authorization has a character that no request can carry, such as a line break"
# Of an answer, bytes: no receiver has more to say.
_LONGEST_ANSWER = 2000
# Where clouds serve a machine its credentials, beside the link-local addresses.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))


class ForbiddenAddressError(Exception):
    """The address is one that no alert should go to."""


@dataclass(frozen=True)
class Poster:
    """How requests are sent.

    Attributes
    ----------
    timeout_seconds : float
        For a request as a whole: name, connection, and answer to the last byte.
    attempts : int
        With pauses of 0.5, 2, 8 … seconds between them, or as long as the receiver asks for,
        up to half a minute.
    allow_link_local : bool
        Whether link-local addresses, and those where clouds keep a machine's secrets, are sent to.
    sleep : callable
    """

    timeout_seconds: float = 10.0
    attempts: int = 3
    allow_link_local: bool = False
    sleep: Callable[[float], None] = time.sleep

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        """Post until it is answered with 2xx; return the status and the beginning of the answer.

        Raises
        ------
        RefusedError, UnreachableError
            Without the address, which may be secret.
        """
        headers = {"User-Agent": f"batch_scoring/{__version__}", **headers}
        why = ""
        for attempt in range(1, self.attempts + 1):
            pause = _FIRST_PAUSE_SECONDS * 4 ** (attempt - 1)
            try:
                request = Request(url, data=body, headers=headers, method="POST")
                return call_within(self.timeout_seconds, partial(self._send, request))
            except HTTPError as error:
                why = f"it answered {error.code}"
                _raise_unless_worth_repeating(error.code, why)
                pause = max(pause, _asked_for(error.headers.get("Retry-After")))
                error.close()
            except InvalidURL:
                raise UnreachableError(_UNSENDABLE) from None
            except ForbiddenAddressError as error:
                raise UnreachableError(str(error)) from None
            except (OSError, HTTPException) as error:
                why = f"no answer ({type(error).__name__}: {getattr(error, 'reason', error)})"
            except ValueError:
                raise UnreachableError(_UNSENDABLE) from None
            if attempt < self.attempts:
                self.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
        raise UnreachableError(f"{why}, {self.attempts} times")

    def _send(self, request: Request) -> str:
        check = None if self.allow_link_local else refuse_link_local
        opener = build_opener(_NoRedirects, _Http(check), _Https(check))
        with opener.open(request, timeout=self.timeout_seconds) as answer:
            said = answer.read(_LONGEST_ANSWER).decode(errors="replace")
            return f"{answer.status} {answer.reason} {' '.join(said.split())}".strip()


class _NoRedirects(HTTPRedirectHandler):
    """Follow no redirects: a redirected POST becomes a GET, is answered with 200, and is lost."""

    def redirect_request(self, *_: Any) -> None:
        return None


Check = Callable[[str], None]


class _Http(HTTPHandler):
    """Connections whose address is checked before anything is sent: a name may have any address."""

    def __init__(self, check: Check | None) -> None:
        super().__init__()
        self._check = check

    def http_open(self, request: Request) -> Any:
        return self.do_open(partial(_checked, HTTPConnection, self._check), request)


class _Https(HTTPSHandler):
    def __init__(self, check: Check | None) -> None:
        super().__init__()
        self._check = check

    def https_open(self, request: Request) -> Any:
        return self.do_open(partial(_checked, HTTPSConnection, self._check), request)


def _checked(kind: type[HTTPConnection], check: Check | None, host: str, **more: Any) -> HTTPConnection:
    connection = kind(host, **more)
    if check is not None:

        def connect(*arguments: Any, **named: Any) -> socket.socket:
            found = socket.create_connection(*arguments, **named)
            try:
                check(found.getpeername()[0])
            except BaseException:
                found.close()
                raise
            return found

        # The one place between the connection and the first byte, of TLS too.
        connection._create_connection = connect  # type: ignore[attr-defined]
    return connection


def refuse_link_local(address: str) -> None:
    """Raise ForbiddenAddressError on a link-local address, or one where a cloud serves credentials.

    Examples
    --------
    >>> refuse_link_local("127.0.0.1")
    >>> refuse_link_local("::ffff:169.254.169.254")
    Traceback (most recent call last):
    batch_scoring.alerts.post.ForbiddenAddressError: it has a link-local address; set allow_link_local ...
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    if found.is_link_local or found in _METADATA:
        raise ForbiddenAddressError("it has a link-local address; set allow_link_local if it is meant")


def check_url(url: str, where: str) -> None:
    """Raise InputError unless a URL can be posted to; the message omits it, as it may be secret."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(ord(character) <= 32 for character in url):
        raise InputError(f"{where}: the url is not valid; expected one such as https://host/path")
    if parts.username is not None:
        raise InputError(f"{where}: the url holds a password; name it in authorization_from instead")


def _raise_unless_worth_repeating(code: int, why: str) -> None:
    if code in _LATER or code >= 500:
        return
    if code in _NEVER or code < 400:
        raise UnreachableError(f"{why}; look at its address and authorization")
    raise RefusedError(why)


def _asked_for(header: str | None) -> float:
    """Return the seconds of a Retry-After header; 0 when it is missing or a date."""
    return float(header) if header is not None and header.isdecimal() else 0.0
