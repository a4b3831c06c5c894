"""Open the engine that the settings name, importing only that one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.base import Backend

if TYPE_CHECKING:
    # It reads the settings of each engine, which lie in this package.
    from batch_scoring.jobs.settings import JobsParameters


def open_backend(data: str, env: str | None, settings: JobsParameters, project: Path) -> Backend:
    """Open the engine ``jobs.backend``, without connecting.

    Parameters
    ----------
    data : str
        The workspace.
    env : str or None
        Kedro's configuration environment, for the jobs too.
    settings : JobsParameters
    project : Path
        The folder with ``conf/``.

    Raises
    ------
    InputError
        When there is no such engine.
    """
    if settings.backend == "local":
        from batch_scoring.jobs.backends.local import LocalBackend

        return LocalBackend(data, env, settings, project)
    if settings.backend == "dask":
        from batch_scoring.jobs.backends.dask.backend import DaskBackend

        return DaskBackend(data, env, settings, project)
    if settings.backend == "azure_batch":
        from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend

        return AzureBatchBackend(data, env, settings)
    if settings.backend == "batch_ai":
        from batch_scoring.jobs.backends.batch_ai.backend import BatchAIBackend

        return BatchAIBackend(data, env, settings)
    raise InputError(f"jobs.backend: {settings.backend!r} is not valid; see docs/reference/parameters.md")
