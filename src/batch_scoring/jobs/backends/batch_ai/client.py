"""Create the client of Batch AI with its retry policy, and the resources that jobs need."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.mgmt.batchai import BatchAI, models

from batch_scoring.cloud.credentials import token_credential
from batch_scoring.cloud.retry import BoundedRetry
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends.batch_ai import requests
from batch_scoring.jobs.backends.batch_ai.errors import clear_errors, errors_of
from batch_scoring.jobs.backends.batch_ai.settings import BatchAISettings

log = logging.getLogger(__name__)

# Timeout for a resource that another scheduler is creating.
_MAKING_SECONDS = 900.0


def connect(settings: BatchAISettings, credential: Any = None, **options: Any) -> BatchAI:
    """Create a client, without sending a request.

    Parameters
    ----------
    settings : BatchAISettings
    credential : token credential, optional
        Default: ``DefaultAzureCredential``.
    **options
        Of the SDK's pipeline.
    """
    return BatchAI(
        token_credential(credential),
        settings.subscription,
        base_url=settings.endpoint,
        polling_interval=settings.poll_seconds,
        **({"retry_policy": BoundedRetry()} | options),
    )


class Resources:
    """Resources that jobs need, created where missing.

    Two schedulers may do so at once: the one that gets a conflict waits for the other's resource.
    """

    def __init__(self, client: BatchAI, settings: BatchAISettings) -> None:
        self._client, self._settings = client, settings
        self._place = (settings.resource_group, settings.workspace)

    def ensure_workspace(self) -> None:
        """Create the workspace unless it exists."""
        operations = self._client.workspaces
        self._ensure(
            f"workspace {self._settings.workspace!r}",
            lambda: operations.get(*self._place),
            lambda: operations.begin_create(*self._place, requests.workspace(self._settings)),
        )

    def ensure_file_server(self) -> None:
        """Create the configured file server unless it exists."""
        name = self._settings.file_server.name
        if name is not None:
            operations = self._client.file_servers
            self._ensure(
                f"file server {name!r}",
                lambda: self._file_server(name),
                lambda: operations.begin_create(*self._place, name, requests.file_server(self._settings)),
            )

    def _file_server(self, name: str) -> models.FileServer:
        """Find a file server in the listing, as the SDK has no ``get`` for them."""
        for there in self._client.file_servers.list_by_workspace(*self._place):
            if there.name.lower() == name.lower():
                return there
        raise ResourceNotFoundError(f"there is no file server {name!r}")

    def ensure_cluster(self) -> None:
        """Create the cluster, or set the scaling of an existing one to the settings."""
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
        if reported := errors_of(there.errors):
            log.warning("Batch AI, cluster %r: %s", name, reported)

    def ensure_experiment(self, run: str) -> None:
        """Create the experiment that holds the jobs of a run unless it exists."""
        operations = self._client.experiments
        self._ensure(
            f"experiment {run!r}",
            lambda: operations.get(*self._place, run),
            lambda: operations.begin_create(*self._place, run),
        )

    def _ensure(self, what: str, get: Callable[[], Any], create: Callable[[], Any]) -> Any:
        """Return the resource, after creating it or waiting for another scheduler's."""
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
        """Create it, or find that another scheduler is creating it."""
        try:
            create().wait()
        except ResourceExistsError as conflict:
            if "quota" in str(conflict.message).lower():
                raise
            time.sleep(max(self._settings.poll_seconds, 0.05))

    def _checked(self, what: str, there: Any) -> Any:
        if there.provisioning_state == "failed":
            reported = errors_of(getattr(there, "errors", None)) or "no details"
            raise InputError(f"Batch AI, {what}: creation failed ({reported}); delete it and submit again")
        return there
