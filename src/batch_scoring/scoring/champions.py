"""The champions of a run: each is opened once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.registry.published import PublishedModel
from batch_scoring.tables.arrow_arrays import distinct, strings

# The number of no models at all.
NO_MODELS = 1


class Champions:
    """The champion of each sensor.

    Parameters
    ----------
    models : mapping of str to callable
        Each opens a sensor's champion.
    """

    def __init__(self, models: Mapping[str, Callable[[], PublishedModel]]) -> None:
        self._models = models
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
        return NO_MODELS if found is None else number_of(found.manifest.sha256)

    def devices(self, sensor: str) -> pa.Array:
        """Return the devices with a model, sorted; none where they cannot be read."""
        try:
            found = self.open(sensor)
            return (
                distinct(*(rows["device"] for rows in found.models.batches(["device"])))
                if found
                else strings([])
            )
        except InputError:
            return strings([])

    def states_tail_probability(self, sensor: str) -> bool:
        """Whether the sensor's scores are log10 of tail probabilities."""
        try:
            found = self.open(sensor)
        except InputError:
            return False
        return found is not None and DETECTORS[found.models.info.detector].states_tail_probability
