"""Retry policy of Blob Storage: five retries within half a minute."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ExponentialRetry

from batch_scoring.cloud.retry import FIRST_WAIT_SECONDS, KINDS

KEPT_CONNECTIONS = 64


class BoundedRetry(ExponentialRetry):  # type: ignore[misc]
    """The SDK's policy (5xx, 408, broken connections) with shorter waits; its own first one is 18 s."""

    def __init__(self) -> None:
        super().__init__(**KINDS)

    def increment(
        self, settings: dict[str, Any], request: Any, response: Any = None, error: Any = None
    ) -> bool:
        """Count a failure; False where a retry cannot help, as without a sign-in."""
        if isinstance(error, ClientAuthenticationError):
            return False
        return bool(super().increment(settings, request, response, error))

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return the seconds to wait before the next retry, with jitter so that jobs do not retry at once."""
        import random

        # 0.8, 1.6, 3.2, 6.4 and 12.8 seconds.
        wait: float = FIRST_WAIT_SECONDS * 2 ** (settings["count"] - 1)
        return wait * random.uniform(0.75, 1.25)


class Transport(RequestsTransport):  # type: ignore[misc]
    """Raises 429 as an error for the retry policy; the SDK would return it as a response.

    It keeps one connection for each possible thread; with fewer, urllib3 warns of each closed one.
    """

    def _init_session(self, session: Any) -> None:
        super()._init_session(session)
        for adapter in session.adapters.values():
            adapter.init_poolmanager(KEPT_CONNECTIONS, KEPT_CONNECTIONS)

    def send(self, request: Any, **options: Any) -> Any:
        """Send the request; raises HttpResponseError for 429."""
        response = super().send(request, **options)
        if response.status_code == 429:
            raise HttpResponseError(response=response)
        return response
