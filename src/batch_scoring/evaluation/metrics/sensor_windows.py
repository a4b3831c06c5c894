"""All windows of one sensor with the models' predictions, on which every method is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.intervals import Timeline, slices


@dataclass(frozen=True)
class SensorWindows:
    """The windows of one sensor, n of them, sorted by device and start.

    Attributes
    ----------
    devices : list of str
        Sorted as UTF-8 bytes; their positions are the devices' numbers.
    timeline : Timeline
        ``timeline.series`` is the device's number.
    X : array of shape (n, d), float64
        The features, in their units.
    is_in_range : array of shape (n,), bool
        Windows in the range to evaluate.
    version : array of shape (n,), int64
        The number of the version that scored each window; 0, the champion, without a prediction.
    trained_from, trained_to : array of shape (n_versions, n_devices), int64
        When the training windows of each version begin and end, µs since the epoch; empty without a model.
    budget : array of shape (n,), float64
        The share of normal windows that the model of each window may flag.
    score, threshold : array of shape (n,), float64
        Of the predictions; the lower, the more abnormal. NaN without a prediction.
    is_anomaly : array of shape (n,), bool
    versions : tuple of str
        The versions by number; empty without a model.
    """

    sensor: str
    devices: list[str]
    features: tuple[str, ...]
    timeline: Timeline
    X: Float
    is_in_range: Bool
    version: Int
    trained_from: Int
    trained_to: Int
    budget: Float
    score: Float
    threshold: Float
    is_anomaly: Bool
    versions: tuple[str, ...] = ("",)

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return int(self.timeline.end[0] - self.timeline.start[0])

    @property
    def is_predicted(self) -> Bool:
        """Which windows have a prediction, shape (n,)."""
        return np.isfinite(self.score)

    def learned_by(self, version: Int | int) -> Bool:
        """Which windows this version, or a version for each window, was trained on; shape (n,)."""
        one = self.timeline
        begins, ends = self.trained_from[version, one.series], self.trained_to[version, one.series]
        return (one.start >= begins) & (one.end <= ends)

    @cached_property
    def is_seen(self) -> Bool:
        """Which windows the version that scored them was trained on, shape (n,)."""
        return self.learned_by(self.version)

    @cached_property
    def is_test(self) -> Bool:
        """Which windows are evaluated: those of the range that are new to their model, shape (n,)."""
        return self.is_in_range & ~self.is_seen

    @property
    def mean_budget(self) -> float:
        """The budget of the evaluated windows with a prediction; of all windows where there is none."""
        scored = self.is_test & self.is_predicted
        return float(self.budget[scored if scored.any() else slice(None)].mean())

    def series_by_version(self) -> Iterator[tuple[int, slice, int, Bool]]:
        """Yield each device, its rows, each version that scored some of them, and which these are."""
        for device, rows in enumerate(slices(self.timeline.series, len(self.devices))):
            for version in np.unique(self.version[rows]).tolist():
                yield device, rows, version, self.version[rows] == version

    @property
    def test(self) -> Timeline:
        """Return the evaluated windows."""
        one = self.timeline
        return Timeline(one.series[self.is_test], one.start[self.is_test], one.end[self.is_test])


@dataclass(frozen=True)
class Verdict:
    """A method's verdict on the evaluated windows, n of them.

    Attributes
    ----------
    excess : array of shape (n,), float64
        How suspicious, on a scale that devices, sensors and methods share: 0 is the median of the
        training windows, 1 is the threshold. NaN where the method has no verdict.
    is_anomaly : array of shape (n,), bool
    """

    excess: Float
    is_anomaly: Bool


def excess(suspicion: Float, threshold: Float, typical: Float) -> Float:
    """Put suspicions of any unit on one scale: 0 is typical, 1 is at the threshold; the order is kept.

    Parameters
    ----------
    suspicion : array of shape (n,), float64
        The higher, the more abnormal.
    threshold, typical : array of shape (n,), float64
        Where alarms begin, and what is usual. Where the usual lies beyond the threshold only the
        threshold stays in its place.

    Examples
    --------
    >>> excess(np.array([2.0, 5.0, 8.0]), np.array([5.0]), np.array([2.0])).tolist()
    [0.0, 1.0, 2.0]
    """
    span = np.abs(threshold - typical)
    return 1.0 + (suspicion - threshold) / np.where(span > 0, span, 1.0)


def verdict_of_models(windows: SensorWindows) -> Verdict:
    """Return the models' verdict; typical is the median score that a model gave its training windows.

    Where it scored none of them, typical is the median of all windows of the device that it scored.
    """
    suspicion, threshold = -windows.score, -windows.threshold
    typical = np.full(suspicion.size, np.nan)
    for _, rows, _, is_its in windows.series_by_version():
        known = windows.is_predicted[rows] & is_its
        learned = known & windows.is_seen[rows]
        used = learned if learned.any() else known
        if used.any():
            typical[rows][is_its] = np.median(suspicion[rows][used])
    test = windows.is_test
    return Verdict(
        excess(suspicion[test], threshold[test], typical[test]),
        (windows.is_anomaly & windows.is_predicted)[test],
    )
