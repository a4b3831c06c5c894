"""The client of Batch AI with bounded patience, and the making of what jobs need: workspace to experiment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.mgmt.batchai import BatchAI, models

from batch_scoring.cloud.retry import BoundedRetry
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.batch_ai import requests
from batch_scoring.jobs.backends.batch_ai.errors import clear_errors, errors_of
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings

log = logging.getLogger(__name__)

# Until something that another scheduler is making must be there.
_MAKING_SECONDS = 900.0


def connect(settings: BatchAISettings, credential: Any = None, **options: Any) -> BatchAI:
    """A client; nothing is asked yet.

    Parameters
    ----------
    settings : BatchAISettings
    credential : token credential, optional
        Else ``DefaultAzureCredential``.
    **options
        Of the SDK's pipeline.
    """
    if credential is None:
        from azure.identity import DefaultAzureCredential

        credential = DefaultAzureCredential()
    return BatchAI(
        credential,
        settings.subscription,
        base_url=settings.endpoint,
        polling_interval=settings.poll_seconds,
        **({"retry_policy": BoundedRetry()} | options),
    )


class Resources:
    """What there has to be before jobs, made where it is not there yet.

    Two schedulers may do so at once: the one that is told of a conflict waits for what the other one makes.
    """

    def __init__(self, client: BatchAI, settings: BatchAISettings) -> None:
        self._client, self._settings = client, settings
        self._place = (settings.resource_group, settings.workspace)

    def ensure_workspace(self) -> None:
        """The workspace."""
        operations = self._client.workspaces
        self._ensure(
            f"workspace {self._settings.workspace!r}",
            lambda: operations.get(*self._place),
            lambda: operations.begin_create(*self._place, requests.workspace(self._settings)),
        )

    def ensure_file_server(self) -> None:
        """The file server, if there is to be one."""
        name = self._settings.file_server.name
        if name is not None:
            operations = self._client.file_servers
            self._ensure(
                f"file server {name!r}",
                lambda: self._file_server(name),
                lambda: operations.begin_create(*self._place, name, requests.file_server(self._settings)),
            )

    def _file_server(self, name: str) -> models.FileServer:
        """One of them. The SDK forgot ``get`` for this kind of resource, so they are listed."""
        for there in self._client.file_servers.list_by_workspace(*self._place):
            if there.name.lower() == name.lower():
                return there
        raise ResourceNotFoundError(f"there is no file server {name!r}")

    def ensure_cluster(self) -> None:
        """The cluster; one that is there gets the limits of the settings and stays as it is otherwise."""
        name, operations = self._settings.cluster.name, self._client.clusters
        there = self._ensure(
            f"cluster {name!r}",
            lambda: operations.get(*self._place, name),
            lambda: operations.begin_create(*self._place, name, requests.cluster(self._settings)),
        )
        wanted = requests.scale(self._settings.cluster)
        if not requests.same_scale(there.scale_settings, wanted):
            with clear_errors(f"cluster {name!r}", self._settings):
                operations.update(*self._place, name, models.ClusterUpdateParameters(scale_settings=wanted))
        if told := errors_of(there.errors):
            log.warning("Batch AI, cluster %r: %s", name, told)

    def ensure_experiment(self, run: str) -> None:
        """The experiment that holds the jobs of a run."""
        operations = self._client.experiments
        self._ensure(
            f"experiment {run!r}",
            lambda: operations.get(*self._place, run),
            lambda: operations.begin_create(*self._place, run),
        )

    def _ensure(self, what: str, get: Callable[[], Any], create: Callable[[], Any]) -> Any:
        """What is there, or was made here or meanwhile by somebody else."""
        give_up = time.monotonic() + _MAKING_SECONDS
        with clear_errors(what, self._settings):
            while time.monotonic() < give_up:
                try:
                    there = get()
                except ResourceNotFoundError:
                    self._create(create)
                    continue
                if there.provisioning_state not in ("creating", "updating", "deleting"):
                    return self._checked(what, there)
                time.sleep(max(self._settings.poll_seconds, 0.05))
        raise InputError(
            f"Batch AI, {what}: is not ready after {_MAKING_SECONDS:,.0f} s; see it in the portal"
        )

    def _create(self, create: Callable[[], Any]) -> None:
        """Make it, or find that somebody else is making it."""
        try:
            create().wait()
        except ResourceExistsError as conflict:
            if "quota" in str(conflict.message).lower():
                raise
            time.sleep(max(self._settings.poll_seconds, 0.05))

    def _checked(self, what: str, there: Any) -> Any:
        if there.provisioning_state == "failed":
            told = errors_of(getattr(there, "errors", None)) or "no more is told"
            raise InputError(f"Batch AI, {what}: could not be made ({told}); delete it and submit again")
        return there
