"""Locate the MLflow store of a dataset: a database beside the data, or a tracking server.

What tracks is imported where it is used: an hour of scores tracks nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.storage import is_remote, join

if TYPE_CHECKING:
    from batch_scoring.registry.tracking import Store


class TrackingPlace:
    """An MLflow store, not opened yet: that of the environment, else ``tracking_uri``, else one in ``path``.

    Parameters
    ----------
    path : str
        Folder of the models, whose ``mlflow/`` has the database and its artifacts: a local path, or a URL.
    tracking_uri : str, optional
        ``sqlite:///…`` or ``http…`` instead of that database.

    Attributes
    ----------
    named : str
        ``sqlite:///…`` or ``http…``; empty when the data lies behind a URL and no server is named.
    """

    def __init__(self, path: str, tracking_uri: str | None) -> None:
        database = "" if is_remote(path) else f"sqlite:///{join(path, 'mlflow')}/mlflow.db"
        self.path = str(path)
        self.named = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri or database

    @property
    def uri(self) -> str:
        """Return the tracking URI.

        Raises
        ------
        InputError
            When the data lies behind a URL and no server is named, or the database is gone while the models
            that it numbered are there.
        """
        if not self.named:
            raise InputError(
                f"{self.path}: an MLflow database cannot lie in a container or bucket; name a tracking "
                "server in MLFLOW_TRACKING_URI"
            )
        from batch_scoring.registry.tracking import require_intact

        require_intact(self.named, self._artifacts)
        return self.named

    def connect(self, experiment: str) -> Store:
        """Open the store, and create it if missing; runs that killed processes left open are closed."""
        from batch_scoring.registry.tracking import close_orphaned_runs, connect

        store = connect(self.uri, self._artifacts, experiment)
        close_orphaned_runs(store)
        return store

    @property
    def _artifacts(self) -> str:
        """Return the folder of a database's artifacts, beside it; a server has its own."""
        if not is_remote(self.path):
            return join(self.path, "mlflow", "artifacts")
        return f"{self.named.removeprefix('sqlite:///').rpartition('/')[0]}/artifacts"
