"""Datasets of fleet models: versions in MLflow, and champions published to the scoring jobs.

What tracks is imported where it is used: an hour of scores tracks nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from batch_scoring.core.moments import DAY_US
from batch_scoring.core.redaction import without_keys
from batch_scoring.core.text import number
from batch_scoring.datasets.entries import Config, Loads, open_entries
from batch_scoring.datasets.own import OwnDataset, require_kind
from batch_scoring.datasets.tracking_place import TrackingPlace
from batch_scoring.registry.evaluation import TrackedEvaluation
from batch_scoring.registry.interrupted import warn_of_interrupted_promotions
from batch_scoring.registry.published import Champion, InService, list_published
from batch_scoring.registry.staged import PreviousVersion, StagedTrainings
from batch_scoring.storage import join, open_folder
from batch_scoring.storage.row_table import Look
from batch_scoring.training.result import PROMOTED, Training

if TYPE_CHECKING:
    from kedro_datasets._typing import TablePreview

    from batch_scoring.registry.tracking import Store, TrackedVersion, TrainingRun

log = logging.getLogger(__name__)

# The days of each sensor and version, with their figures.
Figures = Iterable[tuple[tuple[str, str], list[tuple[int, dict[str, float]]]]]
Logged = TypeVar("Logged")
# A sensor may be scored this much later than the others.
_LATE_US = 7 * DAY_US


class TrackedFleetModels(
    OwnDataset[dict[str, Training] | Look[Any], dict[str, Callable[[], "TrackedVersion | PreviousVersion"]]]
):
    """The fleet models in MLflow: one registered model a sensor, one version a training.

    ``load`` gives ``{sensor: function that loads the champion}``, or its newest version where
    there is no champion. ``save`` takes ``{sensor: Training}`` and may be called many times; the
    first call of them that makes a version opens one MLflow run, and ``confirm``, which Kedro
    calls after the node that ``confirms`` this dataset, ends it. A :class:`.Look` sees what this
    class loads. A training whose fingerprint a version has already makes no second one: a ``train``
    that was killed and is repeated ends in the same versions and the same published tables.

    Parameters
    ----------
    path : str
        Folder of the local MLflow database, its artifacts (``mlflow/``) and the published models
        (``published/``). Where it is a URL, there is no database: name a tracking server.
    tracking_uri : str, optional
        ``sqlite:///…`` or ``http…`` instead of that database. ``MLFLOW_TRACKING_URI`` in the
        environment wins.
    experiment : str
        MLflow experiment of the training runs.
    promote : bool
        Whether a new version becomes the champion and is published at once, unless its training decided
        otherwise.
    child_runs_up_to : int
        A sensor with at most this many trained devices gets a child run for each of them. Their numbers are
        in the run's tables anyway.
    staged : str, optional
        The folder of a run of jobs: trainings are laid down there and not registered, and the versions
        before are the champions when the run was planned. No tracking server is needed.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(
        self,
        path: str,
        tracking_uri: str | None = None,
        experiment: str = "batch_scoring",
        promote: bool = True,
        child_runs_up_to: int = 0,
        staged: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._place = TrackingPlace(path, tracking_uri)
        self.published = open_folder(join(path, "published"), self._credentials)
        self._experiment = experiment
        self.promote = promote
        self._child_runs_up_to = child_runs_up_to
        self._store: Store | None = None
        self._run: TrainingRun | None = None
        self._prepared: Future[None] | None = None
        self._staged = StagedTrainings(staged, self._credentials) if staged else None

    @property
    def tracking_uri(self) -> str:
        """Return the tracking URI; raises InputError, see :class:`TrackingPlace`."""
        return self._place.uri

    @property
    def store(self) -> Store:
        """Open the MLflow store at the first use, and create it if missing."""
        if self._store is None:
            if self._prepared is not None:
                wait([self._prepared])
            self._store = self._place.connect(self._experiment)
        return self._store

    def load(self) -> dict[str, Callable[[], TrackedVersion | PreviousVersion]]:
        """Return the trained sensors, each with a function that loads its champion."""
        from batch_scoring.registry import tracking

        if self._staged is not None:
            found = self._staged.previous(self.published)
            return {sensor: partial(found.__getitem__, sensor) for sensor in found}
        if tracking.is_new_store(self.tracking_uri):
            return {}
        store = self.store
        return {one: partial(tracking.load_in_force, store, one) for one in tracking.list_sensors(store)}

    def save(self, data: dict[str, Training] | Look[Any]) -> None:
        """Register each training as a version, promoted if the dataset has ``promote``."""
        from batch_scoring.registry import tracking

        if isinstance(data, Look):
            data(TrackedFleetModels.load(self))
            data = {}
        require_kind(data, dict, "a mapping of sensors to trainings, as the pipeline train makes it")
        if self._staged is not None:
            for training in data.values():
                self._staged.save(training)
            return
        if not data and tracking.is_new_store(self.tracking_uri) and self._prepared is None:
            # `train` begins with this. Its fits leave time to make what its first version will need.
            self._prepared = tracking.prepare(self.tracking_uri)
        for _, training in sorted(data.items()):
            self._save_training(training)

    def confirm(self) -> None:
        """End the MLflow run of these saves, and complete interrupted promotions."""
        from batch_scoring.registry import tracking

        if self._staged is not None:
            return
        if self.promote and not tracking.is_new_store(self.tracking_uri):
            tracking.complete_promotions(self.store, self.published)
        if self._run is not None:
            self._run.end("FINISHED")
            self._run = None

    def _save_training(self, training: Training) -> None:
        from batch_scoring.registry import tracking

        models = None
        with tracking.exclusive(self.store.uri):  # of two runs with the same training, one makes the version
            version = tracking.find_version(self.store, training.sensor, training.fingerprint)
            if version is None:
                if self._run is None or not self._run.is_open:
                    self._run = tracking.TrainingRun(self.store, self._child_runs_up_to)
                self._run.log(training)
                models = training.models
                version = tracking.register(self.store, self._run.run_id, training)
                n_models = number(models.n_models, "model")
                log.info("sensor %r: %s, version %s", version.sensor, n_models, version.version)
            else:
                log.info("sensor %r: nothing new, version %s stays", version.sensor, version.version)
        tracking.record_decision(self.store, version, training.decision)
        if self.promote and training.decision.verdict == PROMOTED:
            tracking.promote_trained(self.store, self.published, version, models)

    def _exists(self) -> bool:
        return bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"tracking_uri": without_keys(self._place.named), "published": self.published.path()}


