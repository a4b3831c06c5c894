"""Translate errors of Azure Batch into one actionable sentence without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings

# The service's error codes of exhausted quotas, and the names of these.
_QUOTAS = {
    "ActiveJobAndScheduleQuotaReached": "active jobs",
    "PoolQuotaReached": "pools",
    "AccountCoreQuotaReached": "cores",
    "AccountVMSeriesCoreQuotaReached": "cores of this VM size",
    "AccountLowPriorityCoreQuotaReached": "Spot cores",
    "AccountSpotCoreQuotaReached": "Spot cores",
}
_SUBMIT_AGAIN = "submit again when that is fixed: nothing is run twice"


def error_code(error: BaseException) -> str:
    """Return the service's error code, such as ``JobExists``; empty without one."""
    model = getattr(error, "model", None)
    return str(getattr(model, "code", None) or getattr(getattr(error, "error", None), "code", None) or "")


@contextmanager
def clear_errors(settings: AzureBatchSettings) -> Iterator[None]:
    """Raise InputError with an actionable sentence in place of the SDK's errors.

    Raises
    ------
    InputError
        Not chained to the SDK's error, which may hold a header with a signature.
    """
    try:
        yield
    except AzureError as error:
        raise InputError(f"Azure Batch {settings.endpoint}: {_sentence(error, settings)}") from None


def _sentence(error: AzureError, settings: AzureBatchSettings) -> str:
    status, code = getattr(error, "status_code", None), error_code(error)
    if code in _QUOTAS:
        return (
            f"the quota of {_QUOTAS[code]} is reached ({code}); wait until something has ended, or "
            "ask for more in the portal, then submit again"
        )
    if code == "PoolNotFound":
        return (
            f"there is no pool {settings.pool!r}; submit again, which creates it, or name another one in "
            "jobs.azure_batch.pool"
        )
    if code in ("PoolBeingDeleted", "JobBeingDeleted"):
        return f"the pool or job is being deleted ({code}); wait until it is gone, then submit again"
    if isinstance(error, ClientAuthenticationError) or status == 401 or code == "AuthenticationFailed":
        return (
            f"authentication failed ({code or 'no sign-in'}); sign in with `az login`, or set "
            "AZURE_BATCH_ACCESS_KEY to a key of this account, and check this machine's clock"
        )
    if status == 403:
        return (
            f"this identity lacks a permission ({code}); give it the role 'Azure Batch Data Contributor' "
            "on the account"
        )
    if status == 429:
        return f"it throttles requests for longer than we wait ({code}); submit again in some minutes"
    if isinstance(error, HttpResponseError) and status is not None:
        return f"it answered {status} {code}: {_text(error)}; {_SUBMIT_AGAIN}"
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return f"it cannot be reached; check jobs.azure_batch.endpoint and the network, then {_SUBMIT_AGAIN}"
    return f"the request failed ({type(error).__name__}); {_SUBMIT_AGAIN}"


def _text(error: HttpResponseError) -> str:
    """Return the service's message in one line, with the reasons it gives for wrong values."""
    model = getattr(error, "model", None)
    message = getattr(getattr(model, "message", None), "value", None) or error.reason or ""
    # The service appends ids of the request in lines of their own.
    words = [str(message).strip().splitlines()[0] if str(message).strip() else ""]
    words += [f"{one.key}: {one.value}" for one in getattr(model, "error_values", None) or []]
    return ", ".join(word for word in words if word).rstrip(".")
