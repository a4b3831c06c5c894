"""Sum up the outcomes of all sensors by sensor, by device and over the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from batch_scoring.evaluation.metrics.device_level import DeviceWindows
from batch_scoring.evaluation.metrics.figures import SUMS
from batch_scoring.evaluation.metrics.matching import Outcome, Truth
from batch_scoring.evaluation.metrics.sensor_windows import Verdict
from batch_scoring.tables.arrays import Bool, Float, Int


@dataclass(frozen=True)
class SensorOutcomes:
    """The outcomes of all methods on one sensor with n evaluated windows.

    Attributes
    ----------
    devices : list of str
        Their positions are the numbers in ``series``.
    series, start : array of shape (n,), int64
        The device's number, and µs since the epoch.
    is_labelled_anywhere : array of shape (n,), bool
        Whether a label of any sensor of the device overlaps the window.
    is_device_event_seen : array of shape (n_device_events,), bool
        Whether the sensor has a window in the event.
    outcomes : dict of str to Outcome
        By method.
    excess : dict of str to array of shape (n,), float64
        See :class:`.Verdict`.
    """

    sensor: str
    devices: list[str]
    series: Int
    start: Int
    is_labelled_anywhere: Bool
    is_device_event_seen: Bool
    outcomes: dict[str, Outcome]
    excess: dict[str, Float]

    @classmethod
    def gather(
        cls,
        sensor: str,
        devices: Sequence[str],
        truth: Truth,
        outcomes: Mapping[str, tuple[Verdict, Outcome]],
    ) -> SensorOutcomes:
        """Gather each method's verdict and outcome."""
        return cls(
            sensor,
            list(devices),
            truth.windows.series,
            truth.windows.start,
            truth.is_labelled_anywhere,
            truth.device_spans.size > 0,
            {name: outcome for name, (_, outcome) in outcomes.items()},
            {name: verdict.excess for name, (verdict, _) in outcomes.items()},
        )


@dataclass
class MethodTally:
    """What one method achieved so far: an outcome a sensor, and the worst sensors of each device."""

    outcomes: list[Outcome] = field(default_factory=list)
    device_windows: DeviceWindows = field(default_factory=DeviceWindows)


class Tally:
    """Outcomes of several methods on the same windows, added a sensor at a time.

    Parameters
    ----------
    event_devices : sequence of str
        The device of each event of a device.

    Attributes
    ----------
    sensors : list of str
        Those added so far.
    devices : dict of str to int
        The number of each device, in the order they came.
    series_device, series_sensor : list of array, int64
        The numbers of device and sensor of each series, an entry a sensor.
    event_series : list of array, int64
        The series of each event, counted within its sensor.
    """

    def __init__(self, methods: Sequence[str], event_devices: Sequence[str]) -> None:
        self._event_devices = list(event_devices)
        self._is_seen = np.zeros(len(event_devices), bool)
        self.methods = {name: MethodTally() for name in methods}
        self.sensors: list[str] = []
        self.devices: dict[str, int] = {}
        self.series_device: list[Int] = []
        self.series_sensor: list[Int] = []

    def add(self, found: SensorOutcomes) -> None:
        """Add the outcomes of all methods on one sensor."""
        numbers = [self.devices.setdefault(name, len(self.devices)) for name in found.devices]
        number = np.array(numbers, np.int64)
        self.series_device.append(number)
        self.series_sensor.append(np.full(number.size, len(self.sensors)))
        self.sensors.append(found.sensor)
        self._is_seen |= found.is_device_event_seen
        for name, outcome in found.outcomes.items():
            one = self.methods[name]
            one.outcomes.append(outcome)
            one.device_windows.add(
                number[found.series], found.start, found.is_labelled_anywhere, found.excess[name]
            )

    def of_series(self, method: str) -> dict[str, Float]:
        """``figures.SUMS`` of each series, shape (n_series,)."""
        return {
            name: np.concatenate([one.sums[name] for one in self.methods[method].outcomes]) for name in SUMS
        }

    def of_sensors(self, method: str) -> dict[str, Float]:
        """``figures.SUMS`` of each sensor, shape (n_sensors,)."""
        return _sum_by(self.of_series(method), np.concatenate(self.series_sensor), len(self.sensors))

    def of_devices(self, method: str) -> dict[str, Float]:
        """``figures.SUMS`` and ``figures.DEVICE_SUMS`` of each device, shape (n_devices,)."""
        n, one = len(self.devices), self.methods[method]
        sums = _sum_by(self.of_series(method), np.concatenate(self.series_device), n)
        device = np.array([self.devices.get(name, -1) for name in self._event_devices], np.int64)
        # Events of devices without windows are never found.
        is_found = np.any([outcome.is_device_event_found for outcome in one.outcomes], axis=0)
        events = {"device_events": self._is_seen, "device_events_found": is_found}
        for name, rows in events.items():
            sums[name] = np.bincount(device[rows], minlength=n).astype(np.float64)
        return sums | one.device_windows.rankings(n)


def _sum_by(sums: Mapping[str, Float], group: Int, n: int) -> dict[str, Float]:
    return {name: np.bincount(group, values, n).astype(np.float64) for name, values in sums.items()}
