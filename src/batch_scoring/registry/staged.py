"""Stage trainings in files below a run, from the jobs that made them to the writer that registers them.

A job needs no tracking server: what it must know of earlier versions was recorded when the run was
planned, and its trainings are staged here until all jobs have ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.registry.published import Root, folder_named, load_published, sensors_with
from batch_scoring.storage import Folder, open_folder
from batch_scoring.storage.json_files import json_bytes, read_json
from batch_scoring.storage.parquet import open_parquet, save_parquet
from batch_scoring.tables.schemas import STATUS
from batch_scoring.training.result import Decision, Training, TrainingData

_STAGED, _PREVIOUS = "staged", "previous/versions.json"
# Beside a sensor's table of models: what else a training is, and which version it has become.
_TRAINING, _REGISTERED = "training.json", "registered.json"
_MEND = "submit the run again"


@dataclass(frozen=True)
class PreviousVersion:
    """The version of a sensor that was in force when a run was planned; ``train`` sees no difference.

    Attributes
    ----------
    decided : dict of str to (str, str)
        See :class:`batch_scoring.registry.tracking.TrackedVersion`.
    pinned : str
        The champion's manifest, as :func:`batch_scoring.registry.published.pin` names it.
    """

    version: str
    fingerprint: str
    is_champion: bool
    decided: dict[str, tuple[str, str]] = field(default_factory=dict)
    pinned: str = ""
    sensor: str = ""
    published: Root = ""

    @cached_property
    def models(self) -> FleetFile:
        """Load the champion's models, as published."""
        return load_published(self.published, self.sensor, self.pinned).models

    def to_json(self) -> dict[str, Any]:
        """Serialise to plain values, without what the path holds."""
        values = {name: getattr(self, name) for name in ("version", "fingerprint", "is_champion", "pinned")}
        return values | {"decided": {name: list(pair) for name, pair in self.decided.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], sensor: str, published: Root) -> PreviousVersion:
        """Read the values of :meth:`to_json`."""
        decided = {name: (pair[0], pair[1]) for name, pair in values["decided"].items()}
        return cls(**{**values, "decided": decided}, sensor=sensor, published=published)


class StagedTrainings:
    """The trainings of a run of jobs, in the folder of the run."""

    def __init__(self, run: Root, credentials: Mapping[str, Any] | None = None) -> None:
        self.run = open_folder(run, credentials)
        self.folder = self.run.below(_STAGED)

    def keep_previous(self, find: Callable[[], Mapping[str, PreviousVersion]]) -> None:
        """Record the versions in force, by sensor, unless recorded already: all jobs see the same."""
        if self.run.entry(_PREVIOUS) is not None:
            return
        values = {sensor: one.to_json() for sensor, one in find().items()}
        with suppress(ConflictError):
            self.run.replace(_PREVIOUS, json_bytes(values, sort_keys=True), None)

    def previous(self, published: Root) -> dict[str, PreviousVersion]:
        """Read the versions in force when the run was planned, by sensor.

        Raises
        ------
        InputError
            When they were not recorded.
        """
        found = read_json(self.run, _PREVIOUS, _MEND)
        if found is None:
            raise InputError(
                f"{self.run.path(_PREVIOUS)}: there is no such file, so this is not a run of training jobs; "
                "`kedro jobs submit --pipeline train` plans one"
            )
        return {
            sensor: PreviousVersion.from_json(values, sensor, published) for sensor, values in found.items()
        }

    def save(self, training: Training) -> None:
        """Stage a training, replacing an earlier one; its description is written last, so it is complete."""
        folder = self._of(training.sensor)
        with stopwatch.during("write"):
            name = training.models.sha256()[:16]
            if folder.entry(f"{name}.arrow") is None:
                folder.put(f"{name}.arrow", training.models.path)
            folder.entry(f"{name}.parquet")  # whichever is there is replaced
            save_parquet(folder, f"{name}.parquet", training.status)
            values = {
                "sensor": training.sensor,
                "files": name,
                "fingerprint": training.fingerprint,
                "parameters": training.parameters,
                "metrics": training.metrics,
                "decision": dataclasses.asdict(training.decision),
                "data": dataclasses.asdict(training.data) if training.data else None,
            }
            _replace(folder, _TRAINING, values)

    def sensors(self) -> list[str]:
        """List the sensors with a staged training, sorted as UTF-8 bytes."""
        return sensors_with(self.folder, _TRAINING)

    def load(self, sensor: str) -> Training:
        """Open a staged training; raises InputError when its files are missing or damaged."""
        folder = self._of(sensor)
        values = read_json(folder, _TRAINING, _MEND)
        name = values["files"]
        try:
            models = FleetFile(folder.local_copy(f"{name}.arrow"))
        except FileNotFoundError:
            raise InputError(
                f"{folder.path(name)}.arrow: the staged models of sensor {sensor!r} are missing; "
                "`kedro jobs submit --pipeline train` for another time trains them again"
            ) from None
        status: pa.Table = open_parquet(folder, f"{name}.parquet").read().cast(STATUS)
        return Training(
            models,
            status,
            values["fingerprint"],
            values["parameters"],
            values["metrics"],
            Decision(**values["decision"]),
            _data(values.get("data")),
        )

    def registered(self, sensor: str) -> str | None:
        """Return the version registered from a sensor's staged training; None: not registered yet."""
        folder = self._of(sensor)
        done, staged = read_json(folder, _REGISTERED, _MEND), read_json(folder, _TRAINING, _MEND)
        is_this = done is not None and staged is not None and done["fingerprint"] == staged["fingerprint"]
        return done["version"] if is_this else None

    def mark_registered(self, training: Training, version: str) -> None:
        """Record the version registered from a staged training."""
        values = {"fingerprint": training.fingerprint, "version": version}
        _replace(self._of(training.sensor), _REGISTERED, values)

    def _of(self, sensor: str) -> Folder:
        return folder_named(self.folder, sensor, _TRAINING)


def _data(values: Mapping[str, Any] | None) -> TrainingData | None:
    return TrainingData(**{**values, "features": tuple(values["features"])}) if values else None


def _replace(folder: Folder, name: str, values: Mapping[str, Any]) -> None:
    folder.entry(name)
    with folder.writing(name) as file:
        file.write(json_bytes(values, sort_keys=True))
