"""The settings of the engine ``dask``."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.core.errors import InputError


@dataclass(frozen=True)
class DaskSettings:
    """``jobs.dask``; see ``conf/base/parameters_jobs.yml``.

    Raises
    ------
    InputError
        When a setting is not valid.
    """

    scheduler: str | None = None
    workers: int | None = None
    threads: int = 1
    project: str | None = None

    def __post_init__(self) -> None:
        if self.scheduler is not None and "://" not in self.scheduler:
            raise InputError(
                f"jobs.dask.scheduler: {self.scheduler!r} is not valid; expected an address such as "
                "'tcp://10.0.0.4:8786', or null for workers on this machine"
            )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"jobs.dask.workers: must be 1 or more, or null; got {self.workers}")
        if self.threads < 1:
            raise InputError(f"jobs.dask.threads: must be 1 or more, got {self.threads}")
