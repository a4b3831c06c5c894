"""Count the outcomes of a run, and report a shortfall when too many devices failed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.core.text import number
from batch_scoring.scoring.sensor_ranges import ScoredPart
from batch_scoring.scoring.totals import states
from batch_scoring.tables.arrow_arrays import to_numpy

logger = logging.getLogger(__name__)

# A device with one of these could not be scored; the others had nothing to score.
FAILED = ("no_model", "bad_features")


class Outcome:
    """Counts over the ranges of a run; constant memory for any fleet size."""

    def __init__(self) -> None:
        self.n_scored = 0
        self.n_anomalies = 0
        self.statuses: Counter[str] = Counter()

    def add(self, part: ScoredPart) -> None:
        """Count some ranges of devices."""
        self.n_scored += part.predictions.num_rows
        self.n_anomalies += int(to_numpy(part.predictions["is_anomaly"]).sum())
        for status, n in states(part.totals).items():
            self.statuses[status] += n
            stopwatch.count("devices", n)
            stopwatch.count("failed", n if status in FAILED else 0)
        stopwatch.count("windows", part.predictions.num_rows)

    def finish(self, max_failed_share: float, failed_sensors: Mapping[str, str]) -> dict[str, Any]:
        """Log the outcome in a line.

        Parameters
        ----------
        max_failed_share : float
        failed_sensors : mapping of str to str
            Why a sensor could not be scored at all.

        Returns
        -------
        dict
            ``windows``, ``anomalies``, ``statuses`` (status to device-sensor days), and ``shortfalls``: a
            sentence where more than ``max_failed_share`` of the devices' days could not be scored.
        """
        not_ok = [(text, n) for text, n in sorted(self.statuses.items()) if text != "ok"]
        named = ", ".join(f"{n:,} {text}" for text, n in not_ok) or "none"
        logger.info(
            "score: %s scored, %s of them anomalous; device-sensor days not scored: %s",
            number(self.n_scored, "window"),
            f"{self.n_anomalies:,}",
            named,
        )
        failed, total = sum(self.statuses[text] for text in FAILED), self.statuses.total()
        shortfalls = [f"sensor {sensor!r} was not scored: {why}" for sensor, why in failed_sensors.items()]
        if failed > max_failed_share * total:
            shortfalls.append(
                f"{failed:,} of {total:,} device-sensor days could not be scored ({named}), "
                f"more than score.max_failed_share ({max_failed_share:g}); see the daily totals, and train "
                "where models are missing"
            )
        return {
            "windows": self.n_scored,
            "anomalies": self.n_anomalies,
            "statuses": dict(sorted(self.statuses.items())),
            "shortfalls": shortfalls,
        }
