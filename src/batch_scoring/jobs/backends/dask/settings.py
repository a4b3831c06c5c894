"""The settings of the engine ``dask``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from batch_scoring.core.parameters import Settings, at_least, like

_ADDRESS = like(r".*://.*", "an address such as 'tcp://10.0.0.4:8786', or null for workers on this machine")


@dataclass(frozen=True)
class DaskSettings(Settings):
    """``jobs.dask``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    where: ClassVar[str] = "jobs.dask"

    scheduler: Annotated[str | None, _ADDRESS] = None
    workers: Annotated[int | None, at_least(1, ", or null")] = None
    threads: Annotated[int, at_least(1)] = 1
    project: str | None = None
