"""Open clients of the Resource Manager with a retry policy, and send plain requests for the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.mgmt.resource.deployments import DeploymentsMgmtClient
from azure.mgmt.resource.resources import ResourceManagementClient

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.cloud.retry import BoundedRetry
from batch_scoring.deploy.arm.errors import clear_errors
from batch_scoring.deploy.arm.place import Place


class Client:
    """The clients of a place; nothing is sent yet.

    Parameters
    ----------
    place : Place
    credential : token credential, optional
        Default: ``DefaultAzureCredential``.
    **options
        Of the SDK's pipeline, such as ``connection_verify``.
    """

    def __init__(self, place: Place, credential: Any = None, **options: Any) -> None:
        self.place, self._credential, self._options = place, token_credential(credential), options

    @cached_property
    def deployments(self) -> DeploymentsMgmtClient:
        """Client of deployments and their operations."""
        return self._open(DeploymentsMgmtClient)

    @cached_property
    def resources(self) -> ResourceManagementClient:
        """Client of groups, resources and providers."""
        return self._open(ResourceManagementClient)

    def _open(self, kind: Any) -> Any:
        return kind(
            self._credential,
            self.place.subscription,
            base_url=self.place.endpoint,
            credential_scopes=[self.place.scope],
            polling_interval=self.place.poll_seconds,
            **({"retry_policy": BoundedRetry()} | self._options),
        )

    def principal(self) -> str:
        """Return the object id of who is signed in: a person, a service principal or an identity.

        Raises
        ------
        InputError
            When nobody is signed in.
        """
        with clear_errors("sign-in", self.place):
            token = self._credential.get_token(self.place.scope).token
        # The Resource Manager checks the signature; here it is only read.
        claims = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"])

    def ask(self, method: str, path: str, api_version: str, body: Any = None, **query: str) -> Any:
        """Send a plain request; return the JSON of the answer, None where there is none.

        Raises
        ------
        FileNotFoundError
            When the path does not exist.
        InputError
            When it is refused or fails.
        """
        asked = "".join(f"&{quote(name)}={quote(value)}" for name, value in query.items())
        url = f"{self.place.endpoint.rstrip('/')}{quote(path)}?api-version={api_version}{asked}"
        with clear_errors(path, self.place):
            response = self.resources.send_request(HttpRequest(method, url, json=body))
            if response.status_code == 404:
                raise FileNotFoundError(path)
            if response.status_code >= 400:
                raise HttpResponseError(response=response)
        return response.json() if response.content else None

    def found(self, path: str, api_version: str, **query: str) -> Any:
        """Return the JSON of a path; None where the path does not exist."""
        try:
            return self.ask("GET", path, api_version, **query)
        except FileNotFoundError:
            return None

    def listed(self, path: str, api_version: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield all values of a listing, page by page; none where the path does not exist."""
        page = self.found(path, api_version, **query)
        while page is not None:
            yield from page.get("value", [])
            page = self._next(path, page.get("nextLink"))

    def _next(self, path: str, link: str | None) -> Any:
        if not link:
            return None
        with clear_errors(path, self.place):
            response = self.resources.send_request(HttpRequest("GET", link))
            response.raise_for_status()
        return response.json()

    def group(self) -> Any:
        """Read the resource group; None without one."""
        with clear_errors(f"resource group {self.place.resource_group!r}", self.place):
            try:
                return self.resources.resource_groups.get(self.place.resource_group)
            except ResourceNotFoundError as error:
                if _code(error) != "ResourceGroupNotFound":
                    raise
                return None

    def deployment(self) -> Any:
        """Read the deployment; None without one."""
        with clear_errors(f"deployment {self.place.deployment!r}", self.place):
            try:
                return self.deployments.deployments.get(self.place.resource_group, self.place.deployment)
            except ResourceNotFoundError as error:
                if _code(error) not in ("DeploymentNotFound", "ResourceGroupNotFound"):
                    raise
                return None

    def operations(self) -> list[Any]:
        """List the operations of the deployment so far."""
        with clear_errors(f"deployment {self.place.deployment!r}", self.place):
            return list(
                self.deployments.deployment_operations.list(self.place.resource_group, self.place.deployment)
            )

    def in_group(self) -> list[Any]:
        """List the resources of the group that are not parts of others."""
        with clear_errors(f"resource group {self.place.resource_group!r}", self.place):
            try:
                found = self.resources.resources.list_by_resource_group(
                    self.place.resource_group, expand="provisioningState"
                )
                return sorted(found, key=lambda one: (one.type.lower(), one.name.lower()))
            except ResourceNotFoundError:
                return []


def word(value: Any) -> str:
    """Return the text of a state, known to the SDK or not; empty for None."""
    return str(getattr(value, "value", value) or "")


def _code(error: HttpResponseError) -> str:
    return str(getattr(error.error, "code", "") or "")
