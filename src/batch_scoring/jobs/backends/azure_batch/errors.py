"""What Azure Batch answers, said so that a person can mend it: one sentence, no secret in it."""

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

# The service's names for what is used up, and what may be asked for.
_QUOTAS = {
    "ActiveJobAndScheduleQuotaReached": "active jobs",
    "PoolQuotaReached": "pools",
    "AccountCoreQuotaReached": "cores",
    "AccountVMSeriesCoreQuotaReached": "cores of this VM size",
    "AccountLowPriorityCoreQuotaReached": "low-priority cores",
    "AccountSpotCoreQuotaReached": "Spot cores",
}
_SUBMIT_AGAIN = "submit again when that is mended: nothing is run twice"


def error_code(error: BaseException) -> str:
    """The service's own name for what is wrong, such as ``JobExists``; empty where it gave none."""
    model = getattr(error, "model", None)
    return str(getattr(model, "code", None) or getattr(getattr(error, "error", None), "code", None) or "")


@contextmanager
def clear_errors(settings: AzureBatchSettings) -> Iterator[None]:
    """Raise what a person can mend instead of the SDK's errors.

    Raises
    ------
    InputError
        The SDK's error is no cause of it: it may hold a header with a signature.
    """
    try:
        yield
    except AzureError as error:
        raise InputError(f"Azure Batch {settings.endpoint}: {_said(error, settings)}") from None


def _said(error: AzureError, settings: AzureBatchSettings) -> str:
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
        return f"what is asked for is being deleted ({code}); wait until it is gone, then submit again"
    if isinstance(error, ClientAuthenticationError) or status == 401 or code == "AuthenticationFailed":
        return (
            f"it refused who we are ({code or 'no sign-in'}); sign in with `az login`, or set "
            "AZURE_BATCH_ACCESS_KEY to a key of this account, and look at this machine's clock"
        )
    if status == 403:
        return (
            f"who we are may not do this ({code}); give it the role 'Azure Batch Data Contributor' on the "
            "account"
        )
    if status == 429:
        return f"it is busy and asked us to wait longer than we do ({code}); submit again in some minutes"
    if isinstance(error, HttpResponseError) and status is not None:
        return f"it answered {status} {code}: {_text(error)}; {_SUBMIT_AGAIN}"
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return (
            f"it cannot be reached; look at jobs.azure_batch.endpoint and the network, then {_SUBMIT_AGAIN}"
        )
    return f"the request failed ({type(error).__name__}); {_SUBMIT_AGAIN}"


def _text(error: HttpResponseError) -> str:
    """The service's message in one line, with the reasons it gives for wrong values."""
    model = getattr(error, "model", None)
    message = getattr(getattr(model, "message", None), "value", None) or error.reason or ""
    # The service appends ids of the request in lines of their own.
    words = [str(message).strip().splitlines()[0] if str(message).strip() else ""]
    words += [f"{one.key}: {one.value}" for one in getattr(model, "error_values", None) or []]
    return ", ".join(word for word in words if word).rstrip(".")
