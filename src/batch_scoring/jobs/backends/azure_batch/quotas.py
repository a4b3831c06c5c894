"""Check before submitting that a Batch account's quotas allow nodes at all."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import CapacityError
from batch_scoring.jobs.backends.azure_batch.management import read_account
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings, cores_of

if TYPE_CHECKING:
    from azure.mgmt.batch.models import BatchAccount

log = logging.getLogger(__name__)


def require_quota(settings: AzureBatchSettings, options: Mapping[str, Any] | None = None) -> None:
    """Check that the account's quota of cores allows one node; warn where it allows fewer than ``max_nodes``.

    Nothing is checked where ``account_id`` is not set, or the account cannot be read.

    Raises
    ------
    CapacityError
        Naming the quota.
    InputError
        When ``account_id`` is not valid.
    """
    from azure.core.exceptions import AzureError

    if settings.account_id is None:
        return
    try:
        account = read_account(settings, options)
    except AzureError as error:
        # Scoring does not depend on reading the quota: the service itself refuses what it lacks.
        log.info("quotas of %s are not checked: %s", settings.account, type(error).__name__)
        return
    quota, cores = core_quota(account, settings), cores_of(settings.vm_size)
    if quota is None or cores is None:
        return
    kind = "Spot cores" if settings.low_priority else f"cores of {settings.vm_size}"
    name = f"Batch account {settings.account}: its quota of {kind} is {quota:,}"
    if quota < cores:
        raise CapacityError(f"{name}, and one node has {cores:,}; ask for more in the portal (Quotas)")
    if quota < cores * settings.max_nodes:
        log.warning("%s, enough for %d nodes of jobs.azure_batch.max_nodes", name, quota // cores)


def core_quota(account: BatchAccount, settings: AzureBatchSettings) -> int | None:
    """Return an account's quota of cores for the nodes of the settings; None if it states none."""
    found = account.properties
    if found is None:
        return None
    if settings.low_priority:
        return found.low_priority_core_quota
    total = found.dedicated_core_quota
    if not found.dedicated_core_quota_per_vm_family_enforced:
        return total
    families = {
        (one.name or "").lower(): one.core_quota for one in found.dedicated_core_quota_per_vm_family or []
    }
    own = families.get(family_of(settings.vm_size).lower())
    return total if own is None else own if total is None else min(own, total)


def family_of(vm_size: str) -> str:
    """Return the family by which Azure counts the cores of a machine size.

    Examples
    --------
    >>> family_of("Standard_D2ds_v5"), family_of("Standard_F4s_v2")
    ('standardDdsv5Family', 'standardFsv2Family')
    """
    series, features, version = re.match(  # type: ignore[union-attr]
        r"(?:standard_)?([a-z]*)[\d-]*([a-z]*)(.*)", vm_size, re.IGNORECASE
    ).groups()
    return f"standard{series}{features}{version.replace('_', '')}Family"
