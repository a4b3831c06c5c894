"""Combine the sensors of a device into one suspicion per device and window."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from batch_scoring.evaluation.metrics.matching import rank
from batch_scoring.incidents.evidence import WORST_SENSORS
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.intervals import slices


def device_score(worst: Float) -> Float:
    """Compute the suspicion of a device in each window, shape (n,): the mean of its worst sensors.

    As many sensors as in the priority of an incident. That adds them up; here it is the mean, as an excess
    may be negative, and a sensor without a reading must not raise the sum. To rank devices by something
    else, replace this function.

    Parameters
    ----------
    worst : array of shape (n, WORST_SENSORS), float64
        The highest excesses of the device's sensors in that window, rising; NaN where it has fewer.
    """
    n_there = np.isfinite(worst).sum(axis=1)
    return np.where(n_there > 0, np.nansum(worst, axis=1) / np.maximum(n_there, 1), np.nan)


@dataclass
class DeviceWindows:
    """The windows of devices, n of them, filled a sensor at a time; only the worst sensors are kept.

    Attributes
    ----------
    device, start : array of shape (n,), int64
        The device's number among all devices, and µs since the epoch; sorted.
    is_labelled : array of shape (n,), bool
        Whether a label of any sensor of the device overlaps the window.
    worst : array of shape (n, WORST_SENSORS), float64
    """

    device: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    start: Int = field(default_factory=lambda: np.zeros(0, np.int64))
    is_labelled: Bool = field(default_factory=lambda: np.zeros(0, bool))
    worst: Float = field(default_factory=lambda: np.zeros((0, WORST_SENSORS)))

    def add(self, device: Int, start: Int, is_labelled: Bool, excess: Float) -> None:
        """Add the windows of a sensor, at most one a device and start."""
        devices, starts = np.concatenate([self.device, device]), np.concatenate([self.start, start])
        order = np.lexsort((starts, devices))
        devices, starts = devices[order], starts[order]
        is_new = np.ones(order.size, bool)
        is_new[1:] = (devices[1:] != devices[:-1]) | (starts[1:] != starts[:-1])
        place = np.empty(order.size, np.int64)
        place[order] = np.cumsum(is_new) - 1
        former, now = place[: self.device.size], place[self.device.size :]
        self.device, self.start = devices[is_new], starts[is_new]
        labelled = np.zeros(self.device.size, bool)
        labelled[former] = self.is_labelled
        labelled[now] |= is_labelled
        self.is_labelled = labelled
        held = np.full((self.device.size, WORST_SENSORS + 1), -np.inf)
        held[former, 1:] = np.where(np.isfinite(self.worst), self.worst, -np.inf)
        held[now, 0] = np.where(np.isfinite(excess), excess, -np.inf)
        held.sort(axis=1)
        self.worst = np.where(np.isfinite(held[:, 1:]), held[:, 1:], np.nan)

    def rankings(self, n_devices: int) -> dict[str, Float]:
        """Compute ROC and PR AUC of each device as sums: 0 where a device lacks one of the classes."""
        score = device_score(self.worst)
        found = np.array(
            [rank(self.is_labelled[rows], score[rows])[:2] for rows in slices(self.device, n_devices)]
        ).reshape(-1, 2)
        is_ranked = np.isfinite(found[:, 0])
        roc, pr = np.where(is_ranked, found.T, 0.0)
        return {"ranked_devices": is_ranked.astype(np.float64), "device_roc_auc": roc, "device_pr_auc": pr}
