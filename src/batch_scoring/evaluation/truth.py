"""Select the labels of one sensor that count in its evaluated range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.evaluation.known_events import KnownEvents
from batch_scoring.evaluation.metrics.matching import Events, Truth
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows
from batch_scoring.evaluation.reading import EvaluatedRange
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import positions, strings, to_arrow, to_numpy
from batch_scoring.tables.intervals import overlapping


@dataclass(frozen=True)
class SensorTruth:
    """The labels of one sensor.

    Attributes
    ----------
    events : pyarrow.Table
        Schema ``LABELS``: the events that count, in the order of ``truth.events``.
    n_windows, n_missing : array of shape (n_events,), int64
        The evaluated windows of each with a prediction, and its missing windows.
    n_outside : int
        Events outside the evaluated range, or in windows of it that were trained on.
    unknown : pyarrow.Table
        Schema ``LABELS``: events of devices that have no window of this sensor, ever.
    """

    truth: Truth
    events: pa.Table
    n_windows: Int
    n_missing: Int
    n_outside: int
    unknown: pa.Table


def truth_of(windows: SensorWindows, evaluated: EvaluatedRange, known: KnownEvents) -> SensorTruth:
    """Match known events with the evaluated windows of a sensor.

    An event counts when it overlaps the evaluated range of its device, whether there are
    windows in it or not: a fault without windows is a missed one.
    """
    events = known.of_sensor(windows.sensor, windows.devices)
    names = strings(windows.devices)
    device = positions(events["device"], names)
    start, end = to_numpy(events["start"]), to_numpy(events["end"])
    is_known = device >= 0
    since = evaluated.since[np.maximum(device, 0)]
    spans = overlapping(windows.timeline, device, start, end)
    is_only_seen = spans.have(windows.is_seen) & ~spans.have(windows.is_test)
    counts = is_known & (end > since) & (start < evaluated.until) & ~is_only_seen
    own = Events(device[counts], start[counts], end[counts], np.maximum(start, since)[counts])
    of_device = known.devices
    devices = positions(of_device["device"], names)
    start, end = to_numpy(of_device["start"]), to_numpy(of_device["end"])
    truth = Truth(
        windows.test,
        len(windows.devices),
        windows.is_predicted[windows.is_test],
        windows.budget[windows.is_test],
        own,
        Events(devices, start, end, start),
    )
    seen = np.concatenate([[0], np.cumsum(truth.is_predicted)])
    n_windows = seen[truth.spans.last] - seen[truth.spans.first]
    return SensorTruth(
        truth,
        events.filter(to_arrow(counts)),
        n_windows,
        _full(own, evaluated, windows.window_us) - n_windows,
        int(np.count_nonzero(is_known & ~counts)),
        events.filter(to_arrow(~is_known)),
    )


def _full(events: Events, evaluated: EvaluatedRange, window_us: int) -> Int:
    """Count the evaluated windows that each event would overlap if every window had a reading."""
    evaluated_first = -(-evaluated.since[events.device] // window_us)
    first = np.maximum(events.start // window_us, evaluated_first)
    last = (np.minimum(events.end, evaluated.until) - 1) // window_us
    return np.maximum(last - first + 1, 0)
