"""Record what an evaluation rests on: the range, the windows, the labels that count and the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import EPOCH
from batch_scoring.evaluation.known_events import KnownEvents
from batch_scoring.evaluation.metrics.sensor_windows import SensorWindows
from batch_scoring.evaluation.truth import SensorTruth
from batch_scoring.plant.devices import ALL
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import strings
from batch_scoring.tables.schemas import LABELS

logger = logging.getLogger(__name__)


@dataclass
class Basis:
    """What an evaluation rests on, gathered a sensor at a time.

    Attributes
    ----------
    first, last : int
        When the first evaluated window starts and the last one ends, µs since the epoch.
    window_us : int
        Length of a window.
    n_windows, n_predicted : int
        Evaluated windows, new to the models that scored them; those with a prediction.
    n_seen, n_seen_anomalies : int
        Windows of the range that the models were trained on, which are not evaluated; flagged ones.
    n_outside : int
        Events outside the evaluated range.
    unknown : list of pyarrow.Table
        Schema ``LABELS``: events of series that have no window, ever.
    events : list of pyarrow.Table
        Schema ``LABELS``: the labels that count.
    event_windows, event_missing : list of array
        See ``SensorTruth.n_windows`` and ``n_missing``, of each of these events.
    sensors : list of str
    versions : dict of str to dict of str to int
        By sensor, the evaluated windows with a prediction by version.
    """

    first: int = np.iinfo(np.int64).max
    last: int = np.iinfo(np.int64).min
    window_us: int = 0
    n_windows: int = 0
    n_predicted: int = 0
    n_seen: int = 0
    n_seen_anomalies: int = 0
    n_outside: int = 0
    unknown: list[pa.Table] = field(default_factory=lambda: [LABELS.empty_table()])
    events: list[pa.Table] = field(default_factory=lambda: [LABELS.empty_table()])
    event_windows: list[Int] = field(default_factory=list)
    event_missing: list[Int] = field(default_factory=list)
    sensors: list[str] = field(default_factory=list)
    versions: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def of_sensor(cls, windows: SensorWindows, truth: SensorTruth) -> Basis:
        """Return the basis of one sensor."""
        test, seen = windows.test, windows.is_in_range & windows.is_seen
        basis = cls(
            window_us=windows.window_us,
            n_windows=test.start.size,
            n_predicted=int(np.count_nonzero(truth.truth.is_predicted)),
            n_seen=int(np.count_nonzero(seen)),
            n_seen_anomalies=int(np.count_nonzero(seen & windows.is_anomaly)),
            n_outside=truth.n_outside,
            unknown=[truth.unknown],
            events=[truth.events],
            event_windows=[truth.n_windows],
            event_missing=[truth.n_missing],
            sensors=[windows.sensor],
            versions={windows.sensor: _by_version(windows)},
        )
        if test.start.size:
            basis.first, basis.last = int(test.start.min()), int(test.end.max())
        return basis

    def add(self, other: Basis) -> None:
        """Add the basis of other sensors."""
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.window_us = other.window_us
        for name in ("n_windows", "n_predicted", "n_seen", "n_seen_anomalies", "n_outside"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("unknown", "events", "event_windows", "event_missing", "sensors"):
            getattr(self, name).extend(getattr(other, name))
        self.versions |= other.versions

    def check(self, known: KnownEvents, devices: Iterable[str]) -> None:
        """Warn of labels that count nowhere; raise InputError where none counts, or nothing was scored.

        Parameters
        ----------
        known : KnownEvents
        devices : iterable of str
            The devices with windows of any sensor.
        """
        if not self.n_predicted:
            if self.n_seen:
                raise InputError(
                    f"all {self.n_seen:,} scored windows of the range were trained on; evaluate a range that "
                    "the models have not seen, such as with train.to before evaluate.from"
                )
            raise InputError(
                "no window after the models' training ranges has a prediction; run "
                "`kedro run --pipelines=score`, or name the range to evaluate with evaluate.from"
            )
        sensor, device, present = known.series["sensor"], known.series["device"], sorted(devices)
        of_all = pc.and_(pc.equal(sensor, ALL), pc.is_in(device, strings(present)))
        strange = known.series.filter(pc.invert(pc.or_(pc.is_in(sensor, strings(self.sensors)), of_all)))
        self.unknown.append(strange)
        rows = pa.concat_tables(self.unknown)
        if rows.num_rows:
            one, is_one = rows.slice(0, 1).to_pylist()[0], rows.num_rows == 1
            if rows.num_rows == known.series.num_rows:
                raise InputError(
                    "no label is of a device and sensor with windows, the first of "
                    f"{one['device']!r}, {one['sensor']!r}; expected ids of the readings, such as "
                    f"{present[0]!r}, {self.sensors[0]!r}"
                )
            logger.warning(
                "%d %s without windows, first %r, %r: %s nowhere",
                rows.num_rows,
                "label is of a device and sensor" if is_one else "labels are of devices and sensors",
                *(one["device"], one["sensor"], "it counts" if is_one else "they count"),
            )
        if self.n_seen:
            logger.info(
                "evaluate: %d windows of the range were trained on and are left out; %d of them are flagged",
                *(self.n_seen, self.n_seen_anomalies),
            )

    def to_json(self, n_devices: int) -> dict[str, Any]:
        """Return the basis as part of the metrics."""
        return {
            "from": _iso(self.first),
            "to": _iso(self.last),
            "window_seconds": self.window_us / 1e6,
            "devices": n_devices,
            "sensors": len(self.sensors),
            "windows": self.n_windows,
            "windows_without_prediction": self.n_windows - self.n_predicted,
            "windows_seen_in_training": self.n_seen,
            "anomalies_seen_in_training": self.n_seen_anomalies,
            "events": sum(table.num_rows for table in self.events),
            "events_outside_range": self.n_outside,
            "events_of_unknown_series": sum(table.num_rows for table in self.unknown),
        }


def _by_version(windows: SensorWindows) -> dict[str, int]:
    is_predicted = windows.is_in_range & ~windows.is_seen & np.isfinite(windows.score)
    counts = np.bincount(windows.version[is_predicted], minlength=len(windows.versions))
    return {name: int(n) for name, n in zip(windows.versions, counts, strict=True) if n}


def _iso(microseconds: int) -> str:
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat()
