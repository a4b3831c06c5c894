"""What became of the devices over a whole run, and whether that is good enough."""

from __future__ import annotations

import logging
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.fleet.errors import InputError

logger = logging.getLogger(__name__)

# A device with one of these could not be scored; the others had nothing to score.
FAILED = ("no_model", "bad_features")


class Outcome:
    """Adds up the status tables of a run's partitions."""

    def __init__(self) -> None:
        self.n_scored = 0
        self.n_anomalies = 0
        self._status: dict[tuple[str, str], str] = {}

    def add(self, status: pa.Table, new_predictions: pa.Table) -> None:
        """Count one partition."""
        self.n_scored += new_predictions.num_rows
        self.n_anomalies += pc.sum(new_predictions["is_anomaly"]).as_py() or 0
        columns = (status[name].to_pylist() for name in ("device", "sensor", "status"))
        for device, sensor, text in zip(*columns, strict=True):
            # One day without data is no failure; one bad day is worth a word.
            if self._status.get((device, sensor), "no_data") in ("ok", "no_data"):
                self._status[device, sensor] = text

    def finish(self, max_failed_share: float) -> None:
        """Say it in a line.

        Raises
        ------
        InputError
            When more than ``max_failed_share`` of the device-sensor pairs could not be scored.
        """
        counts = Counter(text for text in self._status.values() if text != "ok")
        named = ", ".join(f"{n:,} {text}" for text, n in sorted(counts.items())) or "none"
        logger.info(
            "score: %s windows scored, %s of them anomalies; devices not scored: %s",
            f"{self.n_scored:,}",
            f"{self.n_anomalies:,}",
            named,
        )
        failed = sum(counts[text] for text in FAILED)
        if failed > max_failed_share * len(self._status):
            raise InputError(
                f"{failed:,} of {len(self._status):,} device-sensor pairs could not be scored ({named}), "
                f"more than score.max_failed_share ({max_failed_share:g}); see the status table, and train "
                "where models are missing"
            )
