"""Translate errors of Blob Storage into one actionable sentence without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from batch_scoring.cloud.credentials import Credentials
from batch_scoring.core.errors import InputError
from batch_scoring.storage.remote import RUN_AGAIN, ChangedMeanwhileError

# The service refuses signatures older or newer than this.
_MAX_SKEW = timedelta(minutes=15)


@contextmanager
def clear_errors(where: str, container: str, credentials: Credentials) -> Iterator[None]:
    """Replace the SDK's errors by ones that a user can act on.

    Raises
    ------
    FileNotFoundError
        When the blob does not exist.
    ChangedMeanwhileError
        When a condition on its version did not hold.
    InputError
        Otherwise. The SDK's error is not chained: it may contain a signature.
    """
    try:
        yield
    except AzureError as error:
        raise _translated(error, where, container, credentials) from None


def _translated(error: AzureError, where: str, container: str, credentials: Credentials) -> Exception:
    status, code = getattr(error, "status_code", None), _code(error)
    if isinstance(error, ResourceNotFoundError) and code != "ContainerNotFound":
        return FileNotFoundError(where)
    # A staged block is gone once another writer has committed its own.
    if code in _CHANGED:
        return ChangedMeanwhileError(where)
    if code in ("ContainerNotFound", "ContainerBeingDeleted"):
        return InputError(
            f"{where}: container {container!r} does not exist in this account; create it, or set another one "
            "in `data`"
        )
    if isinstance(error, ClientAuthenticationError) or status in (401, 403):
        return InputError(f"{where}: {_refused(error, code, credentials)}")
    if status is not None:
        return InputError(f"{where}: {_failed(status, code)}")
    return InputError(f"{where}: {_unreachable(error)}")


_CHANGED = ("ConditionNotMet", "BlobAlreadyExists", "InvalidBlockList", "InvalidBlobOrBlock")


def _code(error: AzureError) -> str:
    """Return the service's error code, such as ``ContainerNotFound``."""
    code = getattr(error, "error_code", None)
    if not code and isinstance(error, HttpResponseError) and error.response is not None:
        code = getattr(error.response, "headers", {}).get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def _refused(error: AzureError, code: str, credentials: Credentials) -> str:
    response: Any = getattr(error, "response", None)
    if response is None and credentials.has_key:
        return "the account key cannot be read; expected base64: copy the whole key from the portal"
    if response is None:
        return (
            "not signed in; run `az login`, give this machine a managed identity, or set "
            "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_SAS_TOKEN"
        )
    skew = _clock_skew(response.headers.get("Date"))
    if abs(skew) > _MAX_SKEW:
        ahead = "ahead of" if skew > timedelta(0) else "behind"
        return (
            f"access is refused because this machine's clock is {abs(skew) // timedelta(minutes=1)} minutes "
            f"{ahead} the service's; set the clock"
        )
    if credentials.has_sas:
        return _refused_sas(credentials, code)
    if credentials.has_key:
        return (
            f"the account key is refused ({code or 'not authorised'}); copy the account's current key "
            "from the portal, and check that its network rules admit this machine"
        )
    return (
        f"access is refused ({code or 'not authorised'}); give this identity the role 'Storage Blob Data "
        "Contributor', and check that the account's network rules admit this machine"
    )


def _refused_sas(credentials: Credentials, code: str) -> str:
    starts, ends = (_time_of_sas(credentials, name) for name in ("st", "se"))
    now = datetime.now(UTC)
    if ends is not None and ends <= now:
        return f"the SAS expired at {ends:%Y-%m-%dT%H:%M:%SZ}; request a new one"
    if starts is not None and starts > now:
        return f"the SAS is not valid before {starts:%Y-%m-%dT%H:%M:%SZ}; wait, or request another one"
    return (
        f"the SAS is refused ({code or 'not authorised'}); request one for this container that may read, "
        "add, create, write, delete and list"
    )


def _time_of_sas(credentials: Credentials, name: str) -> datetime | None:
    """Read when a SAS becomes valid (``st``) or expires (``se``); None where it is not given."""
    from urllib.parse import parse_qs

    text = credentials.sas_token or credentials.connection_string.partition("SharedAccessSignature=")[2]
    found = parse_qs(text.lstrip("?").partition(";")[0]).get(name)
    try:
        moment = datetime.fromisoformat(found[0]) if found else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _clock_skew(date: str | None) -> timedelta:
    """Measure how far this machine's clock is ahead of the service's, from a response's date."""
    try:
        return datetime.now(UTC) - parsedate_to_datetime(date) if date else timedelta(0)
    except ValueError:
        return timedelta(0)


def _failed(status: int, code: str) -> str:
    named = f"{status} {code}".strip()
    if status in (429, 503):
        return f"the storage is throttled ({named}) after all retries; {RUN_AGAIN}"
    if status == 507 or code in ("InsufficientStorage", "AccountQuotaExceeded"):
        return f"the storage is full ({named}); make room or raise its quota; {RUN_AGAIN}"
    if status >= 500:
        return f"the storage fails ({named}) after all retries; {RUN_AGAIN}"
    return f"the storage refuses this request ({named}); look up the error code in Azure's documentation"


def _unreachable(error: AzureError) -> str:
    if isinstance(error, ServiceRequestError):
        return "the storage cannot be reached; check the account's name and this machine's network"
    if isinstance(error, ServiceResponseError | IncompleteReadError):
        return f"the connection to the storage broke in all retries; {RUN_AGAIN}"
    return f"the storage could not be used ({type(error).__name__}); {RUN_AGAIN}"
