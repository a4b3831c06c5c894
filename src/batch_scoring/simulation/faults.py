"""Schedule faults of the simulated fleet, apply them to the values, and label them."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from batch_scoring.simulation.physics import Machines, as_read, normal_range, signal_at
from batch_scoring.simulation.settings import FaultRates, Simulation
from batch_scoring.tables.schemas import FAULT_LABELS, TIMESTAMP

KINDS = tuple(field.name for field in dataclasses.fields(FaultRates))
SPIKE, LEVEL_SHIFT, DRIFT, STUCK_VALUE, NOISE_BURST, DROPOUT = range(len(KINDS))

# Shortest and longest, in hours; drawn evenly on a logarithmic scale.
DURATION_HOURS = np.array([[1 / 60, 5 / 60], [2, 10], [10, 36], [2, 8], [0.5, 4], [1, 6]])

# Smallest and largest: some are plain to see, some are not. Spikes and noise bursts stand out from
# the readings next to them and are measured in sigmas of the noise; shifts and drifts stand out from
# what is usual in a week, and are measured in sigmas of that spread. Hence not one unit for all.
SIZE_SIGMAS = np.array([[5, 25], [0.5, 1.8], [0.7, 2.2], [math.nan, math.nan], [2, 7], [math.nan, math.nan]])

_FAULTS = 2  # the purpose of the random numbers drawn here; see Simulation.generator


@dataclass(frozen=True)
class Faults:
    """Faults as arrays of one length, by device, sensor and start.

    Attributes
    ----------
    kind : int64 array
        Position in ``KINDS``.
    device, sensor : int64 arrays
        Positions among all devices and sensors of the fleet.
    first, last : int64 arrays
        Grid cells, half-open: ``[first, last)``.
    size : float64 array
        In sigmas, negative where the value goes down; NaN for stuck_value and dropout.
    draw : float64 array
        A standard normal number: the noise that a stuck value stays with.
    """

    kind: np.ndarray
    device: np.ndarray
    sensor: np.ndarray
    first: np.ndarray
    last: np.ndarray
    size: np.ndarray
    draw: np.ndarray

    def take(self, which: np.ndarray) -> Faults:
        """Select the faults at these positions, or where this mask is true."""
        return Faults(*(getattr(self, f.name)[which] for f in dataclasses.fields(self)))


@lru_cache(maxsize=4)
def schedule_faults(simulation: Simulation) -> Faults:
    """Draw the faults of the whole fleet; no two faults of a sensor overlap.

    The number of faults of a kind is its rate times the number of devices. They strike different
    (device, sensor) pairs as long as there are any left, within the last share of the time.
    """
    rates = np.array([getattr(simulation.faults_per_device, kind) for kind in KINDS])
    kinds = np.repeat(np.arange(len(KINDS)), np.floor(rates * simulation.devices + 0.5).astype(np.int64))
    generator = simulation.generator(_FAULTS)
    kind = generator.permutation(kinds)
    n_sensors = len(simulation.sensor_names)
    n_pairs = simulation.devices * n_sensors
    turn, place = np.divmod(np.arange(len(kind)), n_pairs)
    pair = generator.permutation(n_pairs)[place]
    n_cells = simulation.days * simulation.readings_per_day
    zone_first = n_cells - math.floor(simulation.faults_in_last_share * n_cells)
    turns = np.linspace(zone_first, n_cells, int(turn.max(initial=0)) + 2).astype(np.int64)
    room = turns[turn + 1] - turns[turn]
    u = generator.random((4, len(kind)))
    duration = _between(np.log(DURATION_HOURS[kind]), u[0])
    length = np.minimum(np.maximum(np.rint(np.exp(duration) / simulation.interval_hours), 1), room).astype(
        np.int64
    )
    first = turns[turn] + (u[1] * (room - length + 1)).astype(np.int64)
    size = _between(SIZE_SIGMAS[kind], u[2]) * np.where(u[3] < 0.5, -1, 1)
    draw = generator.standard_normal(len(kind))
    device, sensor = np.divmod(pair, n_sensors)
    faults = Faults(kind, device, sensor, first, first + length, size, draw)
    order = np.lexsort((first, sensor, device))
    return faults.take(order[length[order] > 0])


def _between(bounds: np.ndarray, share: np.ndarray) -> np.ndarray:
    between: np.ndarray = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * share
    return between


@dataclass(frozen=True)
class Breakage:
    """Faults of chosen devices and sensors, as :func:`break_values` needs them.

    Attributes
    ----------
    faults : Faults
        With the signs of their sizes settled.
    row, column : int64 arrays
        Positions of each fault's device and sensor among the chosen ones.
    amount : float64 array
        The size in the unit of the sensor; for a noise burst in sigmas of noise.
    frozen : float64 array
        What the sensor read when the fault began, in its unit.
    """

    faults: Faults
    row: np.ndarray
    column: np.ndarray
    amount: np.ndarray
    frozen: np.ndarray


def plan_breakage(
    simulation: Simulation, machines: Machines, devices: np.ndarray, sensors: np.ndarray, monday_hours: int
) -> Breakage:
    """Compute the faults of the selected devices and sensors in their own units.

    Parameters
    ----------
    machines : Machines
        The chosen ones.
    devices, sensors : int64 arrays
        Their positions in the fleet, ascending.
    monday_hours : int
        Hours from Monday 00:00 UTC to the start of the simulation.
    """
    faults = schedule_faults(simulation)
    faults = faults.take(np.isin(faults.device, devices) & np.isin(faults.sensor, sensors))
    row, column = np.searchsorted(devices, faults.device), np.searchsorted(sensors, faults.sensor)
    broken = machines.rows(row)
    at = np.arange(len(row))
    hours = faults.first[:, None] * simulation.interval_hours
    signal, noise = signal_at(broken, hours, monday_hours)
    frozen = as_read(broken, signal + noise * faults.draw[:, None, None])[at, column, 0]
    spread, least = (one[at, column] for one in normal_range(broken))
    sigma = np.where(faults.kind == SPIKE, noise[at, column, 0], spread)
    # A machine that stands still cannot draw less than no power: where there is no room below, up it goes.
    no_room = least - np.abs(faults.size) * sigma < broken.lowest[at, column]
    up = no_room | (faults.kind == NOISE_BURST)
    size = np.where(up, np.abs(faults.size), faults.size)
    amount = np.where(faults.kind == NOISE_BURST, size, size * sigma)
    return Breakage(dataclasses.replace(faults, size=size), row, column, amount, frozen)


@dataclass(frozen=True)
class Broken:
    """The cells of an (n, s, t) block that faults touch, one entry a cell; no cell twice."""

    fault: np.ndarray
    cells: tuple[np.ndarray, np.ndarray, np.ndarray]


def broken_cells(breakage: Breakage, rows: np.ndarray, first: int, last: int) -> Broken:
    """Find the cells of the grid span ``[first, last)`` that faults touch.

    Parameters
    ----------
    rows : int64 array
        The block's devices, as positions among the chosen ones.
    first, last : int
        Grid cells.
    """
    faults = breakage.faults
    begin, end = np.maximum(faults.first, first), np.minimum(faults.last, last)
    place = np.full(int(max(rows.max(initial=-1), breakage.row.max(initial=-1))) + 1, -1)
    place[rows] = np.arange(len(rows))
    active = np.flatnonzero((begin < end) & (place[breakage.row] >= 0))
    length = (end - begin)[active]
    fault = np.repeat(active, length)
    within = np.arange(len(fault)) - np.repeat(np.cumsum(length) - length, length)
    cells = (place[breakage.row[fault]], breakage.column[fault], begin[fault] - first + within)
    return Broken(fault, cells)


def break_values(
    values: np.ndarray, deviation: np.ndarray, breakage: Breakage, broken: Broken, first: int
) -> None:
    """Apply faults to the values of a block, in place. Dropouts change counts, not values.

    Parameters
    ----------
    values : float64 array of shape (n, s, t)
        In the unit of each sensor.
    deviation : array of shape (n, s, t)
        How far noise moved each of them.
    breakage, broken
        From :func:`plan_breakage` and :func:`broken_cells`.
    first : int
        The grid cell of the block's first column.
    """
    faults, fault, cells = breakage.faults, broken.fault, broken.cells
    kind, amount = faults.kind[fault], breakage.amount[fault]
    since = cells[2] + first - faults.first[fault]
    done = (since + 1) / (faults.last - faults.first)[fault]
    fading = 0.7**since  # a spike is highest at its first reading
    changes = np.select(
        [kind == SPIKE, kind == LEVEL_SHIFT, kind == DRIFT, kind == NOISE_BURST],
        [amount * fading, amount, amount * done, amount * deviation[cells]],
    )
    values[cells] = np.where(kind == STUCK_VALUE, breakage.frozen[fault], values[cells] + changes)


def label_table(simulation: Simulation, faults: Faults) -> pa.Table:
    """Tabulate the faults.

    Returns
    -------
    pyarrow.Table
        Schema ``FAULT_LABELS``, sorted by device, sensor and start. ``[start, end)`` in UTC. ``size``
        in sigmas: of the noise for spike (negative: downwards) and noise_burst (how much it adds to
        the noise), of the sensor's spread over a week for level_shift and drift (reached at its end);
        null for stuck_value and dropout.
    """
    names = [simulation.device_names, simulation.sensor_names, KINDS]
    columns = [
        pa.array(text, pa.string()).take(pa.array(index))
        for text, index in zip(names, [faults.device, faults.sensor, faults.kind], strict=True)
    ]
    times = [pa.array(simulation.microseconds(cell), TIMESTAMP) for cell in (faults.first, faults.last)]
    size = pa.array(np.round(faults.size, 2), mask=np.isnan(faults.size))
    return pa.table([*columns, *times, size], schema=FAULT_LABELS)
