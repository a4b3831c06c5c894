"""Send events as HTTP POST requests, with retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPException, InvalidURL
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from batch_scoring import __version__
from batch_scoring.alerts.sinks.base import (
    WHERE,
    Message,
    ReadSecret,
    RefusedError,
    UnreachableError,
    to_json,
)
from batch_scoring.core.errors import InputError

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# Statuses to retry, besides all from 500 on.
_LATER = (408, 425, 429)
# The address or authorization is wrong, and will be for the next event too.
_NEVER = (401, 403, 404, 405, 407, 410)
# Instead of the error's own text, which holds the address or the header: they may be secret.
_UNSENDABLE = "its address or authorization has a character that no request can carry, such as a line break"


@dataclass(frozen=True)
class Settings:
    """A POST of JSON. ``url_from`` and ``authorization_from`` name secrets."""

    url: str | None = None
    url_from: str | None = None
    authorization_from: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    attempts: int = 3
    type: Literal["webhook"] = "webhook"
    name: str = "webhook"

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_from is None):
            raise InputError(f"{WHERE}: a webhook has either url or url_from; give one of the two")
        if self.url is not None:
            check_url(self.url)
        if self.attempts < 1 or self.timeout <= timedelta(0):
            raise InputError(f"{WHERE}: a webhook needs at least 1 attempt and a timeout above 0")

    def open(self, secret: ReadSecret) -> WebhookSink:
        """Make the sink."""
        return WebhookSink(
            self.name,
            partial(self._url, secret),
            partial(secret, self.authorization_from),
            self.timeout.total_seconds(),
            self.attempts,
        )

    def _url(self, secret: ReadSecret) -> str:
        if self.url is not None:
            return self.url
        url = secret(self.url_from) or ""
        try:
            check_url(url)
        except InputError as error:
            raise UnreachableError(f"{self.url_from}: {error}") from error
        return url


class _NoRedirects(HTTPRedirectHandler):
    """Follow no redirects: a redirected POST becomes a GET, is answered with 200, and is lost."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class WebhookSink:
    """Posts each event as JSON in UTF-8, with the event's id as ``Idempotency-Key``.

    Attributes
    ----------
    name : str
    url : callable
        Gives the address. It may be secret: it is in no message.
    authorization : callable
        Gives the ``Authorization`` header, None for none.
    timeout_seconds : float
        For the connection and for each answer.
    attempts : int
        With pauses of 0.5, 2, 8 … seconds between them, or as long as the receiver asks for,
        up to half a minute.
    """

    name: str
    url: Callable[[], str]
    authorization: Callable[[], str | None] = lambda: None
    timeout_seconds: float = 10.0
    attempts: int = 3
    sleep: Callable[[float], None] = time.sleep

    def send(self, message: Message) -> None:
        """Post the event until it is answered with 2xx."""
        request = self._request(message)
        opener = build_opener(_NoRedirects)
        why = ""
        for attempt in range(1, self.attempts + 1):
            pause = _FIRST_PAUSE_SECONDS * 4 ** (attempt - 1)
            try:
                with opener.open(request, timeout=self.timeout_seconds):
                    return
            except HTTPError as error:
                why = f"it answered {error.code}"
                _raise_unless_worth_repeating(error.code, why)
                pause = max(pause, _asked_for(error.headers.get("Retry-After")))
                error.close()
            except InvalidURL:
                raise UnreachableError(_UNSENDABLE) from None
            except (OSError, HTTPException) as error:
                why = f"no answer ({type(error).__name__}: {getattr(error, 'reason', error)})"
            except ValueError:
                raise UnreachableError(_UNSENDABLE) from None
            if attempt < self.attempts:
                self.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
        raise UnreachableError(f"{why}, {self.attempts} times")

    def close(self) -> None:
        """Nothing to close: no connection is kept between events."""

    def _request(self, message: Message) -> Request:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"batch_scoring/{__version__}",
            "Idempotency-Key": message["event_id"],
        }
        authorization = self.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return Request(self.url(), data=to_json(message), headers=headers, method="POST")


def _raise_unless_worth_repeating(code: int, why: str) -> None:
    if code in _LATER or code >= 500:
        return
    if code in _NEVER or code < 400:
        raise UnreachableError(f"{why}; look at its address and authorization")
    raise RefusedError(why)


def _asked_for(header: str | None) -> float:
    """Return the seconds of a Retry-After header; 0 when it is missing or a date."""
    return float(header) if header is not None and header.isdecimal() else 0.0


def check_url(url: str) -> None:
    """Raise InputError unless a URL can be posted to; the message omits it, as it may be secret."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(ord(character) <= 32 for character in url):
        raise InputError(f"{WHERE}: a webhook's url must be like https://host/path")
    if parts.username is not None:
        raise InputError(f"{WHERE}: a webhook's url holds a password; name it in authorization_from instead")
