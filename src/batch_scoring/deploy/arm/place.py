"""Where a deployment lies: subscription, resource group and the address of the Resource Manager."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.core.loopback import is_loopback

PUBLIC = "https://management.azure.com"
# Tag of a resource group that `kedro deploy up` created, and `down` may delete.
OWNER_TAG = "batch-scoring-deployment"


@dataclass(frozen=True)
class Place:
    """Where a deployment lies.

    Attributes
    ----------
    subscription, resource_group, location : str
    deployment : str
        Its name, always the same, so that a second `up` finds the first.
    endpoint : str
        Of the Resource Manager.
    poll_seconds : float
        Between two polls of a long operation.
    """

    subscription: str
    resource_group: str
    location: str
    deployment: str
    endpoint: str = PUBLIC
    poll_seconds: float = 5.0

    @property
    def group_id(self) -> str:
        """The id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"

    @property
    def scope(self) -> str:
        """Scope of tokens; a stand-in on this machine takes tokens of the public cloud."""
        return f"{PUBLIC if is_loopback(self.endpoint) else self.endpoint.rstrip('/')}/.default"
