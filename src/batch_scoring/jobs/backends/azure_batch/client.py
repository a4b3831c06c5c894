"""Open the client of a Batch account: credentials and retry policy."""

from __future__ import annotations

import os
from typing import Any

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline.policies import RetryPolicy

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings

# The names that Azure's own command line reads.
KEY_VARIABLE, ACCOUNT_VARIABLE = "AZURE_BATCH_ACCESS_KEY", "AZURE_BATCH_ACCOUNT"
LONGEST_WAIT_SECONDS = 30.0
RETRIES = 6
_REPEATABLE = frozenset({"HEAD", "GET", "PUT", "DELETE", "POST", "PATCH"})


class BoundedRetry(RetryPolicy):  # type: ignore[misc]
    """The SDK's policy (429, 5xx, broken connections), waiting as the service asks, within bounds."""

    def __init__(self) -> None:
        super().__init__(retry_total=RETRIES, retry_status=RETRIES, retry_backoff_max=LONGEST_WAIT_SECONDS)

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        """Retry every method: all our requests are idempotent, so a lost answer does no harm."""
        options.setdefault("retry_on_methods", _REPEATABLE)
        settings: dict[str, Any] = super().configure_retries(options)
        return settings

    def get_retry_after(self, response: Any) -> float | None:
        """Return the seconds that the service asked us to wait, at most :data:`LONGEST_WAIT_SECONDS`."""
        asked = super().get_retry_after(response)
        return None if asked is None else min(float(asked), LONGEST_WAIT_SECONDS)


def open_client(settings: AzureBatchSettings, credential: Any = None) -> BatchClient:
    """Open a client, without sending a request.

    Parameters
    ----------
    settings : AzureBatchSettings
    credential : optional
        By default a key of the account in AZURE_BATCH_ACCESS_KEY, else the machine's own identity.

    Raises
    ------
    InputError
        When a setting is missing.
    """
    settings.require_complete()
    key = os.environ.get(KEY_VARIABLE)
    if credential is None and key:
        credential = AzureNamedKeyCredential(os.environ.get(ACCOUNT_VARIABLE) or settings.account, key)
    try:
        return BatchClient(
            str(settings.endpoint),
            token_credential(credential),
            retry_policy=BoundedRetry(),
            connection_timeout=10,
            read_timeout=60,
        )
    except ValueError:
        raise InputError(
            f"{KEY_VARIABLE}: is not a valid key; copy one from the account's page of keys"
        ) from None
