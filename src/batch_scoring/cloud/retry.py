"""Limits of retries of Azure clients, and the retry policy of Azure Resource Manager clients."""

from __future__ import annotations

from typing import Any

from azure.core.pipeline.policies import RetryPolicy

RETRIES = 5
KINDS = {f"retry_{kind}": RETRIES for kind in ("total", "connect", "read", "status")}
# Doubled each time, so five retries take half a minute; a wait that the service asks for takes precedence.
FIRST_WAIT_SECONDS = 0.8
# A longer wait asked for by the service ends with an error instead.
LONGEST_WAIT_SECONDS = 60.0


class BoundedRetry(RetryPolicy):  # type: ignore[misc]
    """Retries throttled and failed requests, with an upper bound on the waits the service asks for."""

    def __init__(self) -> None:
        super().__init__(retry_backoff_factor=FIRST_WAIT_SECONDS, retry_backoff_max=15, **KINDS)

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Return whether to retry; not when the service asks for a longer wait than the bound."""
        wait = self.get_retry_after(response)
        if wait is not None and wait > LONGEST_WAIT_SECONDS:
            return False
        return bool(super().is_retry(settings, response))
