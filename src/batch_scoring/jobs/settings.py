"""The settings of ``kedro jobs``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from batch_scoring.core.parameters import require
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings
from batch_scoring.jobs.backends.container_apps.settings import ContainerAppsSettings
from batch_scoring.jobs.backends.dask.settings import DaskSettings
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.planning import Sharding


@dataclass(frozen=True)
class LocalSettings:
    """``jobs.local``; see ``conf/base/parameters_jobs.yml``."""

    processes: int | None = None

    def __post_init__(self) -> None:
        is_valid = self.processes is None or self.processes >= 1
        require(self, "jobs.local", {"processes": (is_valid, "1 or more, or null")})


@dataclass(frozen=True)
class JobsParameters:
    """``params:jobs``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    backend: Literal["local", "dask", "batch_ai", "azure_batch", "container_apps"] = "local"
    every: timedelta = timedelta(hours=1)
    catch_up: int = 24
    max_wall_time: timedelta = timedelta(minutes=50)
    retries: int = 2
    wait_for_nodes: timedelta = timedelta(minutes=30)
    sharding: Sharding = field(default_factory=Sharding)
    local: LocalSettings = field(default_factory=LocalSettings)
    dask: DaskSettings = field(default_factory=DaskSettings)
    costs: CostSettings = field(default_factory=CostSettings)
    azure_batch: AzureBatchSettings = field(default_factory=AzureBatchSettings)
    container_apps: ContainerAppsSettings = field(default_factory=ContainerAppsSettings)
    batch_ai: BatchAISettings = field(default_factory=BatchAISettings)

    def __post_init__(self) -> None:
        checks = {
            "every": (self.every > timedelta(0), "a duration, such as '1h'"),
            "max_wall_time": (self.max_wall_time > timedelta(0), "a duration, such as '50m'"),
            "wait_for_nodes": (self.wait_for_nodes > timedelta(0), "a duration, such as '30m'"),
            "catch_up": (self.catch_up >= 0, "0 or more"),
            "retries": (self.retries >= 0, "0 or more"),
        }
        require(self, "jobs", checks)
