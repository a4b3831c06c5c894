"""Open the engine that the settings name, importing only that one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.core.processes import require_process_groups
from batch_scoring.jobs.backends.base import Backend

if TYPE_CHECKING:
    # It reads the settings of each engine, which lie in this package.
    from batch_scoring.jobs.settings import JobsParameters


def open_backend(name: str, data: str, env: str | None, settings: JobsParameters, project: Path) -> Backend:
    """Open an engine by its name, without connecting.

    Parameters
    ----------
    name : str
        As ``jobs.backend`` has it.
    data : str
        The workspace.
    env : str or None
        Kedro's configuration environment, for the jobs too.
    project : Path
        The folder with ``conf/``.

    Raises
    ------
    InputError
        When there is no such engine.
    """
    if name in ("local", "dask"):
        require_process_groups(f"jobs.backend: {name}")
    if name == "local":
        from batch_scoring.jobs.backends.local import LocalBackend

        return LocalBackend(data, env, settings, project)
    if name == "dask":
        from batch_scoring.jobs.backends.dask.backend import DaskBackend

        return DaskBackend(data, env, settings, project)
    if name == "azure_batch":
        from batch_scoring.jobs.backends.azure_batch.backend import AzureBatchBackend

        return AzureBatchBackend(data, env, settings)
    if name == "container_apps":
        from batch_scoring.jobs.backends.container_apps.backend import ContainerAppsBackend

        return ContainerAppsBackend(data, env, settings)
    if name == "batch_ai":
        from batch_scoring.jobs.backends.batch_ai.backend import BatchAIBackend

        return BatchAIBackend(data, env, settings)
    raise InputError(f"jobs.backend: {name!r} is not valid; see docs/reference/parameters.md")
