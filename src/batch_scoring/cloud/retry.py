"""How often Azure is asked again, and the retry policy of Azure Resource Manager clients."""

from __future__ import annotations

from typing import Any

from azure.core.pipeline.policies import RetryPolicy

RETRIES = 5
KINDS = {f"retry_{kind}": RETRIES for kind in ("total", "connect", "read", "status")}
# Doubled each time, so that five tries more take half a minute; what the service asks for goes before.
FIRST_WAIT_SECONDS = 0.8
# Whoever is asked to wait for longer ends with a sentence instead.
LONGEST_WAIT_SECONDS = 60.0


class BoundedRetry(RetryPolicy):  # type: ignore[misc]
    """Tries again what was throttled or failed, but does not sleep for as long as it is told at any price."""

    def __init__(self) -> None:
        super().__init__(retry_backoff_factor=FIRST_WAIT_SECONDS, retry_backoff_max=15, **KINDS)

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Whether to try again; not when the service wants more patience than there is."""
        wait = self.get_retry_after(response)
        if wait is not None and wait > LONGEST_WAIT_SECONDS:
            return False
        return bool(super().is_retry(settings, response))
