"""Evaluations in MLflow: one run each, beside the runs of the trainings."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from batch_scoring.datasets.tracking_place import TrackingPlace
from batch_scoring.registry import tracking
from batch_scoring.registry.evaluation import TrackedEvaluation


class EvaluationRuns(AbstractDataset[TrackedEvaluation, None]):
    """Write-only: ``save`` logs a :class:`TrackedEvaluation` as an MLflow run, once.

    Parameters
    ----------
    path : str
        Folder of the local MLflow database and its artifacts (``mlflow/``). Where it is a URL of Blob
        Storage, there is no database: name a tracking server.
    tracking_uri : str, optional
        ``sqlite:///…`` or ``http…`` instead of that database. ``MLFLOW_TRACKING_URI`` in the
        environment wins.
    experiment : str
        MLflow experiment of the runs.
    """

    def __init__(
        self,
        path: str,
        tracking_uri: str | None = None,
        experiment: str = "batch_scoring",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = TrackingPlace.beside(path, tracking_uri)
        self._experiment = experiment
        self.metadata = metadata

    def load(self) -> None:
        """Raise: nobody reads them but MLflow."""
        raise DatasetError("evaluation runs are write only; look at them with `make mlflow`")

    def save(self, data: TrackedEvaluation) -> None:
        """Log the evaluation, unless a run has it already."""
        store = tracking.connect(self._place.uri, self._place.artifacts, self._experiment)
        tracking.close_orphaned_runs(store)
        tracking.log_evaluation(store, data)

    def _describe(self) -> dict[str, Any]:
        return {"tracking_uri": self._place.named}
