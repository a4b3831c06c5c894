"""Read what planning needs of a workspace: its sensors, their champions and devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.specs import JOBS_FOLDER
from batch_scoring.registry.published import list_published, load_published, pin
from batch_scoring.registry.staged import StagedTrainings
from batch_scoring.storage import join, open_folder
from batch_scoring.storage.row_table import RowTable

if TYPE_CHECKING:
    from batch_scoring.datasets.fleet_models import TrackedFleetModels

_READERS = 16  # of manifests at once


class Workspace:
    """The data of a fleet.

    Parameters
    ----------
    data : str
        A folder, or a URL.
    previous_models : callable, optional
        Opens the catalog's versions in MLflow; needed to plan trainings only.
    """

    def __init__(self, data: str, previous_models: Callable[[], TrackedFleetModels] | None = None) -> None:
        self._data, self._previous_models = data, previous_models
        self._published = open_folder(join(data, "06_models/published"))

    def sensors(self) -> list[str]:
        """List the sensors with windows, sorted as UTF-8 bytes; raises InputError when there are none."""
        windows = self._windows()
        if not windows.num_rows:
            raise InputError(
                f"{windows.folder.path()}: there are no windows yet; run "
                "`kedro run --pipelines=ingest,aggregate` first"
            )
        return windows.distinct("sensor")

    def keep_previous_models(self, run: str) -> None:
        """Store the current versions for the training jobs of a run, which ask no tracking server."""
        from batch_scoring.jobs.register import versions_in_force

        assert self._previous_models is not None, "planning a training needs the versions there are"
        previous_models = self._previous_models
        staged = StagedTrainings(join(self._data, JOBS_FOLDER, run))
        staged.keep_previous(lambda: versions_in_force(previous_models()))

    def pinned_models(self, sensors: Sequence[str]) -> dict[str, str]:
        """Return the pinned manifest of each of these sensors with a champion."""
        there = set(list_published(self._published))
        wanted = [sensor for sensor in sensors if sensor in there]
        with ThreadPoolExecutor(_READERS) as pool:
            return dict(
                zip(wanted, pool.map(lambda sensor: pin(self._published, sensor), wanted), strict=True)
            )

    def devices(self, sensor: str, pinned: str | None) -> list[str]:
        """List a sensor's devices with windows or a model, sorted as UTF-8 bytes."""
        windows = self._windows()
        found: set[str] = set()
        for file in windows.files(sensors=[sensor]):
            for batch in windows.batches(file, ["device"], [sensor]):
                found.update(batch["device"].unique().to_pylist())
        if pinned is not None:
            for part in load_published(self._published, sensor, pinned).models.parts():
                found.update(part.table["device"].to_pylist())
        return sorted(found, key=str.encode)

    def _windows(self) -> RowTable:
        return RowTable(open_folder(join(self._data, "03_primary/windows")), "window_start")
