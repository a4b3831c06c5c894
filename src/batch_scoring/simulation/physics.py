"""Model healthy machines: load, heat and weather as functions of time, for many machines at once.

Every machine follows its own weekly load (shifts, a midday dip, quieter weekends) with a slow
wander; its sensors follow that load, some with a thermal lag, and the weather around it. Nothing
is recursive: a value depends on the seed, the machine, the sensor and the time alone. Noise and
faults are added elsewhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WEEK_HOURS = 168
STEPS_PER_HOUR = 4  # of the tabulated week; loads ramp over half an hour, so a quarter is fine enough
N_WANDERS = 5
N_FLUTTERS = 2


@dataclass(frozen=True)
class SensorPhysics:
    """The response of a kind of sensor to its machine; all in the sensor's unit.

    Attributes
    ----------
    base : float
        Its value at no load and 0 °C of ambient deviation.
    load, lagged_load : float
        What full load adds, at once and with the machine's thermal lag.
    ambient : float
        What each °C of ambient deviation adds.
    noise : float
        Standard deviation of the measurement noise at no load.
    noise_with_load : float
        The share by which full load raises that noise.
    flutter : float
        Size of oscillations of its own, with periods of 20 minutes to 6 hours.
    drift_per_week : float
        Standard deviation over the fleet of the slow linear drift.
    lowest : float
        Its minimum reading.
    steps_per_unit : int
        Its resolution: 10 reads tenths.
    """

    base: float
    load: float
    lagged_load: float
    ambient: float
    noise: float
    noise_with_load: float
    flutter: float
    drift_per_week: float
    lowest: float
    steps_per_unit: int


SENSOR_KINDS = {
    # °C of a bearing housing: it follows the load an hour late, and the weather
    "temperature": SensorPhysics(31.0, 1.0, 30.0, 0.7, 0.22, 0.2, 0.3, 0.25, -40.0, 10),
    # mm/s RMS: rough at full load
    "vibration": SensorPhysics(0.9, 2.5, 0.3, 0.0, 0.06, 1.2, 0.05, 0.03, 0.0, 100),
    # bar at the outlet: a controller hunts a little around its set point
    "pressure": SensorPhysics(5.6, 1.5, 0.0, -0.01, 0.025, 0.6, 0.035, 0.01, 0.0, 100),
    # kW drawn by the motor
    "power": SensorPhysics(2.8, 18.0, 0.0, 0.03, 0.22, 0.8, 0.2, 0.05, 0.0, 10),
}


@dataclass(frozen=True)
class Machines:
    """The traits of n machines with s sensors each; see :func:`draw_machines`.

    Arrays of shape (n, week steps) are the load of a week from Monday 00:00 UTC, in shares of full
    load; (n, N_WANDERS) the slow wander of the load; (n, s) and (n, s, N_FLUTTERS) the sensors.
    Angular frequencies are in radians an hour.
    """

    weekly_load: np.ndarray
    weekly_lagged: np.ndarray
    wander_size: np.ndarray
    wander_frequency: np.ndarray
    wander_phase: np.ndarray
    lag_hours: np.ndarray  # (n, 1)
    base: np.ndarray
    load: np.ndarray
    lagged_load: np.ndarray
    ambient: np.ndarray
    drift_per_hour: np.ndarray
    noise: np.ndarray
    noise_with_load: np.ndarray
    lowest: np.ndarray
    steps_per_unit: np.ndarray
    flutter_size: np.ndarray
    flutter_frequency: np.ndarray
    flutter_phase: np.ndarray
    weather: np.ndarray  # (3, number of waves): size, frequency and phase, the same for all machines

    def rows(self, rows: np.ndarray) -> Machines:
        """Select the machines at these positions (int64 array of any order)."""
        per_machine = {f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)[:-1]}
        return dataclasses.replace(self, **per_machine)


def draw_machines(
    generator: np.random.Generator,
    physics: Sequence[SensorPhysics],
    n_devices: int,
    devices: np.ndarray,
    sensors: np.ndarray,
) -> Machines:
    """Draw the traits of a fleet and keep those of the chosen devices and sensors.

    Parameters
    ----------
    generator : numpy.random.Generator
        Fresh; the same one gives the same machines.
    physics : sequence of SensorPhysics
        Of all sensors of the fleet.
    n_devices : int
        All devices of the fleet; more of them leave the traits of the first ones as they are.
    devices, sensors : int64 arrays
        Positions of the chosen ones.
    """
    wave = 2 * math.pi * generator.random(4)
    weather = np.stack(
        [np.array([1.6, 1.2, 0.9, 0.5]), 2 * math.pi / np.array([211.0, 127.0, 61.0, 17.0]), wave]
    )
    traits = generator.spawn(3)
    u = traits[0].random((n_devices, 12))[devices]
    w = traits[1].random((n_devices, N_WANDERS, 2))[devices]
    v = traits[2].random((n_devices, len(physics), 4 + 2 * N_FLUTTERS))[devices][:, sensors]
    lag_hours = 0.4 + 1.2 * u[:, :1]
    weekly_load = _weekly_load(u[:, 1:10])
    kinds = {
        f.name: np.array([getattr(one, f.name) for one in physics], np.float64)[sensors]
        for f in dataclasses.fields(SensorPhysics)
    }
    per_pair = {name: np.broadcast_to(kinds[name], v.shape[:2]) for name in ("lowest", "steps_per_unit")}
    gain = 0.85 + 0.3 * v[..., 0]
    return Machines(
        weekly_load=weekly_load.astype(np.float32),
        weekly_lagged=_lagged_week(weekly_load, lag_hours).astype(np.float32),
        wander_size=np.broadcast_to((0.02 + 0.03 * u[:, 10:11]) / math.sqrt(N_WANDERS / 2), w.shape[:2]),
        wander_frequency=2 * math.pi / (6 * 32 ** w[..., 0]),  # periods of 6 to 192 hours
        wander_phase=2 * math.pi * w[..., 1],
        lag_hours=lag_hours,
        base=kinds["base"] * (0.93 + 0.14 * v[..., 1]),
        load=kinds["load"] * gain,
        lagged_load=kinds["lagged_load"] * gain,
        ambient=kinds["ambient"] * (0.7 + 0.6 * u[:, 11:12]),
        drift_per_hour=kinds["drift_per_week"] / WEEK_HOURS * math.sqrt(12) * (v[..., 2] - 0.5),
        noise=kinds["noise"] * (0.8 + 0.4 * v[..., 3]),
        noise_with_load=np.broadcast_to(kinds["noise_with_load"], v.shape[:2]),
        flutter_size=np.broadcast_to(kinds["flutter"][:, None], (*v.shape[:2], N_FLUTTERS)),
        flutter_frequency=2 * math.pi / (18 ** v[..., 4 : 4 + N_FLUTTERS] / 3),  # 20 minutes to 6 hours
        flutter_phase=2 * math.pi * v[..., 4 + N_FLUTTERS :],
        weather=weather,
        **per_pair,
    )


def _weekly_load(u: np.ndarray) -> np.ndarray:
    """Compute a week of load from Monday 00:00, of shape (n, week steps), from traits (n, 9) in [0, 1)."""
    trait = u.T[:, :, None]
    # Most plants start their day around six; every sixth machine works the night shift.
    begin = 4.5 + 4 * trait[0] + 12 * (trait[1] < 1 / 6)
    length = 9 + 7 * trait[2]
    ramp = 0.12 + 0.2 * trait[3]
    around_the_clock = trait[4] < 0.2
    idle = np.where(around_the_clock, 0.55 + 0.15 * trait[5], 0.12 + 0.15 * trait[5])
    full = 0.75 + 0.25 * trait[6]
    hours = np.arange(WEEK_HOURS * STEPS_PER_HOUR) / STEPS_PER_HOUR
    # A shift belongs to the day it began on, so the weekend comes without a step at midnight.
    own = (hours - begin + 4) % WEEK_HOURS
    weekday, hour = np.divmod(own, 24)
    rise = 1 / (1 + np.exp(-(hour - 4) / ramp))
    fall = 1 / (1 + np.exp(-(4 + length - hour) / ramp))
    midday = np.exp(-(((hour - 4 - length / 2) / 0.7) ** 2)) * 0.3 * trait[7]
    weekend = np.where(weekday == 5, 0.2 + 0.5 * trait[8], 0.05 + 0.35 * trait[8])
    weekend = np.where(around_the_clock, 0.9, weekend)
    busy = rise * fall * (1 - midday) * np.where(weekday >= 5, weekend, 1.0)
    load: np.ndarray = idle + (full - idle) * busy
    return load


def _lagged_week(weekly: np.ndarray, lag_hours: np.ndarray) -> np.ndarray:
    """Compute the exact steady response of a first-order lag to a periodic week, without a recursion."""
    n_steps = weekly.shape[1]
    frequency = 2 * math.pi * np.fft.rfftfreq(n_steps, 1 / STEPS_PER_HOUR)
    return np.fft.irfft(np.fft.rfft(weekly, axis=1) / (1 + 1j * frequency * lag_hours), n_steps, axis=1)


def load_at(machines: Machines, hours: np.ndarray, monday_hours: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the load of machines, and the load with their thermal lag.

    Parameters
    ----------
    machines : Machines
        n of them.
    hours : float64 array of shape (1, t) or (n, t)
        Hours since the start of the simulation.
    monday_hours : int
        Hours from Monday 00:00 UTC to that start.

    Returns
    -------
    load, lagged : float64 arrays of shape (n, t)
        In shares of full load.
    """
    step = ((hours + monday_hours) % WEEK_HOURS) * STEPS_PER_HOUR
    left = step.astype(np.int64)
    share = step - left
    rows = np.arange(len(machines.base))[:, None]
    right = (left + 1) % machines.weekly_load.shape[1]
    load, lagged = (
        week[rows, left] * (1 - share) + week[rows, right] * share
        for week in (machines.weekly_load, machines.weekly_lagged)
    )
    for k in range(N_WANDERS):
        frequency = machines.wander_frequency[:, k, None]
        angle = frequency * hours + machines.wander_phase[:, k, None]
        size = machines.wander_size[:, k, None]
        delay = frequency * machines.lag_hours
        load += size * np.sin(angle)
        lagged += size / np.sqrt(1 + delay**2) * np.sin(angle - np.arctan(delay))
    return load, lagged


