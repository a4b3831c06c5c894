"""Digests of predictions, by which later steps detect changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.tables.arrow_arrays import positions, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import JUDGED


class PredictionsDigest:
    """A digest of the inputs of incidents, over predictions that come in parts.

    Which windows there are, and JUDGED of the anomalies. All columns of all rows would take longer
    than their scores.
    """

    def __init__(self) -> None:
        self._windows, self._anomalies = hashlib.sha256(), hashlib.sha256()

    def update(self, part: pa.Table) -> None:
        """Add the next rows, of schema PREDICTIONS."""
        self._windows.update(np.ascontiguousarray(to_numpy(part["window_fingerprint"])).data)
        anomalies = part.select(list(JUDGED)).filter(part["is_anomaly"])
        self._anomalies.update(row_fingerprints(anomalies, JUDGED).data)

    def hexdigest(self) -> str:
        """64 hex digits; the same however the rows were cut into parts."""
        both = self._windows.digest() + self._anomalies.digest()
        return hashlib.sha256(both).hexdigest()


class ScoresDigest:
    """A digest of every score and of the model that gave it, over predictions that come in parts."""

    def __init__(self) -> None:
        self._scores = hashlib.sha256()

    def update(self, part: pa.Table) -> None:
        """Add the next rows, of schema PREDICTIONS."""
        versions = pc.unique(part["model_version"])
        named = [hashlib.sha256(text.encode()).digest()[:8] for text in versions.to_pylist()]
        codes = np.frombuffer(b"".join(named), np.uint64)[positions(part["model_version"], versions)]
        bits = np.ascontiguousarray(to_numpy(part["score"])).view(np.uint64)
        self._scores.update((bits ^ codes).data)

    def hexdigest(self) -> str:
        """64 hex digits; the same however the rows were cut into parts."""
        return self._scores.hexdigest()
