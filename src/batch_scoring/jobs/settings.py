"""The settings of ``kedro jobs``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from batch_scoring.core.parameters import Settings, at_least, positive
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings
from batch_scoring.jobs.backends.container_apps.settings import ContainerAppsSettings
from batch_scoring.jobs.backends.dask.settings import DaskSettings
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.planning import Sharding


@dataclass(frozen=True)
class LocalSettings(Settings):
    """``jobs.local``; see ``conf/base/parameters_jobs.yml``."""

    where: ClassVar[str] = "jobs.local"

    processes: Annotated[int | None, at_least(1, ", or null")] = None


@dataclass(frozen=True)
class JobsParameters(Settings):
    """``params:jobs``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = "jobs"

    backend: Literal["local", "dask", "batch_ai", "azure_batch", "container_apps"] = "local"
    every: Annotated[timedelta, positive("1h")] = timedelta(hours=1)
    catch_up: Annotated[int, at_least(0)] = 24
    max_wall_time: Annotated[timedelta, positive("50m")] = timedelta(minutes=50)
    retries: Annotated[int, at_least(0)] = 2
    wait_for_nodes: Annotated[timedelta, positive("30m")] = timedelta(minutes=30)
    sharding: Sharding = field(default_factory=Sharding)
    local: LocalSettings = field(default_factory=LocalSettings)
    dask: DaskSettings = field(default_factory=DaskSettings)
    costs: CostSettings = field(default_factory=CostSettings)
    azure_batch: AzureBatchSettings = field(default_factory=AzureBatchSettings)
    container_apps: ContainerAppsSettings = field(default_factory=ContainerAppsSettings)
    batch_ai: BatchAISettings = field(default_factory=BatchAISettings)
