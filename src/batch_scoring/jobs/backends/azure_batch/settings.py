"""The settings of the engine ``azure_batch``; imports nothing of Azure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.loopback import is_loopback
from batch_scoring.core.parameters import Settings, Valid, at_least, like, require, within

# The service's limits of tasks on a node.
_TASKS_PER_CORE, _TASKS_PER_NODE = 4, 256
_SIZE = like(r"(?a)\w{1,64}", "a machine size such as 'Standard_D2s_v5'")
_IMAGE = like(r"([^:]*:){3}[^:]*", "publisher:offer:sku:version")
_POOL = like(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, '-' or '_'")
_INTERVAL = Valid(lambda length: timedelta(minutes=5) <= length <= timedelta(hours=168), "5m to 168h")
# Sizes whose first number is not their cores, by their names behind "Standard_".
_OLD_CORES = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 11: 2, 12: 4, 13: 8, 14: 16, 15: 20}


@dataclass(frozen=True)
class PoolSettings(Settings):
    """The nodes of a pool, and how it scales: of the engine's settings, and of the deployment's.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = "jobs.azure_batch"

    vm_size: Annotated[str, _SIZE] = "Standard_D2s_v5"
    vm_image: Annotated[str, _IMAGE] = "microsoft-dsvm:ubuntu-hpc:2404:latest"
    node_agent: str = "batch.node.ubuntu 24.04"
    low_priority: bool = False
    min_nodes: int = 0
    max_nodes: Annotated[int, at_least(1)] = 10
    tasks_per_node: int = 1
    keep_warm: timedelta = timedelta(0)
    autoscale_interval: Annotated[timedelta, _INTERVAL] = timedelta(minutes=5)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks = {
            "min_nodes": within(self.min_nodes, 0, self.max_nodes),
            "tasks_per_node": within(self.tasks_per_node, 1, most_tasks(self.vm_size)),
        }
        require(self, self.where, checks)


def cores_of(vm_size: str) -> int | None:
    """Return the cores of a machine size, from its name; None where the name does not say.

    Examples
    --------
    >>> [cores_of(f"Standard_{size}") for size in ("D2ds_v5", "E8-4as_v5", "DS12_v2", "NC24ads_A100_v4")]
    [2, 4, 4, 24]
    """
    if old := re.fullmatch(r"standard_ds?(\d+)(_v2)?", vm_size, re.IGNORECASE):
        return _OLD_CORES.get(int(old[1]))
    # The second number is the cores that are left of the first, which are paid.
    found = re.match(r"standard_[a-z]+(\d+)(?:-(\d+))?[a-z]*(?:_|$)", vm_size, re.IGNORECASE)
    return int(found[2] or found[1]) if found else None


def most_tasks(vm_size: str) -> int:
    """Return the service's limit of tasks at once on a node of a size.

    Examples
    --------
    >>> most_tasks("Standard_D2ds_v5"), most_tasks("Standard_M128s"), most_tasks("of_tomorrow")
    (8, 256, 256)
    """
    cores = cores_of(vm_size)
    return _TASKS_PER_NODE if cores is None else min(_TASKS_PER_NODE, _TASKS_PER_CORE * cores)


@dataclass(frozen=True)
class AzureBatchSettings(PoolSettings):
    """``jobs.azure_batch``; see ``conf/base/parameters_jobs.yml``."""

    endpoint: str | None = None
    pool: Annotated[str, _POOL] = "batch-scoring"
    image: str | None = None
    identity: str | None = None
    account_id: str | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    pass_environment: tuple[str, ...] = ("APPLICATIONINSIGHTS_CONNECTION_STRING",)

    def require_complete(self) -> None:
        """Check that all required settings are set.

        Raises
        ------
        InputError
        """
        url = "https://ACCOUNT.REGION.batch.azure.com"
        for name, example in {"endpoint": url, "image": "REGISTRY.azurecr.io/batch-scoring:1.0.0"}.items():
            if not getattr(self, name):
                raise InputError(f"{self.where}.{name}: this setting is missing; write one such as {example}")
        is_url = urlsplit(self.endpoint or "").scheme == "https" or self.is_loopback
        require(self, self.where, {"endpoint": (is_url, url)})

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is a stand-in on this machine."""
        return is_loopback(self.endpoint or "")

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
