"""Settings of alert sinks; they name secrets, and never hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters

WHERE = "incidents.notify.sinks"


@dataclass(frozen=True)
class LogSettings:
    """A line of the log."""

    type: Literal["log"]
    name: str = "log"


@dataclass(frozen=True)
class FileSettings:
    """A line of JSON at the end of a file."""

    type: Literal["file"]
    path: str
    name: str = "file"


@dataclass(frozen=True)
class WebhookSettings:
    """A POST of JSON. ``url_from`` and ``authorization_from`` name secrets."""

    type: Literal["webhook"]
    url: str | None = None
    url_from: str | None = None
    authorization_from: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    attempts: int = 3
    name: str = "webhook"

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_from is None):
            raise InputError(f"{WHERE}: a webhook has either url or url_from; give one of the two")
        if self.url is not None:
            check_url(self.url)
        if self.attempts < 1 or self.timeout <= timedelta(0):
            raise InputError(f"{WHERE}: a webhook needs at least 1 attempt and a timeout above 0")


@dataclass(frozen=True)
class EventHubSettings:
    """An event of an Azure Event Hub. ``connection_from`` names a secret; else Azure finds an identity."""

    type: Literal["event_hub"]
    connection_from: str | None = None
    namespace: str | None = None
    event_hub: str | None = None
    timeout: timedelta = timedelta(seconds=10)
    name: str = "event_hub"

    def __post_init__(self) -> None:
        if self.connection_from is None and (self.namespace is None or self.event_hub is None):
            raise InputError(
                f"{WHERE}: an event_hub has connection_from, or namespace (host name) and event_hub; "
                "set the first or the other two"
            )


SinkSettings = LogSettings | FileSettings | WebhookSettings | EventHubSettings

_KINDS: dict[str, type[SinkSettings]] = {
    "log": LogSettings,
    "file": FileSettings,
    "webhook": WebhookSettings,
    "event_hub": EventHubSettings,
}


def read_sinks(values: Iterable[Any]) -> tuple[SinkSettings, ...]:
    """Read the settings of all sinks.

    Raises
    ------
    InputError
        On a type or setting that does not exist, a value of the wrong type, or a name given twice.

    Examples
    --------
    >>> read_sinks([{"type": "file", "path": "alerts.jsonl"}])
    (FileSettings(type='file', path='alerts.jsonl', name='file'),)
    """
    sinks = []
    for place, value in enumerate(values, 1):
        kind = value.get("type") if isinstance(value, Mapping) else None
        if kind not in _KINDS:
            raise InputError(f"{WHERE}: sink {place} has the type {kind!r}; known are {', '.join(_KINDS)}")
        sinks.append(read_parameters(_KINDS[kind], value, f"{WHERE}: sink {place}"))
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{WHERE}: two sinks are called {name!r}; give each its own name")
    return tuple(sinks)


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
