"""The settings of ``kedro deploy``: what is deployed, where, and how big; calls nothing of Azure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.image.settings import ImageSettings
from batch_scoring.deploy.setting_groups import (
    AlertSettings,
    EventHubSettings,
    NodeSettings,
    RetrainSettings,
    SchedulerSettings,
    ScheduleSettings,
    StorageSettings,
    StreamAnalyticsSettings,
    require_between,
)

COMPUTES = ("azure_batch", "batch_ai")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


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
