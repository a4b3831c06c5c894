"""The settings of ``kedro deploy``: what is deployed, where, and how big; calls nothing of Azure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.durations import recurrence, short_text
from batch_scoring.deploy.image.settings import ImageSettings

COMPUTES = ("azure_batch", "batch_ai")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class ScheduleSettings:
    """``deploy.schedule``: when scoring is scheduled, and how long its workflow waits for it.

    Attributes
    ----------
    first : tuple of str or None
        Pipelines that the scheduler runs before it submits; None: chosen by how readings arrive.
    """

    every: timedelta = timedelta(hours=1)
    wait: timedelta = timedelta(minutes=55)
    first: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        recurrence(self.every, "deploy.schedule.every")
        if not timedelta(0) < self.wait < self.every:
            raise InputError(
                f"deploy.schedule.wait: {short_text(self.wait)} is not between 0 and deploy.schedule.every "
                f"({short_text(self.every)}); one run has to end before the next begins"
            )


@dataclass(frozen=True)
class RetrainSettings:
    """``deploy.retrain``: when all models are retrained."""

    every: timedelta = timedelta(days=7)
    wait: timedelta = timedelta(hours=6)
    enabled: bool = True

    def __post_init__(self) -> None:
        recurrence(self.every, "deploy.retrain.every")
        if not timedelta(0) < self.wait < self.every:
            raise InputError(
                f"deploy.retrain.wait: {short_text(self.wait)} is not between 0 and deploy.retrain.every "
                f"({short_text(self.every)}); one training has to end before the next begins"
            )


@dataclass(frozen=True)
class SchedulerSettings:
    """``deploy.scheduler``: size of the container that submits jobs and waits for them."""

    cpu: float = 1.0
    memory_gb: float = 2.0

    def __post_init__(self) -> None:
        # The limits of Container Instances in every region.
        require_between("deploy.scheduler.cpu", self.cpu, 0.1, 4, "Container Instances gives a container")
        require_between(
            "deploy.scheduler.memory_gb", self.memory_gb, 0.5, 16, "Container Instances gives a container"
        )


@dataclass(frozen=True)
class EventHubSettings:
    """``deploy.event_hub``: where devices send their readings."""

    partitions: int = 4
    retention_days: int = 1
    throughput_units: int = 1
    capture: bool = False

    def __post_init__(self) -> None:
        tier = "the Standard tier takes"
        require_between("deploy.event_hub.partitions", self.partitions, 1, 32, tier)
        require_between("deploy.event_hub.retention_days", self.retention_days, 1, 7, tier)
        require_between("deploy.event_hub.throughput_units", self.throughput_units, 1, 40, tier)


@dataclass(frozen=True)
class StreamAnalyticsSettings:
    """``deploy.stream_analytics``: the job that makes windows of readings."""

    enabled: bool = True
    streaming_units: int = 3

    def __post_init__(self) -> None:
        units = self.streaming_units
        if units not in (1, 3) and not (units > 0 and units % 6 == 0):
            raise InputError(
                f"deploy.stream_analytics.streaming_units: {units} is not valid; "
                "expected 1, 3 or a multiple of 6"
            )


@dataclass(frozen=True)
class StorageSettings:
    """``deploy.storage``: the container with all data, and how long data is kept.

    Attributes
    ----------
    archive_after_days : int or None
        Days after which unchanged files of ``01_raw`` and ``02_intermediate`` move to a tier that costs
        less to keep and more to read; None: never.
    delete_logs_after_days : int or None
        Records of runs, ``09_jobs``; None: never.
    """

    container: str = "batch-scoring"
    soft_delete_days: int = 7
    archive_after_days: int | None = 30
    delete_logs_after_days: int | None = 90

    def __post_init__(self) -> None:
        name = self.container
        if not re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,62}", name) or len(name) > 63:
            raise InputError(
                f"deploy.storage.container: {name!r} is not valid; expected 3 to 63 lower-case letters, "
                "digits and single '-' between them"
            )
        require_between(
            "deploy.storage.soft_delete_days", self.soft_delete_days, 1, 365, "Blob Storage takes"
        )
        for key in ("archive_after_days", "delete_logs_after_days"):
            if getattr(self, key) is not None:
                require_between(f"deploy.storage.{key}", getattr(self, key), 1, 99999, "Blob Storage takes")


@dataclass(frozen=True)
class NodeSettings:
    """``deploy.nodes``: the machines that score, of either compute.

    Attributes
    ----------
    vm_image, node_agent : str
        Of Azure Batch.
    user, ssh_public_key : str
        Of Batch AI, which requires a login.
    registry_user : str or None
        Batch AI: the user that pulls the image; the password is the vault's secret ``registry-password``.
    file_server : bool
        Batch AI: an NFS server of the service's own beside the cluster.
    """

    vm_size: str = "Standard_D2s_v3"
    min_nodes: int = 0
    max_nodes: int = 10
    tasks_per_node: int = 1
    low_priority: bool = False
    keep_warm: timedelta = timedelta(0)
    autoscale_interval: timedelta = timedelta(minutes=5)
    vm_image: str = "microsoft-dsvm:ubuntu-hpc:2204:latest"
    node_agent: str = "batch.node.ubuntu 22.04"
    user: str = "scoring"
    ssh_public_key: str | None = None
    registry_user: str | None = None
    file_server: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w{1,64}", self.vm_size, re.ASCII):
            raise InputError(
                f"deploy.nodes.vm_size: {self.vm_size!r} is not valid; expected a machine size such as "
                "'Standard_D2s_v3'"
            )
        if self.max_nodes < 1 or not 0 <= self.min_nodes <= self.max_nodes:
            raise InputError(
                f"deploy.nodes: min_nodes {self.min_nodes}, max_nodes {self.max_nodes} are not valid; "
                "expected 0 <= min_nodes <= max_nodes and max_nodes >= 1"
            )
        if self.vm_image.count(":") != 3:
            raise InputError(
                f"deploy.nodes.vm_image: {self.vm_image!r} is not valid; expected publisher:offer:sku:version"
            )
        require_between("deploy.nodes.tasks_per_node", self.tasks_per_node, 1, 256, "Azure Batch takes")
        if not timedelta(minutes=5) <= self.autoscale_interval <= timedelta(hours=168):
            raise InputError(
                f"deploy.nodes.autoscale_interval: {short_text(self.autoscale_interval)} is not valid; Azure "
                "Batch takes 5m to 168h"
            )
        key = self.ssh_public_key
        if key is not None and not re.match(r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+) \S+", key):
            raise InputError(
                "deploy.nodes.ssh_public_key: this is not a valid public key; expected one line such as "
                "'ssh-ed25519 AAAA… me', the content of a .pub file and never of the private one"
            )


@dataclass(frozen=True)
class AlertSettings:
    """``deploy.alerts``: who is notified of a failed or a missing run; None: the portal only."""

    email: str | None = None

    def __post_init__(self) -> None:
        if self.email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email):
            raise InputError(
                f"deploy.alerts.email: {self.email!r} is not valid; expected one such as 'ops@example.com', "
                "or null for none"
            )


def require_between(where: str, value: float, least: float, most: float, who: str) -> None:
    """Check that a number is within a service's limits.

    Raises
    ------
    InputError
    """
    if not least <= value <= most:
        raise InputError(f"{where}: {value:g} is not valid; {who} {least:g} to {most:g}")


@dataclass(frozen=True)
class DeployParameters:
    """``params:deploy``; see ``conf/base/parameters_deploy.yml``.

    Attributes
    ----------
    name : str
        Of the deployment; all resource names are derived from it, see :mod:`.names`.
    subscription, resource_group : str or None
        None: not known yet, which only offline commands accept; the group is ``rg-<name>`` then.
    compute : str
        ``azure_batch``, or ``batch_ai``, the service of 2018.
    tracking_uri : str or None
        An MLflow server, which retraining needs.
    log_retention_days : int
        Of the workspace with the services' own logs.
    names : dict of str to str
        Names that replace the derived ones, by the fields of :class:`.names.Names`.
    arm_endpoint : str
        Where Azure Resource Manager answers.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    name: str = "batchscore"
    subscription: str | None = None
    resource_group: str | None = None
    location: str = "westeurope"
    compute: str = "azure_batch"
    tracking_uri: str | None = None
    log_retention_days: int = 30
    arm_endpoint: str = "https://management.azure.com"
    image: ImageSettings = field(default_factory=ImageSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    event_hub: EventHubSettings = field(default_factory=EventHubSettings)
    stream_analytics: StreamAnalyticsSettings = field(default_factory=StreamAnalyticsSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    nodes: NodeSettings = field(default_factory=NodeSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z](-?[a-z0-9]){1,13}", self.name) or len(self.name) > 14:
            raise InputError(
                f"deploy.name: {self.name!r} is not valid; expected 2 to 14 lower-case "
                "letters, digits and single '-' between them, a letter first"
            )
        if self.subscription is not None and not _GUID.fullmatch(self.subscription):
            raise InputError(
                f"deploy.subscription: {self.subscription!r} is not valid; expected the 'id' that "
                "`az account show` prints"
            )
        if not re.fullmatch(r"[a-z0-9]+", self.location):
            raise InputError(
                f"deploy.location: {self.location!r} is not valid; expected a region of "
                "`az account list-locations`, such as 'westeurope'"
            )
        if self.compute not in COMPUTES:
            raise InputError(
                f"deploy.compute: {self.compute!r} is not valid; expected one of {', '.join(COMPUTES)}"
            )
        if self.compute == "batch_ai" and self.nodes.ssh_public_key is None:
            raise InputError(
                "deploy.nodes.ssh_public_key: this setting is missing; Batch AI creates no nodes without it, "
                "expected the content of a .pub file"
            )
        require_between("deploy.log_retention_days", self.log_retention_days, 30, 730, "Log Analytics takes")
        _require_url("deploy.arm_endpoint", self.arm_endpoint, ("https",))
        if self.tracking_uri is not None:
            _require_url("deploy.tracking_uri", self.tracking_uri, ("https", "http"))

    @property
    def is_retraining(self) -> bool:
        """Whether models are retrained; not without an MLflow server, which keeps their versions."""
        return self.retrain.enabled and self.tracking_uri is not None

    def require_subscription(self) -> str:
        """Return the subscription, which every call of Azure needs.

        Raises
        ------
        InputError
        """
        if self.subscription is None:
            raise InputError(
                "deploy.subscription: this setting is missing; write the 'id' that `az account show` prints "
                "into conf/azure/parameters_deploy.yml"
            )
        return self.subscription


def read_settings(parameters: Mapping[str, Any]) -> DeployParameters:
    """Read the group ``deploy`` of a project's parameters.

    Raises
    ------
    InputError
        Naming the first setting that is unknown or not valid.
    """
    return read_parameters(DeployParameters, parameters.get("deploy"), "deploy")


def _require_url(where: str, url: str, schemes: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or parts.query:
        raise InputError(
            f"{where}: this is not valid; expected {' or '.join(f'{s}://HOST' for s in schemes)}, without a "
            "password in it"
        )


def project_parameters(env: str | None) -> Mapping[str, Any]:
    """All parameters of the project in the current folder, as a Kedro environment has them."""
    from kedro.framework.session import KedroSession

    with KedroSession.create(env=env) as session:
        return cast("Mapping[str, Any]", cast(KedroSession, session).load_context().params)
