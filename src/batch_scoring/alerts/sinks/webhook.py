"""Send messages as HTTP POST requests of JSON, with retries; the base of sinks with forms of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, Literal

from batch_scoring.alerts.post import Poster, check_url
from batch_scoring.alerts.sinks.base import WHERE, Message, ReadSecret, UnreachableError, to_json
from batch_scoring.core.errors import InputError

Body = Callable[[Message], bytes]


@dataclass(frozen=True)
class HttpSettings:
    """What all sinks that post have in common. ``url_from`` and ``authorization_from`` name secrets."""

    url: str | None = None
    url_from: str | None = None
    authorization_from: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    attempts: int = 3
    allow_link_local: bool = False
    name: str = ""

    # Where it posts when neither is given, and what is appended to either.
    default_url: ClassVar[str | None] = None
    path: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.url is not None and self.url_from is not None:
            raise InputError(f"{WHERE}: {self.name} has both url and url_from; give one of the two")
        if self.url is None and self.url_from is None and self.default_url is None:
            raise InputError(f"{WHERE}: {self.name} has neither url nor url_from; give one of the two")
        if self.url is not None:
            check_url(self.url, f"{WHERE}: {self.name}")
        if self.attempts < 1 or self.timeout <= timedelta(0):
            raise InputError(f"{WHERE}: {self.name} needs at least 1 attempt and a timeout above 0")

    def open(self, secret: ReadSecret) -> WebhookSink:
        """Make the sink."""
        return WebhookSink(
            self.name,
            partial(self._url, secret),
            partial(secret, self.authorization_from),
            partial(self.body, secret),
            Poster(self.timeout.total_seconds(), self.attempts, self.allow_link_local),
        )

    def body(self, secret: ReadSecret, message: Message) -> bytes:
        """Serialise a message in the receiver's form."""
        return as_json(self.payload(message))

    def payload(self, message: Message) -> Any:
        """Write a message in the receiver's form, as plain JSON values."""
        raise NotImplementedError

    def _url(self, secret: ReadSecret) -> str:
        url = self.url or self.default_url or ""
        if self.url_from is not None:
            url = secret(self.url_from) or ""
            try:
                check_url(url, f"{WHERE}: {self.name}: {self.url_from}")
            except InputError as error:
                raise UnreachableError(str(error)) from error
        return f"{url.rstrip('/')}{self.path}" if self.path else url


@dataclass(frozen=True)
class Settings(HttpSettings):
    """A POST of JSON."""

    type: Literal["webhook"] = "webhook"
    name: str = "webhook"

    def body(self, secret: ReadSecret, message: Message) -> bytes:
        """Serialise a message as it is."""
        return to_json(message)


@dataclass
class WebhookSink:
    """Posts each message, with its id as ``Idempotency-Key``.

    Attributes
    ----------
    name : str
    url : callable
        Gives the address. It may be secret: it is in no message.
    authorization : callable
        Gives the ``Authorization`` header, None for none.
    body : callable
        Serialises a message.
    poster : Poster
    """

    name: str
    url: Callable[[], str]
    authorization: Callable[[], str | None] = lambda: None
    body: Body = to_json
    poster: Poster = field(default_factory=Poster)
    takes_all: bool = False

    def send(self, message: Message) -> str:
        """Post the message until it is answered with 2xx."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": message["event_id"]}
        authorization = self.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return self.poster.post(self.url(), self.body(message), headers)

    def close(self) -> None:
        """Nothing to close: no connection is kept between messages."""


def as_json(value: Any) -> bytes:
    """Serialise plain values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