class FleetModels(TrackedFleetModels):
    """The fleet models of the pipelines: `train` saves versions, `score` loads champions.

    ``save`` is that of :class:`TrackedFleetModels`. ``load`` gives what is published: a
    scoring job needs no tracking server and imports no MLflow.

    Parameters
    ----------
    pinned : dict of str to str, optional
        Of each sensor the published manifest to load, as :func:`~batch_scoring.registry.published.pin`
        names it; sensors that are not in it have no models. Default: today's champions of all sensors.
    entries : mapping of str to mapping, optional
        The entry ``calibrations`` of the catalog.
    **more
        Of :class:`TrackedFleetModels`.
    """

    def __init__(
        self,
        path: str,
        pinned: Mapping[str, str] | None = None,
        entries: Config | None = None,
        **more: Any,
    ) -> None:
        super().__init__(path, **more)
        self._pinned = pinned
        self._entries = open_entries(entries or {})

    def load(self) -> InService:  # type: ignore[override]
        """Return the sensors with a champion, each with a function that loads it, and the calibrations."""
        pins = self._pinned
        if pins is None:
            pins = dict.fromkeys(list_published(self.published), "")
            warn_of_interrupted_promotions(self.published)
        champions = {sensor: Champion(self.published, sensor, pin) for sensor, pin in pins.items()}
        return InService(champions, Loads(self._entries).get("calibrations"))

    def preview(self, nrows: int = 50) -> TablePreview:
        """Return the version that scores each sensor, for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_table

        manifests = [champion().manifest for _, champion in sorted(self.load().items())[:nrows]]
        columns = ("sensor", "version", "n_models", "window_seconds")
        return preview_table(pa.table({name: [getattr(one, name) for one in manifests] for name in columns}))


class LoggedRuns(OwnDataset[Logged, None]):
    """Write-only: runs in MLflow beside those of trainings.

    Parameters
    ----------
    path, tracking_uri, experiment
        See :class:`TrackedFleetModels`; the runs are logged beside its runs.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(
        self, path: str, tracking_uri: str | None = None, experiment: str = "batch_scoring", **more: Any
    ) -> None:
        super().__init__(**more)
        self._place = TrackingPlace(path, tracking_uri)
        self._experiment = experiment

    def _describe(self) -> dict[str, Any]:
        return {"tracking_uri": without_keys(self._place.named)}


class ServiceRuns(LoggedRuns[Callable[[int | None], "Figures"]]):
    """Write-only: the figures of versions in service, a run in MLflow each, a value a day.

    ``save`` takes a function of the time since which days may be missing, µs since the epoch, or None for
    all days. Only the days that a run does not have yet are logged.
    """

    def save(self, data: Callable[[int | None], Figures]) -> None:
        """Log the new days; nothing where no model was ever registered."""
        from batch_scoring.registry import tracking

        require_kind(data, Callable, "a function, as the pipeline track makes it")
        if tracking.is_new_store(self._place.uri):
            return
        store = self._place.connect(self._experiment)
        with tracking.exclusive(store.uri):
            found = tracking.service_runs(store)
            last = max((run.last for run in found.values()), default=None)
            n = tracking.log_service(store, found, data(None if last is None else last - _LATE_US))
        log.info("track: %s of versions in service added", number(n, "day"))

    def _exists(self) -> bool:
        """Nothing is ever missing: a run logs the days that are new, and there may be none."""
        return True


class EvaluationRuns(LoggedRuns[TrackedEvaluation]):
    """Write-only: ``save`` logs a :class:`TrackedEvaluation` as an MLflow run, once."""

    def save(self, data: TrackedEvaluation) -> None:
        """Log the evaluation, unless a run has it already."""
        from batch_scoring.registry import tracking

        require_kind(data, TrackedEvaluation, "a TrackedEvaluation, as the pipeline evaluate makes it")
        tracking.log_evaluation(self._place.connect(self._experiment), data)
