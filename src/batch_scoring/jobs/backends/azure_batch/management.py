"""Create a pool whose nodes have an identity, which only Azure Resource Manager can give it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.autoscale import autoscale_formula
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings

if TYPE_CHECKING:
    from azure.mgmt.batch.models import BatchAccount, Pool

_ACCOUNT = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Batch/batchAccounts/([^/]+)",
    re.IGNORECASE,
)


def pool_resource(settings: AzureBatchSettings) -> Pool:
    """Build the pool of :func:`.requests.pool_request` as a resource, with the identity."""
    from azure.mgmt.batch import models

    publisher, offer, sku, version = settings.vm_image.split(":")
    identity = models.ComputeNodeIdentityReference(resource_id=settings.identity)
    registries = [models.ContainerRegistry(registry_server=settings.registry, identity_reference=identity)]
    machine = models.VirtualMachineConfiguration(
        image_reference=models.ImageReference(publisher=publisher, offer=offer, sku=sku, version=version),
        node_agent_sku_id=settings.node_agent,
        container_configuration=models.ContainerConfiguration(
            type=models.ContainerType.DOCKER_COMPATIBLE,
            container_image_names=[settings.image or ""],
            container_registries=registries if settings.registry else None,
        ),
    )
    scale = models.AutoScaleSettings(
        formula=autoscale_formula(settings), evaluation_interval=settings.autoscale_interval
    )
    return models.Pool(
        identity=models.BatchPoolIdentity(
            type=models.PoolIdentityType.USER_ASSIGNED,
            user_assigned_identities={settings.identity or "": models.UserAssignedIdentities()},
        ),
        properties=models.PoolProperties(
            vm_size=settings.vm_size,
            deployment_configuration=models.DeploymentConfiguration(virtual_machine_configuration=machine),
            scale_settings=models.ScaleSettings(auto_scale=scale),
            task_slots_per_node=settings.tasks_per_node,
            task_scheduling_policy=models.TaskSchedulingPolicy(
                node_fill_type=models.ComputeNodeFillType.PACK
            ),
        ),
    )


def create_pool(settings: AzureBatchSettings, options: Mapping[str, Any] | None = None) -> None:
    """Create the pool unless it exists.

    Parameters
    ----------
    settings : AzureBatchSettings
    options : mapping, optional
        Of ``BatchManagementClient``; by default the machine's own identity and Azure's own endpoint.

    Raises
    ------
    InputError
        When ``account_id`` is missing or not valid.
    azure.core.exceptions.AzureError
        When the request fails.
    """
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError

    with _open(settings, options) as (client, group, account):
        try:
            client.pool.create(
                *(group, account, settings.pool, pool_resource(settings)),
                etag="*",
                match_condition=MatchConditions.IfMissing,
            )
        except HttpResponseError as error:
            # 412: it exists, another scheduler was first.
            if error.status_code != 412:
                raise


def read_account(settings: AzureBatchSettings, options: Mapping[str, Any] | None = None) -> BatchAccount:
    """Read the account with its quotas; parameters and errors as of :func:`create_pool`."""
    with _open(settings, options) as (client, group, account):
        return client.batch_account.get(group, account)


@contextmanager
def _open(settings: AzureBatchSettings, options: Mapping[str, Any] | None) -> Iterator[tuple[Any, str, str]]:
    """Open the client; yield it with the account's resource group and name."""
    from azure.mgmt.batch import BatchManagementClient

    found = _ACCOUNT.fullmatch(settings.account_id or "")
    if found is None:
        raise InputError(
            f"jobs.azure_batch.account_id: {settings.account_id!r} is not valid; nodes with an identity need "
            "the account's resource id, such as /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.Batch/batchAccounts/NAME; set it, or create the pool yourself"
        )
    subscription, group, account = found.groups()
    given = dict(options or {})
    given["credential"] = token_credential(given.get("credential"))
    with BatchManagementClient(subscription_id=subscription, **given) as client:
        yield client, group, account
