"""The settings of ``kedro deploy``: what is deployed, where, and how big; calls nothing of Azure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import Check, read_parameters, require, within
from batch_scoring.deploy.durations import cron, recurrence, short_text
from batch_scoring.deploy.network_settings import NetworkSettings
from batch_scoring.jobs.backends.azure_batch.settings import PoolSettings
from batch_scoring.jobs.backends.container_apps.settings import SIZES, is_size, memory_of

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_REPOSITORY = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class ImageSettings:
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

    repository: str = "batch-scoring"
    tag: str | None = None
    base: str = "docker.io/library/python:3.12-slim"

    def __post_init__(self) -> None:
        checks = {
            "repository": (
                _REPOSITORY.fullmatch(self.repository) is not None,
                "lower-case letters and digits, separated by one of . _ - /",
            ),
            "tag": (
                self.tag is None or _TAG.fullmatch(self.tag) is not None,
                "1 to 128 letters, digits, . _ and -, no . or - first",
            ),
        }
        require(self, "deploy.image", checks)


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
class EventHubSettings:
    """``deploy.event_hub``: where devices send their readings.

    Attributes
    ----------
    keys : bool
        Whether senders may sign in with a connection string, too.
    """

    partitions: int = 4
    retention_days: int = 1
    throughput_units: int = 1
    capture: bool = False
    keys: bool = False

    def __post_init__(self) -> None:
        # The limits of the Standard tier.
        checks = {
            "partitions": within(self.partitions, 1, 32),
            "retention_days": within(self.retention_days, 1, 7),
            "throughput_units": within(self.throughput_units, 1, 40),
        }
        require(self, "deploy.event_hub", checks)


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
class StreamAnalyticsSettings:
    """``deploy.stream_analytics``: the job that makes windows of readings."""

    enabled: bool = True
    streaming_units: int = 3

    def __post_init__(self) -> None:
        units = self.streaming_units
        is_valid = units in (1, 3) or (units > 0 and units % 6 == 0)
        require(self, "deploy.stream_analytics", {"streaming_units": (is_valid, "1, 3 or a multiple of 6")})


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
        container = re.fullmatch(r"[a-z0-9](-?[a-z0-9]){2,62}", self.container)
        checks = {
            "container": (
                container is not None and len(self.container) <= 63,
                "3 to 63 lower-case letters, digits and single '-' between them",
            ),
            "soft_delete_days": within(self.soft_delete_days, 1, 365),
            "archive_after_days": _days_or_null(self.archive_after_days),
            "delete_logs_after_days": _days_or_null(self.delete_logs_after_days),
        }
        require(self, "deploy.storage", checks)


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
class ContainerAppsJobSettings:
    """``deploy.container_apps``: the job of Container Apps that scores; memory is twice its cores, in GiB."""

    cpu: float = 1.0

    def __post_init__(self) -> None:
        require(self, "deploy.container_apps", {"cpu": (is_size(self.cpu), SIZES)})


@dataclass(frozen=True)
class AlertSettings:
    """``deploy.alerts``: who is notified of a failed or a missing run; None: the portal only."""

    email: str | None = None

    def __post_init__(self) -> None:
        is_valid = self.email is None or re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.email) is not None
        require(
            self, "deploy.alerts", {"email": (is_valid, "one such as 'ops@example.com', or null for none")}
        )


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

    name: str = "batchscore"
    subscription: str | None = None
    resource_group: str | None = None
    location: str = "westeurope"
    compute: Literal["azure_batch", "container_apps", "batch_ai"] = "azure_batch"
    tracking_uri: str | None = None
    log_retention_days: int = 30
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
        checks = {
            "name": (
                re.fullmatch(r"[a-z](-?[a-z0-9]){1,13}", self.name) is not None and len(self.name) <= 14,
                "2 to 14 lower-case letters, digits and single '-' between them, a letter first",
            ),
            "subscription": (
                self.subscription is None or _GUID.fullmatch(self.subscription) is not None,
                "the 'id' that `az account show` prints",
            ),
            "location": (
                re.fullmatch(r"[a-z0-9]+", self.location) is not None,
                "a region of `az account list-locations`, such as 'westeurope'",
            ),
            "log_retention_days": within(self.log_retention_days, 30, 730),
        }
        require(self, "deploy", checks)
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


def _days_or_null(days: int | None) -> Check:
    is_valid, expected = within(1 if days is None else days, 1, 99_999)
    return is_valid, f"{expected}, or null for never"


def _require_url(where: str, url: str, schemes: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or parts.query:
        raise InputError(
            f"{where}: this is not valid; expected {' or '.join(f'{s}://HOST' for s in schemes)}, without a "
            "password in it"
        )
