"""The settings of ``kedro deploy``: what is deployed, where, and how big; calls nothing of Azure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import Settings, Valid, between, like, read_parameters, require, within
from batch_scoring.deploy.durations import cron, recurrence, short_text
from batch_scoring.deploy.network_settings import NetworkSettings
from batch_scoring.jobs.backends.azure_batch.settings import PoolSettings
from batch_scoring.jobs.backends.container_apps.settings import SIZE, SIZES, is_size, memory_of

_NAME = like(
    r"(?=.{2,14}$)[a-z](-?[a-z0-9])*",
    "2 to 14 lower-case letters, digits and single '-' between them, a letter first",
)
_SUBSCRIPTION = like(
    r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the 'id' that `az account show` prints"
)
_LOCATION = like(r"[a-z0-9]+", "a region of `az account list-locations`, such as 'westeurope'")
_REPOSITORY = like(
    r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*",
    "lower-case letters and digits, separated by one of . _ - /",
)
_TAG = like(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "1 to 128 letters, digits, . _ and -, no . or - first")
_CONTAINER = like(
    r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9]){2,62}",
    "3 to 63 lower-case letters, digits and single '-' between them",
)
_EMAIL = like(r"[^@\s]+@[^@\s]+\.[^@\s]+", "one such as 'ops@example.com', or null for none")
_STREAMING_UNITS = Valid(
    lambda units: units in (1, 3) or (units > 0 and units % 6 == 0), "1, 3 or a multiple of 6"
)
_DAYS = between(1, 99_999, ", or null for never")


@dataclass(frozen=True)
class ImageSettings(Settings):
    """``deploy.image``.

    Attributes
    ----------
    repository : str
        The image's name in its registry.
    tag : str or None
        None: the package's version and the commit.
    base : str
        The base image, with Python in it.

    Raises
    ------
    InputError
        When a name is not valid.
    """

    where: ClassVar[str] = "deploy.image"

    repository: Annotated[str, _REPOSITORY] = "batch-scoring"
    tag: Annotated[str | None, _TAG] = None
    base: str = "docker.io/library/python:3.12-slim"


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
        _require_wait("deploy.schedule", self.every, self.wait, "run")


@dataclass(frozen=True)
class RetrainSettings:
    """``deploy.retrain``: when all models are retrained."""

    every: timedelta = timedelta(days=7)
    wait: timedelta = timedelta(hours=6)
    enabled: bool = True

    def __post_init__(self) -> None:
        _require_wait("deploy.retrain", self.every, self.wait, "training")


@dataclass(frozen=True)
class SchedulerSettings:
    """``deploy.scheduler``: the container that submits jobs and waits for them, and what starts it.

    Attributes
    ----------
    kind : str
        ``container_app_job``: the cron of a job of Container Apps; ``logic_app``: a workflow, which makes a
        container group.
    """

    kind: Literal["container_app_job", "logic_app"] = "container_app_job"
    cpu: float = 1.0
    memory_gb: float = 2.0

    def __post_init__(self) -> None:
        # The limits of Container Instances in every region.
        checks = {"cpu": within(self.cpu, 0.1, 4), "memory_gb": within(self.memory_gb, 0.5, 16)}
        if self.kind == "container_app_job":
            memory = memory_of(self.cpu)
            checks = {
                "cpu": (is_size(self.cpu), SIZES),
                "memory_gb": (self.memory_gb == memory, f"{memory:g} with {self.cpu:g} cores: twice as many"),
            }
        require(self, "deploy.scheduler", checks)


@dataclass(frozen=True)
class EventHubSettings(Settings):
    """``deploy.event_hub``: where devices send their readings.

    Attributes
    ----------
    keys : bool
        Whether senders may sign in with a connection string, too.
    """

    where: ClassVar[str] = "deploy.event_hub"

    # The limits of the Standard tier.
    partitions: Annotated[int, between(1, 32)] = 4
    retention_days: Annotated[int, between(1, 7)] = 1
    throughput_units: Annotated[int, between(1, 40)] = 1
    capture: bool = False
    keys: bool = False


@dataclass(frozen=True)
class IotHubSettings:
    """``deploy.iot_hub``: an IoT Hub that devices send to, and that sends on to the event hub."""

    enabled: bool = False
    sku: Literal["S1", "S2", "S3"] = "S1"
    units: int = 1

    def __post_init__(self) -> None:
        # The service's limit of each size.
        most = 10 if self.sku == "S3" else 200
        require(self, "deploy.iot_hub", {"units": within(self.units, 1, most)})


@dataclass(frozen=True)
class StreamAnalyticsSettings(Settings):
    """``deploy.stream_analytics``: the job that makes windows of readings."""

    where: ClassVar[str] = "deploy.stream_analytics"

    enabled: bool = True
    streaming_units: Annotated[int, _STREAMING_UNITS] = 3


@dataclass(frozen=True)
class StorageSettings(Settings):
    """``deploy.storage``: the container with all data, and how long data is kept.

    Attributes
    ----------
    archive_after_days : int or None
        Days after which unchanged files of ``01_raw`` and ``02_intermediate`` move to a tier that costs
        less to keep and more to read; None: never.
    delete_logs_after_days : int or None
        Records of runs, ``09_jobs``; None: never.
    """

    where: ClassVar[str] = "deploy.storage"

    container: Annotated[str, _CONTAINER] = "batch-scoring"
    soft_delete_days: Annotated[int, between(1, 365)] = 7
    archive_after_days: Annotated[int | None, _DAYS] = 30
    delete_logs_after_days: Annotated[int | None, _DAYS] = 90


@dataclass(frozen=True)
class NodeSettings(PoolSettings):
    """``deploy.nodes``: the machines that score, of either compute; image and agent are of Azure Batch.

    Attributes
    ----------
    user, ssh_public_key : str
        Of Batch AI, which requires a login.
    registry_user : str or None
        Batch AI: the user that pulls the image; the password is the vault's secret ``registry-password``.
    file_server : bool
        Batch AI: an NFS server of the service's own beside the cluster.
    """

    where: ClassVar[str] = "deploy.nodes"

    user: str = "scoring"
    ssh_public_key: str | None = None
    registry_user: str | None = None
    file_server: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        key = self.ssh_public_key
        if key is not None and not re.match(r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+) \S+", key):
            raise InputError(
                "deploy.nodes.ssh_public_key: this is not a valid public key; expected one line such as "
                "'ssh-ed25519 AAAA… me', the content of a .pub file and never of the private one"
            )


@dataclass(frozen=True)
class ContainerAppsJobSettings(Settings):
    """``deploy.container_apps``: the job of Container Apps that scores; memory is twice its cores, in GiB."""

    where: ClassVar[str] = "deploy.container_apps"

    cpu: Annotated[float, SIZE] = 1.0


@dataclass(frozen=True)
class AlertSettings(Settings):
    """``deploy.alerts``: who is notified of a failed or a missing run; None: the portal only."""

    where: ClassVar[str] = "deploy.alerts"

    email: Annotated[str | None, _EMAIL] = None


@dataclass(frozen=True)
class DeployParameters(Settings):
    """``params:deploy``; see ``conf/base/parameters_deploy.yml``.

    Attributes
    ----------
    name : str
        Of the deployment; all resource names are derived from it, see :mod:`.names`.
    subscription, resource_group : str or None
        None: not known yet, which only offline commands accept; the group is ``rg-<name>`` then.
    compute : str
        ``azure_batch``, ``container_apps``, or ``batch_ai``, the service of 2018.
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

    where: ClassVar[str] = "deploy"

    name: Annotated[str, _NAME] = "batchscore"
    subscription: Annotated[str | None, _SUBSCRIPTION] = None
    resource_group: str | None = None
    location: Annotated[str, _LOCATION] = "westeurope"
    compute: Literal["azure_batch", "container_apps", "batch_ai"] = "azure_batch"
    tracking_uri: str | None = None
    log_retention_days: Annotated[int, between(30, 730)] = 30
    arm_endpoint: str = "https://management.azure.com"
    image: ImageSettings = field(default_factory=ImageSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    event_hub: EventHubSettings = field(default_factory=EventHubSettings)
    iot_hub: IotHubSettings = field(default_factory=IotHubSettings)
    stream_analytics: StreamAnalyticsSettings = field(default_factory=StreamAnalyticsSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    nodes: NodeSettings = field(default_factory=NodeSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    container_apps: ContainerAppsJobSettings = field(default_factory=ContainerAppsJobSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compute == "batch_ai" and self.nodes.ssh_public_key is None:
            raise InputError(
                "deploy.nodes.ssh_public_key: this setting is missing; Batch AI creates no nodes without it, "
                "expected the content of a .pub file"
            )
        if self.network.is_private:
            self._require_private()
        if self.scheduler.kind == "container_app_job":
            cron(self.schedule.every, "deploy.schedule.every")
            if self.is_retraining:
                cron(self.retrain.every, "deploy.retrain.every")
        _require_url("deploy.arm_endpoint", self.arm_endpoint, ("https",))
        if self.tracking_uri is not None:
            _require_url("deploy.tracking_uri", self.tracking_uri, ("https", "http"))

    def _require_private(self) -> None:
        if self.compute == "batch_ai":
            raise InputError(
                "deploy.network.access: 'private' is not valid with deploy.compute 'batch_ai', whose nodes "
                "have no private endpoints; expected 'public', or deploy.compute 'azure_batch'"
            )
        if self.compute == "container_apps" or self.scheduler.kind == "container_app_job":
            raise InputError(
                "deploy.network.access: 'private' is not valid with Container Apps, which are not in the "
                "network; expected 'public', or deploy.scheduler.kind 'logic_app' and deploy.compute "
                "'azure_batch'"
            )
        if self.nodes.max_nodes > self.network.most_nodes:
            raise InputError(
                f"deploy.network.addresses: {self.network.addresses!r} has addresses for "
                f"{self.network.most_nodes} nodes, and deploy.nodes.max_nodes is {self.nodes.max_nodes}; "
                "expected a wider range, or fewer nodes"
            )

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


def _require_wait(where: str, every: timedelta, wait: timedelta, what: str) -> None:
    recurrence(every, f"{where}.every")
    if not timedelta(0) < wait < every:
        raise InputError(
            f"{where}.wait: {short_text(wait)} is not between 0 and {where}.every ({short_text(every)}); "
            f"one {what} has to end before the next begins"
        )


def _require_url(where: str, url: str, schemes: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or parts.query:
        raise InputError(
            f"{where}: this is not valid; expected {' or '.join(f'{s}://HOST' for s in schemes)}, without a "
            "password in it"
        )
