"""The champions that the scoring jobs read, a sensor at a time; never written through the catalog."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from batch_scoring.publishing import PublishedModel, list_published, load_published


class PublishedModels(AbstractDataset[NoReturn, dict[str, Callable[[], PublishedModel]]]):
    """The published model of every sensor, as ``{sensor: function that loads it}``, sorted by sensor.

    A function raises ``InputError`` when the table is missing or damaged. Neither MLflow nor
    scikit-learn is imported. Models get here by promotion (``fleet_models``,
    ``kedro models promote``), so ``save`` raises.

    Parameters
    ----------
    path : str
        The folder that ``publishing.publish`` writes to.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], PublishedModel]]:
        """Tell the sensors there are, each with a function that loads its models."""
        return {sensor: partial(load_published, self._path, sensor) for sensor in list_published(self._path)}

    def save(self, data: NoReturn) -> None:
        """Raise: models are published by promoting a version."""
        raise DatasetError("published_models is read only: models are published by promoting a version")

    def _exists(self) -> bool:
        return bool(list_published(self._path))

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
