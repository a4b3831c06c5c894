"""Locate the MLflow store of a dataset: a database beside the data, or a tracking server."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scoring.core.errors import InputError
from batch_scoring.registry import tracking
from batch_scoring.storage import is_remote, join


@dataclass(frozen=True)
class TrackingPlace:
    """An MLflow store, not opened yet.

    Attributes
    ----------
    path : str
        Folder of the models: a local path, or a URL of Blob Storage.
    named : str
        ``sqlite:///…`` or ``http…``; empty when the data lies in Blob Storage and no server is named.
    """

    path: str
    named: str

    @classmethod
    def beside(cls, path: str, tracking_uri: str | None = None) -> TrackingPlace:
        """Return the store named in the environment, else ``tracking_uri``, else one in ``path``.

        Parameters
        ----------
        path : str
            Folder whose ``mlflow/`` has the database and its artifacts.
        tracking_uri : str, optional
            ``sqlite:///…`` or ``http…`` instead of that database.
        """
        database = "" if is_remote(path) else f"sqlite:///{join(path, 'mlflow')}/mlflow.db"
        return cls(str(path), tracking.effective_tracking_uri(tracking_uri or database))

    @property
    def uri(self) -> str:
        """Return the tracking URI.

        Raises
        ------
        InputError
            When the data lies in Blob Storage and no server is named, or the database is gone while the
            models that it numbered are there.
        """
        self._require_named()
        tracking.require_intact(self.named, self.artifacts)
        return self.named

    @property
    def artifacts(self) -> str:
        """Return the folder of a database's artifacts, beside it; a server has its own."""
        if not is_remote(self.path):
            return join(self.path, "mlflow", "artifacts")
        self._require_named()
        return f"{self.named.removeprefix('sqlite:///').rpartition('/')[0]}/artifacts"

    def _require_named(self) -> None:
        if not self.named:
            raise InputError(
                f"{self.path}: an MLflow database cannot lie in Blob Storage; name a tracking server in "
                "MLFLOW_TRACKING_URI"
            )
