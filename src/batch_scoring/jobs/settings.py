"""The settings of ``kedro jobs``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings
from batch_scoring.jobs.backends.dask.settings import DaskSettings
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.planning import Sharding

BACKENDS = ("local", "dask", "batch_ai", "azure_batch")


@dataclass(frozen=True)
class LocalSettings:
    """``jobs.local``; see ``conf/base/parameters_jobs.yml``."""

    processes: int | None = None

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise InputError(f"jobs.local.processes: must be 1 or more, or null; got {self.processes}")


@dataclass(frozen=True)
class JobsParameters:
    """``params:jobs``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    backend: str = "local"
    every: timedelta = timedelta(hours=1)
    catch_up: int = 24
    max_wall_time: timedelta = timedelta(minutes=50)
    retries: int = 2
    sharding: Sharding = field(default_factory=Sharding)
    local: LocalSettings = field(default_factory=LocalSettings)
    dask: DaskSettings = field(default_factory=DaskSettings)
    costs: CostSettings = field(default_factory=CostSettings)
    azure_batch: AzureBatchSettings = field(default_factory=AzureBatchSettings)
    batch_ai: BatchAISettings = field(default_factory=BatchAISettings)

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise InputError(
                f"jobs.backend: {self.backend!r} is not valid; expected one of {', '.join(BACKENDS)}"
            )
        for name in ("every", "max_wall_time"):
            if getattr(self, name) <= timedelta(0):
                raise InputError(f"jobs.{name}: must be longer than 0 s, such as '1h'")
        for name in ("catch_up", "retries"):
            if getattr(self, name) < 0:
                raise InputError(f"jobs.{name}: must be 0 or more, got {getattr(self, name)}")
