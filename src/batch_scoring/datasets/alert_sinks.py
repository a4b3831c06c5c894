"""Make alert sinks from their settings and secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from batch_scoring.alerts.settings import (
    EventHubSettings,
    FileSettings,
    LogSettings,
    SinkSettings,
    WebhookSettings,
    check_url,
    read_sinks,
)
from batch_scoring.alerts.sinks.base import OpenSinks, Sink, UnreachableError
from batch_scoring.alerts.sinks.log import LogSink
from batch_scoring.core.errors import InputError
from batch_scoring.datasets.own import OwnDataset


class NotificationSinks(OwnDataset[None, OpenSinks]):
    """``load`` gives a function that makes sinks of the setting ``incidents.notify.sinks``.

    Sinks connect only when there is something to send.

    Parameters
    ----------
    credentials : dict of str to str, optional
        Secrets by the names that the settings ``…_from`` give them. A name that is not among them is
        one of an environment variable.
    """

    def load(self) -> OpenSinks:
        """Return the function; it raises InputError on settings that are not valid."""
        return self._open

    def _describe(self) -> dict[str, Any]:
        return {"credentials": sorted(self._credentials or {})}

    def _open(self, values: Iterable[Any]) -> list[Sink]:
        return [self._sink(settings) for settings in read_sinks(values)]

    def _sink(self, settings: SinkSettings) -> Sink:
        match settings:
            case LogSettings():
                return LogSink(settings.name)
            case FileSettings():
                from batch_scoring.alerts.sinks.file import FileSink

                return FileSink(settings.name, Path(settings.path))
            case WebhookSettings():
                return self._webhook(settings)
            case EventHubSettings():
                return self._event_hub(settings)

    def _webhook(self, settings: WebhookSettings) -> Sink:
        from batch_scoring.alerts.sinks.webhook import WebhookSink

        return WebhookSink(
            settings.name,
            partial(self._url, settings),
            partial(self._secret, settings.authorization_from),
            settings.timeout.total_seconds(),
            settings.attempts,
        )

    def _event_hub(self, settings: EventHubSettings) -> Sink:
        from batch_scoring.alerts.sinks.event_hub import EventHubSink, azure_client, azure_event

        def connect() -> Any:
            return azure_client(
                self._secret(settings.connection_from), settings.namespace, settings.event_hub
            )

        return EventHubSink(settings.name, connect, azure_event, settings.timeout.total_seconds())

    def _url(self, settings: WebhookSettings) -> str:
        if settings.url is not None:
            return settings.url
        url = self._secret(settings.url_from) or ""
        try:
            check_url(url)
        except InputError as error:
            raise UnreachableError(f"{settings.url_from}: {error}") from error
        return url

    def _secret(self, name: str | None) -> str | None:
        if name is None:
            return None
        secret = (self._credentials or {}).get(name) or os.environ.get(name)
        if not secret:
            raise UnreachableError(f"{name} is neither among the credentials nor in the environment; set it")
        return str(secret).strip()
