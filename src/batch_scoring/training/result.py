"""The result of one training of one sensor; `registry` stores it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.model_file import FleetFile

PROMOTED, REFUSED, BY_HAND = "promoted", "refused", "by_hand"


@dataclass(frozen=True)
class Decision:
    """The decision on a new version.

    Attributes
    ----------
    verdict : str
        ``promoted``: it is to be the champion; ``refused``: worse than the champion; ``by_hand``: only
        a person may promote it.
    champion : str
        The version it was compared with; empty where there was no comparison.
    numbers : dict of str to float
        Metrics of the comparison.
    """

    verdict: str = PROMOTED
    reason: str = ""
    champion: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingData:
    """The rows that a training read; named, so that they can be read again.

    Attributes
    ----------
    place : str
        Path or URL of the Delta table.
    version : int
        Of the table.
    digest : str
        Of the rows, whichever files they lie in: 16 hex digits.
    n_rows : int
    features : tuple of str
        The columns that were trained on.
    first, last : str
        The range of time, ISO 8601, UTC; the rows start in ``[first, last)``.
    """

    place: str
    version: int
    digest: str
    n_rows: int
    features: tuple[str, ...]
    first: str
    last: str


@dataclass(frozen=True)
class Training:
    """One sensor's result of one ``train``.

    Attributes
    ----------
    models : FleetFile
        The whole new version; the rows of devices that were not retrained are carried over. A file
        in a scratch folder, deleted when the next training is requested.
    status : pyarrow.Table
        Schema ``STATUS``, one row for each device that the training was about, whether it
        got a model or not.
    fingerprint : str
        Digest of what the version was trained from. The same fingerprint is the same version.
    parameters : dict
        The ``train`` parameters; may be nested.
    metrics : dict of str to float
        Metrics of all models of the sensor.
    decision : Decision
        Whether the version is scored.
    data : TrainingData, optional
        What it was trained on; None where nobody knows, as of imported models.
    """

    models: FleetFile
    status: pa.Table
    fingerprint: str
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    decision: Decision = field(default_factory=Decision)
    data: TrainingData | None = None

    @property
    def sensor(self) -> str:
        """The sensor whose devices were trained."""
        return self.models.info.sensor

    @property
    def model(self) -> FleetModel:
        """Load all models at once, for fleets that fit into memory."""
        return self.models.read()
