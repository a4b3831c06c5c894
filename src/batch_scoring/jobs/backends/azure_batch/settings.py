"""The settings of the engine ``azure_batch``; imports nothing of Azure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError

# The service's limits of the interval between two evaluations of the formula.
_SHORTEST, _LONGEST = timedelta(minutes=5), timedelta(hours=168)
# The service's own limits of an id, and of slots on a node.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_SLOTS = 256
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WHERE = "jobs.azure_batch"


@dataclass(frozen=True)
class AzureBatchSettings:
    """``jobs.azure_batch``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    endpoint: str | None = None
    pool: str = "batch-scoring"
    image: str | None = None
    identity: str | None = None
    account_id: str | None = None
    vm_size: str = "Standard_D2s_v3"
    vm_image: str = "microsoft-dsvm:ubuntu-hpc:2204:latest"
    node_agent: str = "batch.node.ubuntu 22.04"
    low_priority: bool = False
    min_nodes: int = 0
    max_nodes: int = 10
    tasks_per_node: int = 1
    keep_warm: timedelta = timedelta(0)
    autoscale_interval: timedelta = timedelta(minutes=5)
    environment: dict[str, Any] = field(default_factory=dict)
    pass_environment: tuple[str, ...] = ("APPLICATIONINSIGHTS_CONNECTION_STRING",)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.pool):
            raise InputError(
                f"{_WHERE}.pool: {self.pool!r} is not valid; expected 1 to 64 letters, digits, '-' or '_'"
            )
        if self.vm_image.count(":") != 3:
            raise InputError(
                f"{_WHERE}.vm_image: {self.vm_image!r} is not valid; expected publisher:offer:sku:version"
            )
        if not 0 <= self.min_nodes <= self.max_nodes or self.max_nodes < 1:
            raise InputError(
                f"{_WHERE}: min_nodes {self.min_nodes}, max_nodes {self.max_nodes} are not valid; expected "
                "0 <= min_nodes <= max_nodes and max_nodes >= 1"
            )
        if not 1 <= self.tasks_per_node <= _MOST_SLOTS:
            raise InputError(
                f"{_WHERE}.tasks_per_node: {self.tasks_per_node} is not valid; expected 1 to {_MOST_SLOTS}"
            )
        if not _SHORTEST <= self.autoscale_interval <= _LONGEST:
            raise InputError(
                f"{_WHERE}.autoscale_interval: {self.autoscale_interval} is not valid; expected 5m to 168h"
            )

    def require_complete(self) -> None:
        """Check that all required settings are set.

        Raises
        ------
        InputError
        """
        missing = [name for name in ("endpoint", "image") if not getattr(self, name)]
        if missing:
            examples = {
                "endpoint": "https://ACCOUNT.REGION.batch.azure.com",
                "image": "REGISTRY.azurecr.io/batch-scoring:1.0.0",
            }
            raise InputError(
                f"{_WHERE}.{missing[0]}: this setting is missing; write one such as {examples[missing[0]]}"
            )
        parts = urlsplit(self.endpoint or "")
        if parts.scheme != "https" and not self.is_loopback:
            raise InputError(
                f"{_WHERE}.endpoint: {self.endpoint!r} is not valid; expected "
                "https://ACCOUNT.REGION.batch.azure.com"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is a stand-in on this machine."""
        return urlsplit(self.endpoint or "").hostname in _LOOPBACK

    @property
    def account(self) -> str:
        """The Batch account's name, from the endpoint."""
        return (urlsplit(self.endpoint or "").hostname or "").partition(".")[0]

    @property
    def registry(self) -> str:
        """Server of the image's registry; empty for Docker Hub.

        Examples
        --------
        >>> AzureBatchSettings(image="acme.azurecr.io/batch-scoring:1").registry
        'acme.azurecr.io'
        """
        first, slash, _ = (self.image or "").partition("/")
        return first if slash and ("." in first or ":" in first) else ""
