"""What the Resource Manager answers, said so that a person can mend it: one sentence, with what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.place import Place

_LONGEST_MESSAGE = 400
_RUN_AGAIN = "run the command again: what is done already stays"
# The service's name for what is wrong, and what a person does about it. {place}: where; {resource}: of what.
_MENDS: tuple[tuple[str, str], ...] = (
    (
        r"^(SubscriptionNotFound|InvalidSubscriptionId|SubscriptionNotRegistered)$",
        "the subscription {subscription!r} is none that this sign-in sees; `az account list` shows those "
        "that it does: set `deploy.subscription`, or sign in to its directory with `az login --tenant …`",
    ),
    (
        r"^(InvalidAuthenticationTokenTenant|InvalidAuthenticationTokenAudience)$",
        "this sign-in is of another directory than the subscription {subscription!r}; sign in with `az login "
        "--tenant …`",
    ),
    (
        r"^(InvalidAuthenticationToken|ExpiredAuthenticationToken|AuthenticationFailed)$",
        "the sign-in is not accepted; sign in again with `az login`",
    ),
    (
        r"^(ReadOnlyDisabledSubscription|DisabledSubscription)$",
        "the subscription {subscription!r} is disabled; see its payment in the portal",
    ),
    (
        r"^(AuthorizationFailed|LinkedAuthorizationFailed|RoleAssignmentUpdateNotPermitted)$",
        "this sign-in lacks a permission: ask an owner of the subscription or group {group!r} for the roles "
        "'Contributor' and 'Role Based Access Control Administrator'",
    ),
    (
        r"^(MissingSubscriptionRegistration|MissingRegistrationForLocation|NoRegisteredProviderFound)$",
        "a resource provider is not registered in the subscription; run `az provider register --namespace "
        "{namespace} --wait`, and then the command again",
    ),
    (
        r"Quota|LimitExceeded|^(SkuNotAvailable|NotAvailableForSubscription)$",
        "a quota or the offer of the region {location!r} is reached; ask for more in the portal (Quotas), "
        "lower `deploy.nodes.max_nodes`, or set another `deploy.location`",
    ),
    (
        r"^RequestDisallowedByPolicy$",
        "a policy of the organisation forbids this; ask whoever keeps it for an exemption",
    ),
    (
        r"^(ScopeLocked|.*Lock.*)$",
        "a lock protects it; take the lock away in the portal (Locks) if it may go",
    ),
    (
        r"^(StorageAccountAlreadyTaken|VaultAlreadyExists|AlreadyInUse|NameUnavailable|NamespaceUnavailable)$",
        "the name is taken by somebody else; set another `deploy.name`",
    ),
    (r"^RoleAssignmentExists$", "the role was given by hand already; delete that assignment, and run again"),
    (
        r"^(TooManyRequests|SubscriptionRequestsThrottled)$",
        "the service is throttled; wait a minute, and run again",
    ),
    (r"^(InvalidTemplate|InvalidTemplateDeployment)$", "run `kedro deploy check`, and mend what it finds"),
)


@contextmanager
def clear_errors(where: str, place: Place) -> Iterator[None]:
    """Raise what a person can mend instead of the SDK's errors.

    Raises
    ------
    InputError
    """
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise InputError(sentence(error, where, place)) from None


def sentence(error: Any, where: str, place: Place) -> str:
    """What is wrong and what to do."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

    response = getattr(error, "response", None)
    if isinstance(error, ClientAuthenticationError) and response is None:
        return (
            f"{where}: nobody is signed in to Azure; run `az login`, or give this machine a managed identity"
        )
    if isinstance(error, ServiceRequestError):
        return f"{where}: {place.endpoint} cannot be reached; see that this machine's network leads there"
    if isinstance(error, ServiceResponseError):
        return f"{where}: the connection to {place.endpoint} broke, and did so for all retries; {_RUN_AGAIN}"
    told = innermost(_body(error))
    status = getattr(error, "status_code", None)
    if not told.get("code"):
        if status == 429:
            told = {"code": "TooManyRequests", "message": "the request was throttled"}
        elif status and status >= 500:
            told = {"code": f"{status}", "message": f"the service failed for all retries; {_RUN_AGAIN}"}
        else:
            told = {
                "code": str(status or type(error).__name__),
                "message": str(getattr(error, "reason", "") or ""),
            }
    return f"{where}: {explained(told, place)}"


def innermost(error: Mapping[str, Any]) -> dict[str, str]:
    """The cause that the most can be told of: errors of deployments wrap others; ``{code, message, target}``.

    Examples
    --------
    >>> innermost({"code": "DeploymentFailed", "message": "…", "details": [{"code": "X", "message": "y"}]})
    {'code': 'X', 'message': 'y', 'target': ''}
    """
    details = error.get("details") or []
    if details:
        return innermost(details[0])
    found = {name: str(error.get(name) or "") for name in ("code", "message", "target")}
    nested = re.search(r'"code"\s*:\s*"([^"]+)"\s*,\s*"message"\s*:\s*"([^"]+)"', found["message"])
    return found | ({"code": nested[1], "message": nested[2]} if nested else {})


def explained(told: Mapping[str, str], place: Place) -> str:
    """Code, message and target in one sentence, with what to do where that is known."""
    code, message = told["code"], _one_line(told["message"])
    namespace = re.search(r"[Nn]amespace '([^']+)'", message)
    mend = next((text for pattern, text in _MENDS if re.search(pattern, code)), "")
    mend = mend.format(
        subscription=place.subscription,
        group=place.resource_group,
        location=place.location,
        namespace=namespace[1] if namespace else "NAMESPACE",
    )
    target = f" ({_short(told['target'])})" if told.get("target") else ""
    return f"{code}{target}: {message}" + (f"; {mend}" if mend else "")


def _body(error: Any) -> Mapping[str, Any]:
    """The error as the service told it."""
    import json

    try:
        body = json.loads(error.response.text())
    except Exception:
        return {}
    found = body.get("error", body) if isinstance(body, dict) else {}
    return found if isinstance(found, dict) else {}


def _one_line(message: str) -> str:
    text = " ".join(message.split()).rstrip(".")
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _short(target: str) -> str:
    """The type and name of a resource's id."""
    return target.rpartition("/providers/")[2] or target
