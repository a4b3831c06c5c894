"""How often and how long Blob Storage is asked again: five times, within half a minute."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.storage.blob import ExponentialRetry

RETRIES = 5
# Doubled each time: 0.8, 1.6, 3.2, 6.4 and 12.8 seconds.
FIRST_WAIT_SECONDS = 0.8


class BoundedRetry(ExponentialRetry):
    """The SDK's policy (5xx, 408, broken connections) with shorter waits; its own first one is 18 s."""

    def __init__(self) -> None:
        kinds = {f"retry_{kind}": RETRIES for kind in ("total", "connect", "read", "status")}
        super().__init__(**kinds)  # type: ignore[arg-type]

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Seconds to wait before the next try; spread, so that jobs do not come back all at once."""
        import random

        wait: float = FIRST_WAIT_SECONDS * 2 ** (settings["count"] - 1)
        return wait * random.uniform(0.75, 1.25)


class TooManyRequests(HTTPPolicy[Any, Any]):
    """Makes 429 an error that the retry policy above it sees; the SDK takes it for an answer."""

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send the request on; raises HttpResponseError for 429."""
        response = self.next.send(request)
        if response.http_response.status_code == 429:
            raise HttpResponseError(response=response.http_response)
        return response
