"""Read an event hub's address and credentials from catalog, credentials and environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batch_scoring.core.errors import InputError

CONNECTION_STRING = "EVENT_HUB_CONNECTION_STRING"
NAMESPACE = "EVENT_HUB_NAMESPACE"
HUB = "EVENT_HUB_NAME"
DEFAULT_GROUP = "$Default"


@dataclass(frozen=True)
class Address:
    """An event hub, the consumer group to read as, and how to sign in.

    Attributes
    ----------
    namespace : str
        The host name, such as ``fleet.servicebus.windows.net``, without a port.
    hub : str
    group : str
        The consumer group.
    connection_string : str or None
        Secret, never shown. None signs in with ``DefaultAzureCredential``.
    """

    namespace: str
    hub: str
    group: str = DEFAULT_GROUP
    connection_string: str | None = field(default=None, repr=False)

    @property
    def has_sas(self) -> bool:
        """Whether it signs in with a shared access signature, which cannot be renewed here."""
        return "sharedaccesssignature=" in (self.connection_string or "").lower()

    def __str__(self) -> str:
        return f"event hub {self.hub!r} of {self.namespace}"


def read_address(
    hub: str | None, namespace: str | None, group: str, credentials: Mapping[str, Any] | None
) -> Address:
    """Read the address of an event hub.

    Parameters
    ----------
    hub, namespace : str or None
        From the catalog entry. None takes ``EVENT_HUB_NAME`` and ``EVENT_HUB_NAMESPACE`` from the
        environment, else what the connection string names.
    group : str
        The consumer group.
    credentials : mapping or None
        ``connection_string``; without it ``EVENT_HUB_CONNECTION_STRING`` of the environment.

    Raises
    ------
    InputError
        When no hub is named, or the connection string is not valid.
    """
    connection_string = (credentials or {}).get("connection_string") or os.environ.get(CONNECTION_STRING)
    hub, namespace = hub or os.environ.get(HUB), namespace or os.environ.get(NAMESPACE)
    if connection_string:
        parts = _parts(connection_string)
        namespace = parts["endpoint"].partition("://")[2].strip("/").partition(":")[0]
        hub = hub or parts.get("entitypath")
    if not namespace:
        raise InputError(
            f"event hub: the namespace is missing; set {CONNECTION_STRING} to a connection string, or "
            f"{NAMESPACE} to a host name such as fleet.servicebus.windows.net to sign in as yourself"
        )
    if not hub:
        raise InputError(
            f"event hub: the hub of {namespace} is missing; set {HUB}, or add EntityPath=… to the "
            "connection string"
        )
    return Address(namespace, hub, group, connection_string)


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.strip().split(";") if part)
    parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "://" not in parts.get("endpoint", ""):
        raise InputError(
            "event hub: the connection string is not valid; expected Endpoint=sb://…: copy it from the "
            "portal's 'Shared access policies'"
        )
    return parts
