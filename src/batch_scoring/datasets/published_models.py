"""The champions that the scoring jobs read, a sensor at a time; never written through the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from kedro.io import AbstractDataset
from kedro.io.core import DatasetError

from batch_scoring.publishing import PublishedModel, list_published, load_published
from batch_scoring.storage import open_folder


class PublishedModels(AbstractDataset[NoReturn, dict[str, Callable[[], PublishedModel]]]):
    """The published model of every sensor, as ``{sensor: function that loads it}``, sorted by sensor.

    A function raises ``InputError`` when the table is missing or damaged. Neither MLflow nor
    scikit-learn is imported. Models get here by promotion (``fleet_models``,
    ``kedro models promote``), so ``save`` raises.

    Parameters
    ----------
    path : str
        The folder that ``publishing.publish`` writes to: local, or a URL of Blob Storage.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self,
        path: str,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = open_folder(path, credentials)
        self.metadata = metadata

    def load(self) -> dict[str, Callable[[], PublishedModel]]:
        """Tell the sensors there are, each with a function that loads its models."""
        sensors = list_published(self._folder)
        return {sensor: partial(load_published, self._folder, sensor) for sensor in sensors}

    def save(self, data: NoReturn) -> None:
        """Raise: models are published by promoting a version."""
        raise DatasetError("published_models is read only: models are published by promoting a version")

    def _exists(self) -> bool:
        return bool(list_published(self._folder))

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path()}
