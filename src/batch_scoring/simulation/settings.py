"""Settings of the ``simulate`` pipeline, with the names and the time grid of the fleet."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.core.parameters import require, within
from batch_scoring.simulation.physics import SENSOR_KINDS, SensorPhysics

DAY = timedelta(days=1)

# The scenario of a fleet of any size with faults; the others have a module each in `scenarios`.
FAULTS = "faults"
SCENARIO_NAMES = (FAULTS, "three_weeks")

# Part of every digest: increase it when the same settings give other readings.
SIMULATOR_VERSION = 1


@dataclass(frozen=True)
class FaultRates:
    """How many faults of each kind there are per device of the fleet, over the whole time."""

    spike: float = 0.12
    level_shift: float = 0.1
    drift: float = 0.08
    stuck_value: float = 0.08
    noise_burst: float = 0.1
    dropout: float = 0.08


@dataclass(frozen=True)
class Simulation:
    """The settings of a simulated fleet; see ``conf/base/parameters_simulate.yml``.

    Raises
    ------
    InputError
        When a setting is not valid, such as an interval that does not divide a day.

    Examples
    --------
    >>> fleet = Simulation(devices=3, sensors=("power", "vibration_motor"), days=2)
    >>> fleet.device_names, fleet.readings_per_day
    (['pump-01', 'pump-02', 'pump-03'], 1440)
    """

    scenario: str = FAULTS
    seed: int = 7
    devices: int = 50
    device_prefix: str = "pump"
    sensors: tuple[str, ...] = tuple(SENSOR_KINDS)
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    days: int = 14
    interval: timedelta = timedelta(minutes=1)
    gaps_per_device_day: float = 0.1
    late_per_device_day: float = 0.05
    duplicate_share: float = 0.0005
    malformed_share: float = 0.00002
    faults_in_last_share: float = 0.3
    faults_per_device: FaultRates = field(default_factory=FaultRates)

    def __post_init__(self) -> None:
        shares = (
            *("gaps_per_device_day", "late_per_device_day", "duplicate_share", "malformed_share"),
            "faults_in_last_share",
        )
        is_midnight = self.start.astimezone(UTC).time() == datetime.min.time()
        checks = {
            "seed": (self.seed >= 0, "a whole number from 0 up"),
            "devices": (self.devices >= 1, "1 or more"),
            "days": (self.days >= 1, "1 or more"),
            "interval": (
                self.interval > timedelta(0) and not DAY % self.interval,
                "a duration that divides a day evenly, such as '1m'",
            ),
            "start": (is_midnight, "midnight UTC, where a day's file begins"),
            **{name: within(getattr(self, name), 0, 1) for name in shares},
        }
        require_known("simulate.scenario", [self.scenario], SCENARIO_NAMES)
        require(self, "simulate", checks)
        rates = self.faults_per_device
        of_kinds = {
            f.name: (0 <= getattr(rates, f.name) < 1e6, "0 or more") for f in dataclasses.fields(rates)
        }
        require(rates, "simulate.faults_per_device", of_kinds)
        self._require_sensors()

    def _require_sensors(self) -> None:
        if not self.sensors:
            raise InputError("simulate.sensors: the list is empty; name at least one sensor")
        for sensor, count in Counter(self.sensors).items():
            if not isinstance(sensor, str) or _kind_of(sensor) not in SENSOR_KINDS:
                raise InputError(
                    f"simulate.sensors: {sensor!r} is not a kind of sensor of the simulator; write one of "
                    f"{', '.join(SENSOR_KINDS)}, or one of them with more behind it, like 'power_motor'"
                )
            if count > 1:
                raise InputError(f"simulate.sensors: {sensor!r} is listed {count} times; list it once")

    @cached_property
    def device_names(self) -> list[str]:
        """Return the ids of all devices, in the order of their bytes."""
        width = max(2, len(str(self.devices)))
        return [f"{self.device_prefix}-{number:0{width}d}" for number in range(1, self.devices + 1)]

    @cached_property
    def sensor_names(self) -> list[str]:
        """The ids of all sensors, in the order of their bytes."""
        return sorted(self.sensors)

    @property
    def sensor_physics(self) -> list[SensorPhysics]:
        """How each of ``sensor_names`` behaves."""
        return [SENSOR_KINDS[_kind_of(sensor)] for sensor in self.sensor_names]

    @property
    def readings_per_day(self) -> int:
        """How many readings one sensor of one device takes in a day."""
        return DAY // self.interval

    @property
    def slices_per_day(self) -> int:
        """Into how many spans a day is cut, each with its own random numbers: hours, where they fit."""
        return 24 if self.readings_per_day % 24 == 0 else 1

    @property
    def interval_hours(self) -> float:
        """The time between two readings, in hours."""
        return self.interval / timedelta(hours=1)

    def day(self, index: int) -> date:
        """The date (UTC) of the index-th simulated day, from 0."""
        return (self.start.astimezone(UTC) + index * DAY).date()

    def microseconds(self, grid: np.ndarray) -> np.ndarray:
        """Times of grid cells (int64, 0 is ``start``) in microseconds since 1970-01-01T00:00Z."""
        return microseconds(self.start) + grid * (self.interval // MICROSECOND)

    def generator(self, *purpose: int) -> np.random.Generator:
        """A random generator of its own for each purpose, so that any day can be made alone."""
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence((self.seed, *purpose))))


def _kind_of(sensor: str) -> str:
    return sensor.partition("_")[0]


def selected_indices(simulation: Simulation, selection: Selection) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the selected devices and sensors among all.

    Returns
    -------
    devices, sensors : int64 arrays
        Ascending positions in ``simulation.device_names`` and ``simulation.sensor_names``.

    Raises
    ------
    InputError
        When an id that was asked for is not simulated.
    """
    require_known("device", selection.devices, simulation.device_names)
    require_known("sensor", selection.sensors, simulation.sensor_names)
    devices = [i for i, name in enumerate(simulation.device_names) if selection.has_device(name)]
    sensors = [i for i, name in enumerate(simulation.sensor_names) if selection.has_sensor(name)]
    return np.array(devices, np.int64), np.array(sensors, np.int64)


def simulation_digest(simulation: Simulation, selection: Selection) -> str:
    """The sha256 (hex) of all that decides what is in the files, as canonical JSON."""
    settings = dataclasses.asdict(simulation)
    if simulation.scenario == FAULTS:
        # The digest of days that were simulated before there were scenarios.
        del settings["scenario"]
    settings |= {
        "interval": simulation.interval / timedelta(microseconds=1),
        "start": simulation.start.astimezone(UTC).isoformat(),
        "sensors": simulation.sensor_names,
        "simulator": SIMULATOR_VERSION,
        "selected_devices": sorted(selection.devices) if selection.devices is not None else None,
        "selected_sensors": sorted(selection.sensors) if selection.sensors is not None else None,
    }
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
