"""All windows of one sensor with the models' predictions, on which every method is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from batch_scoring.tables.arrays import Bool, Float
from batch_scoring.tables.intervals import Timeline, slices


@dataclass(frozen=True)
class SensorWindows:
    """The windows of one sensor, n of them, sorted by device and start.

    Attributes
    ----------
    sensor : str
    devices : list of str
        Sorted as UTF-8 bytes; their positions are the devices' numbers.
    features : tuple of str
    timeline : Timeline
        ``timeline.series`` is the device's number.
    X : array of shape (n, d), float64
        The features, in their units.
    is_train, is_test : array of shape (n,), bool
        Windows the models were trained on, and evaluated windows.
    score, threshold : array of shape (n,), float64
        Of the predictions; the lower, the more abnormal. NaN without a prediction.
    is_anomaly : array of shape (n,), bool
    """

    sensor: str
    devices: list[str]
    features: tuple[str, ...]
    timeline: Timeline
    X: Float
    is_train: Bool
    is_test: Bool
    score: Float
    threshold: Float
    is_anomaly: Bool

    @property
    def window_us(self) -> int:
        """Length of a window in microseconds."""
        return int(self.timeline.end[0] - self.timeline.start[0])

    @property
    def is_predicted(self) -> Bool:
        """Which windows have a prediction, shape (n,)."""
        return np.isfinite(self.score)

    @property
    def test(self) -> Timeline:
        """Return the evaluated windows."""
        one = self.timeline
        return Timeline(one.series[self.is_test], one.start[self.is_test], one.end[self.is_test])

    def rows_of_devices(self) -> list[slice]:
        """Return the rows of each device, in the order of the devices."""
        return slices(self.timeline.series, len(self.devices))


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
    """Return the models' verdict; typical is the median score of each device's training windows.

    Where a device has no prediction in its training range, typical is the median of all its windows.
    """
    suspicion, threshold = -windows.score, -windows.threshold
    typical = np.full(suspicion.size, np.nan)
    for rows in windows.rows_of_devices():
        known = windows.is_predicted[rows]
        learned = known & windows.is_train[rows]
        used = learned if learned.any() else known
        if used.any():
            typical[rows] = np.median(suspicion[rows][used])
    test = windows.is_test
    return Verdict(
        excess(suspicion[test], threshold[test], typical[test]),
        (windows.is_anomaly & windows.is_predicted)[test],
    )
