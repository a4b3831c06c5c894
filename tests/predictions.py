"""Predictions for tests, drawn as text: one character a window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
from batch_scoring.scoring.digests import PredictionsDigest, ScoresDigest

from batch_scoring.tables.partitions import partition_key
from batch_scoring.tables.schemas import PREDICTIONS
from batch_scoring.tables.streams import Stream
from tests.factories import START

WINDOW = timedelta(minutes=5)
WINDOWS_A_DAY = 288


def draw_predictions(series: dict[str, str], sensor: str = "s", first: int = 0) -> pa.Table:
    """Predictions of some devices: ``.`` a normal window, ``1`` to ``9`` an anomaly so severe, a blank none.

    Parameters
    ----------
    series : dict of str to str
        Device to its windows of 5 minutes, from window ``first`` after START on.
    """
    rows = [
        {
            "window_start": START + (first + place) * WINDOW,
            "window_end": START + (first + place + 1) * WINDOW,
            "device": device,
            "sensor": sensor,
            "value": 0.0,
            "score": -float(mark) if mark != "." else 1.0,
            "threshold": 0.0,
            "is_anomaly": mark != ".",
            "severity": float(mark) if mark != "." else 0.0,
            "top_feature": f"feature {mark}",
            "model_version": "1",
            "window_fingerprint": _number(device, sensor, first + place, mark),
        }
        for device, text in sorted(series.items(), key=lambda item: item[0].encode())
        for place, mark in enumerate(text)
        if mark != " "
    ]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def draw_days(
    series: dict[str, str], sensor: str = "s", first: int = 0, per_day: int = WINDOWS_A_DAY
) -> Iterator[dict[str, Stream]]:
    """The same predictions as partitions, ``per_day`` windows in each day, which are its first ones."""
    n_days = -(-max((len(text) for text in series.values()), default=0) // per_day)
    for day in range(n_days):
        part = {device: text[day * per_day : (day + 1) * per_day] for device, text in series.items()}
        table = draw_predictions(part, sensor, first + day * WINDOWS_A_DAY)
        digest, scores = PredictionsDigest(), ScoresDigest()
        digest.update(table)
        scores.update(table)
        footer = {"digest": digest.hexdigest(), "scores": scores.hexdigest()}
        key = partition_key(sensor, (START + (first + day * WINDOWS_A_DAY) * WINDOW).date())
        yield {key: Stream(PREDICTIONS, iter([table]), footer)}


def window_number(moment: object) -> int:
    """How many windows after START a time is."""
    return (moment - START) // WINDOW  # type: ignore[operator]


def _number(*of: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(of).encode()).digest()[:8], "big")
