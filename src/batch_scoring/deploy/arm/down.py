"""Take the deployment down: triggers first, identities last; data stays unless it is named."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.arm import vault
from batch_scoring.deploy.arm.client import Client, word
from batch_scoring.deploy.arm.errors import clear_errors
from batch_scoring.deploy.arm.place import OWNER_TAG
from batch_scoring.deploy.arm.up import ENDED

DATA_TYPES = ("microsoft.storage/storageaccounts",)
# In this order: what starts containers, the containers, what feeds and computes, what others refer to.
_ORDER = (
    "microsoft.logic/workflows",
    "microsoft.app/jobs",
    "microsoft.containerinstance/containergroups",
    "microsoft.app/managedenvironments",
    "microsoft.streamanalytics/streamingjobs",
    "microsoft.devices/iothubs",
    "microsoft.batchai/workspaces",
    "microsoft.batch/batchaccounts",
    "microsoft.eventhub/namespaces",
    "microsoft.containerregistry/registries",
    "microsoft.insights/",
    "microsoft.operationalinsights/workspaces",
    "microsoft.keyvault/vaults",
    "microsoft.network/privateendpoints",
    "microsoft.network/privatednszones/virtualnetworklinks",
    "microsoft.network/privatednszones",
    "microsoft.network/virtualnetworks",
    "microsoft.network/natgateways",
    "microsoft.network/publicipaddresses",
    "microsoft.network/networksecuritygroups",
)
# Container Instances holds the subnet of a container that was just deleted for a while.
_RELEASE_SECONDS = 900.0
_LAST = "microsoft.managedidentity/"
# The groups that the workflows create; one is left where a workflow was deleted while it ran.
_STRAY_PREFIXES = ("score-", "retrain-")
_ROLES_VERSION = "2022-04-01"
_DIAGNOSTICS_VERSION = "2021-05-01-preview"
_IDENTITY_VERSION = "2023-01-31"


@dataclass(frozen=True)
class Item:
    """A resource of the group."""

    id: str
    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True)
class Survey:
    """What :func:`remove` would do.

    Attributes
    ----------
    going : tuple of Item
        In this order.
    kept : tuple of Item
        Data.
    foreign : tuple of Item
        Resources that others have put into the group.
    extensions : tuple of str
        Ids of useless leftovers on kept resources: role assignments of deleted identities, our own roles,
        and settings that send logs to a deleted workspace.
    group_goes : bool
        Whether nothing would be left in the group, and it is ours.
    is_deployed : bool
        Whether there is a record of the deployment.
    """

    going: tuple[Item, ...] = ()
    kept: tuple[Item, ...] = ()
    foreign: tuple[Item, ...] = ()
    extensions: tuple[str, ...] = ()
    group_goes: bool = False
    is_deployed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.going or self.extensions or self.group_goes or self.is_deployed)


def survey(client: Client, deletes_data: bool = False) -> Survey:
    """Survey what there is without changing anything.

    Raises
    ------
    InputError
        When the deployment is still running.
    """
    group = client.group()
    if group is None:
        return Survey()
    deployment = client.deployment()
    if deployment is not None and word(deployment.properties.provisioning_state) not in ENDED:
        raise InputError(
            f"deployment {client.place.deployment!r}: it is still running; wait until `kedro deploy status` "
            "shows that it has ended, and run `kedro deploy down` again"
        )
    is_ours = OWNER_TAG in (group.tags or {})
    made = {key.lower() for key in _made(client)} if deployment is not None else set[str]()
    everything = [Item(one.id, one.type, one.name) for one in client.in_group()]
    ours = [one for one in everything if is_ours or one.id.lower() in made or _is_stray(one)]
    kept = [one for one in ours if one.type.lower() in DATA_TYPES and not deletes_data]
    going = sorted((one for one in ours if one not in kept), key=lambda one: (_rank(one), one.name))
    foreign = [one for one in everything if one not in ours]
    return Survey(
        *(tuple(going), tuple(kept), tuple(foreign)),
        (*_roles(client, going, kept, made), *_diagnostics(client, kept, made)),
        group_goes=is_ours and not kept and not foreign,
        is_deployed=deployment is not None,
    )


def remove(client: Client, found: Survey, say: Callable[[str], None]) -> None:
    """Delete what a survey found; safe to run again where it was interrupted.

    Raises
    ------
    InputError
        When something cannot be deleted; everything before it is gone by then.
    """
    first = [one for one in found.going if not one.type.lower().startswith(_LAST)]
    for one in first:
        _delete(client, one, say)
    # Before the identities, by which a removal finds them.
    for extension in found.extensions:
        is_role = "/microsoft.authorization/" in extension.lower()
        client.ask("DELETE", extension, _ROLES_VERSION if is_role else _DIAGNOSTICS_VERSION)
        say(f"deleted: {extension.rpartition('/providers/')[2]}")
    for one in found.going:
        if one not in first:
            _delete(client, one, say)
    if found.group_goes:
        with clear_errors(f"resource group {client.place.resource_group!r}", client.place):
            client.resources.resource_groups.begin_delete(client.place.resource_group).wait()
        say(f"deleted: resource group {client.place.resource_group}")
    elif found.is_deployed:
        # Last, as it is how an interrupted removal knows what is ours.
        with clear_errors(f"deployment {client.place.deployment!r}", client.place):
            client.deployments.deployments.begin_delete(
                client.place.resource_group, client.place.deployment
            ).wait()


def _delete(client: Client, one: Item, say: Callable[[str], None]) -> None:
    give_up = time.monotonic() + _RELEASE_SECONDS
    while True:
        try:
            with clear_errors(str(one), client.place):
                client.resources.resources.begin_delete_by_id(
                    one.id, api_version=_api_version(client, one.type)
                ).wait()
            break
        except InputError as error:
            if isinstance(error.__context__, ResourceNotFoundError):
                return  # deleted with its parent
            if "InUse" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(client.place.poll_seconds)
    say(f"deleted: {one}")
    if one.type.lower() == "microsoft.keyvault/vaults" and not vault.purge(client, one.name):
        say(f"note: {one} is protected from purging; it expires by itself, and the next `up` recovers it")


def _made(client: Client) -> Iterable[str]:
    """Yield the ids of what the deployment has created, or tried to."""
    for one in client.operations():
        target = one.properties.target_resource
        if target is not None and target.id:
            yield target.id


def _is_stray(one: Item) -> bool:
    is_group = one.type.lower() == "microsoft.containerinstance/containergroups"
    return is_group and one.name.startswith(_STRAY_PREFIXES)


def _rank(one: Item) -> int:
    kind = one.type.lower()
    if kind.startswith(_LAST):
        return len(_ORDER) + 1
    return next((number for number, start in enumerate(_ORDER) if kind.startswith(start)), len(_ORDER))


def _roles(client: Client, going: list[Item], kept: list[Item], made: set[str]) -> Iterable[str]:
    """Yield role assignments on kept resources, ours or of deleted identities; then our own roles."""
    principals, group = set(_principals(client, going)), client.place.group_id.lower()
    stays = tuple(f"{one.id.lower()}/" for one in kept)
    path = f"{client.place.group_id}/providers/Microsoft.Authorization"
    for one in client.listed(f"{path}/roleAssignments", _ROLES_VERSION):
        key = one["id"].lower()
        # The listing also has assignments above the group, and on deleted resources, which go with these.
        is_here = key.startswith((f"{group}/providers/microsoft.authorization/", *stays))
        if is_here and (key in made or one["properties"]["principalId"] in principals):
            yield one["id"]
    # Roles of our own, which nothing refers to any more.
    for one in client.listed(
        f"{path}/roleDefinitions", _ROLES_VERSION, **{"$filter": "type eq 'CustomRole'"}
    ):
        guid = one["id"].lower().rpartition("/")[2]
        if any(key.endswith(f"/roledefinitions/{guid}") for key in made):
            yield one["id"]


def _diagnostics(client: Client, kept: list[Item], made: set[str]) -> Iterable[str]:
    """Yield the settings that send logs of kept resources to a deleted workspace."""
    stays = tuple(f"{one.id.lower()}/" for one in kept)
    for key in sorted(made):
        is_setting = key.startswith(stays) and "/providers/microsoft.insights/diagnostic" in key
        if is_setting and client.found(key, _DIAGNOSTICS_VERSION) is not None:
            yield key


def _principals(client: Client, going: list[Item]) -> Iterable[str]:
    """Yield the principals of deleted identities, and of identities deleted with other resources."""
    for one in going:
        if one.type.lower().startswith(_LAST):
            properties = client.ask("GET", one.id, _IDENTITY_VERSION)["properties"]
            yield str(properties.get("principalId"))
    goes = {one.id.lower() for one in going}
    for listed in client.in_group():
        if listed.id.lower() in goes and listed.identity is not None and listed.identity.principal_id:
            yield str(listed.identity.principal_id)


def _api_version(client: Client, kind: str) -> str:
    """Return the newest published API version of a type."""
    namespace, _, name = kind.partition("/")
    found = _versions(client, namespace).get(name.lower(), [])
    stable = [one for one in found if not one.endswith("preview")]
    if not found:
        raise InputError(
            f"{kind}: the resource provider {namespace!r} reports no API version for it; delete it by hand"
        )
    return max(stable or found)


@cache
def _versions(client: Client, namespace: str) -> dict[str, list[str]]:
    with clear_errors(f"resource provider {namespace!r}", client.place):
        kinds: list[Any] = client.resources.providers.get(namespace).resource_types or []
    return {one.resource_type.lower(): list(one.api_versions or []) for one in kinds}
