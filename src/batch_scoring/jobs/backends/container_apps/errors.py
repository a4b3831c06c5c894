"""Translate errors of Azure Container Apps into one actionable sentence without secrets."""

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

from batch_scoring.core.errors import CapacityError, InputError
from batch_scoring.core.text import short_line
from batch_scoring.jobs.backends.container_apps.settings import ContainerAppsSettings

_SUBMIT_AGAIN = "submit again when that is fixed: nothing is run twice"


@contextmanager
def clear_errors(settings: ContainerAppsSettings) -> Iterator[None]:
    """Raise InputError with an actionable sentence in place of the SDK's errors.

    Raises
    ------
    CapacityError
        When a quota does not allow what was asked for.
    InputError
        Not chained to the SDK's error, whose request may hold secrets.
    """
    try:
        yield
    except AzureError as error:
        name = f"Container Apps, job {settings.place.job!r}"
        kind = CapacityError if _is_quota(error) else InputError
        raise kind(f"{name}: {_sentence(error, settings)}") from None


def may_have_worked(error: AzureError) -> bool:
    """Return whether a start that ended so may have started something, or may work on another try."""
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return error.status_code in (408, 429) or error.status_code >= 500
    return isinstance(error, (ServiceRequestError, ServiceResponseError))


def _is_quota(error: AzureError) -> bool:
    code, message = _code(error), str(error.message)
    return isinstance(error, HttpResponseError) and "quota" in f"{code} {message}".lower()


def _sentence(error: AzureError, settings: ContainerAppsSettings) -> str:
    status, code = getattr(error, "status_code", None), _code(error)
    if _is_quota(error):
        return f"a quota is reached ({code}: {_short(error)}); ask for more in the portal (Quotas)"
    if isinstance(error, ClientAuthenticationError) or status == 401:
        return f"authentication failed ({code or 'no sign-in'}); run `az login`, or use a managed identity"
    if status == 403:
        return (
            f"this identity lacks a permission ({code}); give it the role 'Container Apps Jobs Operator' on "
            "the job"
        )
    if status == 404:
        return (
            f"there is no such job ({code}); run `kedro deploy up` once the registry has the image, or set "
            "jobs.container_apps.job_id"
        )
    if status == 429:
        return f"it throttles requests for longer than we wait ({code}); submit again in some minutes"
    if isinstance(error, HttpResponseError) and status is not None:
        return f"it answered {status} {code}: {_short(error)}; {_SUBMIT_AGAIN}"
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return f"{settings.endpoint} cannot be reached; check the network, then {_SUBMIT_AGAIN}"
    return f"the request failed ({type(error).__name__}); {_SUBMIT_AGAIN}"


def _code(error: AzureError) -> str:
    return str(getattr(getattr(error, "error", None), "code", None) or "")


def _short(error: AzureError) -> str:
    """Return the service's message in one line without a final period."""
    message = getattr(getattr(error, "error", None), "message", None) or getattr(error, "reason", None)
    return short_line(str(message or "no details"))
