"""Translate errors of Batch AI into one actionable sentence without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.mgmt.batchai import models

from batch_scoring.core.errors import InputError
from batch_scoring.core.text import short_line
from batch_scoring.jobs.backends.batch_ai.requests import TIMED_OUT
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings
from batch_scoring.jobs.specs import State

_AGAIN = "nothing is lost: submit again"


@contextmanager
def clear_errors(what: str, settings: BatchAISettings) -> Iterator[None]:
    """Raise InputError with an actionable sentence in place of the SDK's errors.

    Parameters
    ----------
    what : str
        Subject of the request, such as ``cluster scoring``.
    settings : BatchAISettings

    Raises
    ------
    InputError
        For every error of the SDK, which is not chained, as its request may hold secrets.
    """
    try:
        yield
    except AzureError as error:
        raise InputError(f"Batch AI, {what}: {_sentence(error, settings)}") from None


def _sentence(error: AzureError, settings: BatchAISettings) -> str:
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _answer(error, settings)
    if isinstance(error, ClientAuthenticationError):
        return "not signed in; run `az login`, or give this machine a managed identity"
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return (
            f"{settings.endpoint} does not answer; check jobs.batch_ai.endpoint (the "
            f"service in Azure was retired in 2019); {_AGAIN}"
        )
    return f"{short_line(error.message)}; {_AGAIN}"


def _answer(error: HttpResponseError, settings: BatchAISettings) -> str:
    """Explain an HTTP status."""
    status, given, reason = error.status_code, error.error, error.reason
    code = str(getattr(given, "code", None) or reason or status)
    message = short_line(str(getattr(given, "message", None) or reason or "no details"))
    if "quota" in f"{code} {message}".lower():
        return (
            f"the quota is reached ({code}: {message}); ask for more in the region {settings.location}, or "
            "lower jobs.batch_ai.cluster.max_nodes"
        )
    if status == 401:
        return f"the sign-in is refused ({code}); run `az login`, and check the tenant"
    if status == 403:
        return (
            f"access is refused ({code}); this identity needs the role Contributor on the resource group "
            f"{settings.resource_group!r}"
        )
    if status == 404:
        return (
            f"not found ({code}: {message}); check jobs.batch_ai.subscription, resource_group and workspace"
        )
    if status == 429:
        wait = error.response.headers.get("Retry-After") if error.response is not None else None
        after = f" after {wait} s" if wait else ""
        return f"the service throttles requests; {_AGAIN}{after}, or lower jobs.batch_ai.at_once"
    if status is not None and status >= 500:
        return f"the service failed ({status} {code}), also on retries; {_AGAIN} later"
    return f"the service refused the request ({status} {code}: {message})"


def errors_of(errors: Sequence[models.BatchAIError] | None) -> str:
    """Format the errors of a cluster or a job; empty without any."""
    return "; ".join(f"{one.code}: {short_line(str(one.message))}{_details(one)}" for one in errors or ())


def _details(one: models.BatchAIError) -> str:
    reported = ", ".join(f"{pair.name} {pair.value}" for pair in one.details or ())
    return f" ({short_line(reported)})" if reported else ""


def final_state(job: models.Job) -> tuple[State, str]:
    """Return how a job ended and why, as far as the service knows.

    Its codes are not published, so they are recognised by keywords.
    """
    if job.execution_state == "succeeded":
        return State.SUCCEEDED, ""
    info: Any = job.execution_info
    code = None if info is None else info.exit_code
    reported = errors_of(info.errors if info is not None else None)
    words = reported.lower()
    if "terminat" in words and "wall" not in words:
        return State.CANCELLED, "cancelled"
    if "wall" in words or code == TIMED_OUT:
        return State.FAILED, "took longer than jobs.max_wall_time"
    if "container" in words or "image" in words:
        return State.FAILED, (
            f"the container did not start ({reported}); see jobs.batch_ai.container and the registry's access"
        )
    if "node" in words or "preempt" in words:
        return State.FAILED, f"its node was lost ({reported}); retry the job"
    if reported:
        return State.FAILED, reported
    return State.FAILED, f"ended with exit code {code}"