def ambient_at(machines: Machines, hours: np.ndarray) -> np.ndarray:
    """Compute the ambient deviation in °C: warmest at 15:00, and weather."""
    size, frequency, phase = machines.weather[:, :, None, None]
    weather = (size * np.sin(frequency * hours + phase)).sum(axis=0)
    ambient: np.ndarray = 3.5 * np.cos(2 * math.pi * (hours - 15) / 24) + weather
    return ambient


def signal_at(machines: Machines, hours: np.ndarray, monday_hours: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the noise-free readings of healthy machines, and the size of their noise.

    Parameters
    ----------
    machines, hours, monday_hours
        As in :func:`load_at`.

    Returns
    -------
    signal, noise : float64 arrays of shape (n, s, t)
        In the unit of each sensor; ``noise`` is a standard deviation.
    """
    load, lagged = (one[:, None, :] for one in load_at(machines, hours, monday_hours))
    ambient, time = ambient_at(machines, hours)[:, None, :], hours[:, None, :]
    signal = machines.base[..., None] + machines.load[..., None] * load
    signal += machines.lagged_load[..., None] * lagged
    signal += machines.ambient[..., None] * ambient
    signal += machines.drift_per_hour[..., None] * time
    for k in range(N_FLUTTERS):
        angle = machines.flutter_frequency[..., k, None] * time + machines.flutter_phase[..., k, None]
        signal += machines.flutter_size[..., k, None] * np.sin(angle)
    noise = machines.noise[..., None] * (1 + machines.noise_with_load[..., None] * np.maximum(load, 0))
    return signal, noise


def normal_range(machines: Machines) -> tuple[np.ndarray, np.ndarray]:
    """Compute the spread of each sensor over a healthy week, and its minimum.

    Returns
    -------
    spread, least : float64 arrays of shape (n, s)
        A standard deviation and a value, in the unit of each sensor.
    """
    week = machines.load[..., None] * machines.weekly_load[:, None, :]
    week += machines.lagged_load[..., None] * machines.weekly_lagged[:, None, :]
    spread = np.sqrt(week.var(axis=2) + (2.5 * machines.ambient) ** 2 + machines.noise**2)
    return spread, machines.base + week.min(axis=2) - 4 * np.abs(machines.ambient) - 4 * machines.noise


def as_read(machines: Machines, values: np.ndarray) -> np.ndarray:
    """Clip and round values of shape (n, s, t) to the sensors' minimum and resolution."""
    steps = machines.steps_per_unit[..., None]
    read: np.ndarray = np.rint(np.maximum(values, machines.lowest[..., None]) * steps) / steps
    return read
