"""Count the outcomes of a run, and report a shortfall when too many devices failed."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pyarrow.compute as pc

from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.scoring.device_range import ScoredRange

logger = logging.getLogger(__name__)

# A device with one of these could not be scored; the others had nothing to score.
FAILED = ("no_model", "bad_features")


class Outcome:
    """Counts over the ranges of a run; constant memory for any fleet size."""

    def __init__(self) -> None:
        self.n_scored = 0
        self.n_anomalies = 0
        self.statuses: Counter[str] = Counter()

    def add(self, part: ScoredRange) -> None:
        """Count one range of one partition."""
        self.n_scored += part.n_new
        self.n_anomalies += part.n_new_anomalies
        for entry in pc.value_counts(part.status["status"]).to_pylist():
            self.statuses[entry["values"]] += entry["counts"]
            stopwatch.count("devices", entry["counts"])
            stopwatch.count("failed", entry["counts"] if entry["values"] in FAILED else 0)
        stopwatch.count("windows", part.n_new)

    def finish(self, max_failed_share: float) -> dict[str, Any]:
        """Log the outcome in a line.

        Returns
        -------
        dict
            ``windows``, ``anomalies``, ``statuses`` (status to device-sensor days), and ``shortfalls``: a
            sentence where more than ``max_failed_share`` of the devices' days could not be scored.
        """
        not_ok = [(text, n) for text, n in sorted(self.statuses.items()) if text != "ok"]
        named = ", ".join(f"{n:,} {text}" for text, n in not_ok) or "none"
        logger.info(
            "score: %s windows scored, %s of them anomalies; device-sensor days not scored: %s",
            f"{self.n_scored:,}",
            f"{self.n_anomalies:,}",
            named,
        )
        failed, total = sum(self.statuses[text] for text in FAILED), self.statuses.total()
        shortfalls = []
        if failed > max_failed_share * total:
            shortfalls.append(
                f"{failed:,} of {total:,} device-sensor days could not be scored ({named}), "
                f"more than score.max_failed_share ({max_failed_share:g}); see the status table, and train "
                "where models are missing"
            )
        return {
            "windows": self.n_scored,
            "anomalies": self.n_anomalies,
            "statuses": dict(sorted(self.statuses.items())),
            "shortfalls": shortfalls,
        }
