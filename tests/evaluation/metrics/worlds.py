"""Small worlds drawn as text: a character a window, for what is labelled and what is flagged."""

from __future__ import annotations

import numpy as np

from batch_scoring.evaluation.metrics.matching import Events, Truth
from batch_scoring.evaluation.metrics.sensor_windows import Verdict
from batch_scoring.tables.intervals import Timeline

STEP = 3_600_000_000
BUDGET = 0.25


def timeline(*series: str) -> Timeline:
    """Windows of an hour; a blank is a window that is not there."""
    places = [(k, i) for k, text in enumerate(series) for i, mark in enumerate(text) if mark != " "]
    number, place = np.array(places, np.int64).reshape(-1, 2).T
    return Timeline(number, place * STEP, (place + 1) * STEP)


def events(*intervals: tuple[int, float, float]) -> Events:
    """Device, and start and end in hours."""
    device, start, end = np.array(intervals, float).reshape(-1, 3).T
    start, end = ((hours * STEP).astype(np.int64) for hours in (start, end))
    return Events(device.astype(np.int64), start, end, start)


def truth(drawn: list[str], labels: Events, device_labels: Events | None = None) -> Truth:
    """``?`` is a window without a prediction."""
    marks = "".join(drawn).replace(" ", "")
    is_predicted = np.array([mark != "?" for mark in marks], bool)
    return Truth(
        timeline(*drawn),
        len(drawn),
        is_predicted,
        np.full(len(marks), BUDGET),
        labels,
        device_labels or labels,
    )


def verdict(drawn: list[str]) -> Verdict:
    """``#`` is an anomalous window, a digit how suspicious a normal one is, in tenths."""
    marks = "".join(drawn).replace(" ", "")
    excess = [1.5 if m == "#" else np.nan if m == "?" else 0.0 if m == "." else int(m) / 10 for m in marks]
    return Verdict(np.array(excess), np.array([m == "#" for m in marks], bool))
