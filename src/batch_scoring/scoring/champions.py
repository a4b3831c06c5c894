"""The champions of a run: each is opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.stand_ins import find_stand_ins, models_of_all_ids
from batch_scoring.plant.devices import Devices
from batch_scoring.registry.published import PublishedModel
from batch_scoring.tables.arrow_arrays import distinct, positions, strings, to_arrow, to_numpy

# The number of no models at all.
NO_MODELS = 1
NOTHING_DELETED: Mapping[str, int] = MappingProxyType({})
_LONG_AGO = -(2**62)


class Champions:
    """The champion of each sensor.

    Parameters
    ----------
    models : mapping of str to callable
        Each opens a sensor's champion.
    of_plant : Devices, optional
        An id without a model is scored by that of another id of its machine.
    deleted : mapping of str to int, optional
        When all readings of a device were deleted, microseconds since the epoch.
    """

    def __init__(
        self,
        models: Mapping[str, Callable[[], PublishedModel]],
        of_plant: Devices | None = None,
        deleted: Mapping[str, int] = NOTHING_DELETED,
    ) -> None:
        self._models = models
        self._deleted = dict(sorted(deleted.items()))
        self.of_plant = of_plant or Devices()
        self._opened: dict[str, PublishedModel | InputError] = {}

    def open(self, sensor: str) -> PublishedModel | None:
        """Return a sensor's champion; None where it has none.

        Raises
        ------
        InputError
            When it cannot be read.
        """
        if sensor not in self._models:
            return None
        if sensor not in self._opened:
            try:
                self._opened[sensor] = self._models[sensor]()
            except InputError as error:
                self._opened[sensor] = error
        found = self._opened[sensor]
        if isinstance(found, InputError):
            raise found
        return found

    def number(self, sensor: str) -> int | None:
        """Number the models of a sensor; None where they cannot be read."""
        try:
            found = self.open(sensor)
        except InputError:
            return None
        if found is None:
            return NO_MODELS
        written, sha256 = self.of_plant.fingerprint, found.manifest.sha256
        return number_of([sha256, written]) if written else number_of(sha256)

    def tables(self, published: PublishedModel) -> Iterator[pa.Table]:
        """Yield the models of a sensor by device, a few thousand at a time."""
        return models_of_all_ids(published.models, self.of_plant)

    def stand_ins(self, sensor: str) -> dict[str, str]:
        """Find the device whose model each id of this sensor has that has none itself."""
        found = self.open(sensor)
        return find_stand_ins(found.models, self.of_plant) if found else {}

    def devices(self, sensor: str) -> pa.Array:
        """Return the devices with a model, sorted; none where they cannot be read."""
        try:
            found = self.open(sensor)
            return distinct(*(rows["device"] for rows in self._devices(found))) if found else strings([])
        except InputError:
            return strings([])

    def deleted(self, sensor: str) -> pa.Array:
        """Return the devices whose models are of readings that were all deleted since; nothing is missing."""
        found = self.open(sensor) if self._deleted else None
        if found is None:
            return strings([])
        names, when = strings(list(self._deleted)), np.array(list(self._deleted.values()), np.int64)
        gone = []
        for rows in found.models.batches(["device", "trained_to"]):
            place = positions(rows["device"], names)
            is_older = to_numpy(rows["trained_to"], null=_LONG_AGO) <= when[place]
            gone.append(rows["device"].filter(to_arrow((place >= 0) & is_older)))
        return distinct(*gone)

    def _devices(self, published: PublishedModel) -> Iterator[pa.Table]:
        return self.tables(published) if self.of_plant.machines else published.models.batches(["device"])

    def states_tail_probability(self, sensor: str) -> bool:
        """Whether the sensor's scores are log10 of tail probabilities."""
        try:
            found = self.open(sensor)
        except InputError:
            return False
        return found is not None and DETECTORS[found.models.info.detector].states_tail_probability
