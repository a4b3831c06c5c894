"""Translate errors of the Resource Manager into one actionable sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm.place import Place

_LONGEST_MESSAGE = 400
_RUN_AGAIN = "run the command again: what is done already stays"
# The service's error codes, and what to do about them.
_MENDS: tuple[tuple[str, str], ...] = (
    (
        r"^(SubscriptionNotFound|InvalidSubscriptionId|SubscriptionNotRegistered)$",
        "this sign-in does not see the subscription {subscription!r}; `az account list` shows the ones it "
        "does: set `deploy.subscription`, or sign in to its directory with `az login --tenant …`",
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
        r"^(AuthorizationFailed|LinkedAuthorizationFailed)$",
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
        "a policy of the organisation forbids this; ask the policy's owner for an exemption",
    ),
    (
        r"^(ScopeLocked|.*Lock.*)$",
        "a lock protects it; remove the lock in the portal (Locks) if it may go",
    ),
    (
        # https://github.com/Azure/azure-cli/issues/21637
        r"^InUseSubnetCannotBeDeleted$",
        "Container Instances has not released the subnet yet: run the command again in an hour, or release "
        "it with `az rest --method delete --uri SUBNET/providers/Microsoft.ContainerInstance/"
        "serviceAssociationLinks/default?api-version=2017-12-01-preview`",
    ),
    (
        r"^(StorageAccountAlreadyTaken|VaultAlreadyExists|AlreadyInUse|NameUnavailable|NamespaceUnavailable)$",
        "the name is taken; set another `deploy.name`",
    ),
    (
        r"^RoleAssignmentUpdateNotPermitted$",
        "a role assignment of that name is there for another principal, as of an identity that was deleted "
        "and made again; find it with `az role assignment list --resource-group {group} --all`, and delete "
        "it with `az role assignment delete --ids ID`",
    ),
    (r"^RoleAssignmentExists$", "the role was assigned by hand; delete that assignment, and run again"),
    (
        r"^(TooManyRequests|SubscriptionRequestsThrottled)$",
        "requests are throttled; wait a minute, and run again",
    ),
    (r"^(InvalidTemplate|InvalidTemplateDeployment)$", "run `kedro deploy check`, and fix what it finds"),
)


@contextmanager
def clear_errors(where: str, place: Place) -> Iterator[None]:
    """Raise InputError with an actionable sentence in place of the SDK's errors.

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
    """Explain what is wrong and what to do."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

    response = getattr(error, "response", None)
    if isinstance(error, ClientAuthenticationError) and response is None:
        return f"{where}: not signed in to Azure; run `az login`, or give this machine a managed identity"
    if isinstance(error, ServiceRequestError):
        return f"{where}: {place.endpoint} cannot be reached; check this machine's network"
    if isinstance(error, ServiceResponseError):
        return f"{where}: the connection to {place.endpoint} broke on all retries; {_RUN_AGAIN}"
    cause = innermost(_body(error))
    status = getattr(error, "status_code", None)
    if not cause.get("code"):
        if status == 429:
            cause = {"code": "TooManyRequests", "message": "the request was throttled"}
        elif status and status >= 500:
            cause = {"code": f"{status}", "message": f"the service failed on all retries; {_RUN_AGAIN}"}
        else:
            cause = {
                "code": str(status or type(error).__name__),
                "message": str(getattr(error, "reason", "") or ""),
            }
    return f"{where}: {explained(cause, place)}"


def innermost(error: Mapping[str, Any]) -> dict[str, str]:
    """Return the innermost error of a deployment's nested errors, as ``{code, message, target}``.

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


def explained(cause: Mapping[str, str], place: Place) -> str:
    """Format code, message and target as one sentence, with what to do where that is known."""
    code, message = cause["code"], " ".join(cause["message"].split()).rstrip(".")
    message = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"
    namespace = re.search(r"[Nn]amespace '([^']+)'", message)
    mend = next((text for pattern, text in _MENDS if re.search(pattern, code)), "")
    mend = mend.format(
        subscription=place.subscription,
        group=place.resource_group,
        location=place.location,
        namespace=namespace[1] if namespace else "NAMESPACE",
    )
    # Of a resource's id, its type and name.
    target = cause.get("target", "")
    target = f" ({target.rpartition('/providers/')[2] or target})" if target else ""
    return f"{code}{target}: {message}" + (f"; {mend}" if mend else "")


def _body(error: Any) -> Mapping[str, Any]:
    """Read the error in the service's answer."""
    import json

    try:
        body = json.loads(error.response.text())
    except Exception:
        return {}
    found = body.get("error", body) if isinstance(body, dict) else {}
    return found if isinstance(found, dict) else {}
