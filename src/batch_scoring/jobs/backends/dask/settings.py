"""The settings of the engine ``dask``."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.core.parameters import require


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
        checks = {
            "scheduler": (
                self.scheduler is None or "://" in self.scheduler,
                "an address such as 'tcp://10.0.0.4:8786', or null for workers on this machine",
            ),
            "workers": (self.workers is None or self.workers >= 1, "1 or more, or null"),
            "threads": (self.threads >= 1, "1 or more"),
        }
        require(self, "jobs.dask", checks)
