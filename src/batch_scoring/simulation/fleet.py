"""Simulate the readings of a fleet as tables in order of arrival, a span of a day at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.ids import Selection
from batch_scoring.simulation.faults import (
    DROPOUT,
    Breakage,
    break_values,
    broken_cells,
    label_table,
    plan_breakage,
)
from batch_scoring.simulation.outages import gap_mask, late_of_day, late_slices, outage_mask
from batch_scoring.simulation.physics import Machines, as_read, draw_machines, signal_at
from batch_scoring.simulation.settings import Simulation, selected_indices, simulation_digest
from batch_scoring.tables.schemas import FAULT_LABELS, READINGS, TIMESTAMP

WHOLE_FLEET = Selection()

# About ten arrays of 8 bytes each are held at a time for a span of this many readings.
SPAN_READINGS = 1_000_000

# What a broken sensor or gateway sends: nothing, "n/a", an overflow, "no signal", a full register.
MALFORMED_VALUES = np.array([np.nan, np.nan, np.inf, -9999.0, 65535.0])
_NULL = 0  # position of the one that is null, not NaN

_MACHINES, _NOISE, _DELIVERY = 1, 5, 6  # purposes of random numbers; see Simulation.generator


@dataclass(frozen=True)
class Fleet:
    """A simulated fleet, or the selected part of it.

    Attributes
    ----------
    devices, sensors : int64 arrays
        Positions of the chosen ones among all, ascending.
    machines : Machines
        The chosen ones.
    breakage : Breakage
        Their faults.
    """

    simulation: Simulation
    selection: Selection
    devices: np.ndarray
    sensors: np.ndarray
    machines: Machines
    breakage: Breakage

    @property
    def schema(self) -> pa.Schema:
        """Schema of a day's table; its metadata ``simulation`` is the digest of the settings."""
        return READINGS.with_metadata({"simulation": simulation_digest(self.simulation, self.selection)})

    @property
    def size(self) -> tuple[int, int, int]:
        """Return the number of devices, sensors and faults."""
        return len(self.devices), len(self.sensors), len(self.breakage.faults.kind)

    def spans(self, day: int) -> Iterator[pa.Table]:
        """Simulate the arrivals of the index-th day, from 0, in tables of about ``SPAN_READINGS`` rows.

        Any day can be made alone, in any order, with the same result. Rows are in order of arrival:
        by time, device and sensor, but readings that waited for a broken link where the link came back.
        """
        all_rows = np.arange(len(self.devices))
        tonight = late_of_day(self.simulation, day)
        for span in _spans(self, day):
            sent = ~outage_mask(tonight, self.devices, span.first, span.last)
            arrived = _measure(self, span, all_rows, sent)
            yield _arrival_table(self, _with_late(self, day, arrived) if span.begin == 0 else arrived)

    def labels(self) -> pa.Table:
        """Label faults and wild readings, sorted by device, sensor and start; schema ``FAULT_LABELS``."""
        order = [(name, "ascending") for name in ("device", "sensor", "start")]
        return pa.concat_tables([self.faults(), self.wild_readings()]).sort_by(order).combine_chunks()

    def faults(self) -> pa.Table:
        """Label the fleet's faults; see :func:`~batch_scoring.simulation.faults.label_table`."""
        return label_table(self.simulation, self.breakage.faults)

    def wild_readings(self) -> pa.Table:
        """Label the single readings far out of range that are sent; schema ``FAULT_LABELS``.

        No fault: ``kind`` is ``wild_reading``, ``size`` the value, the interval one reading long.
        """
        simulation, rows = self.simulation, np.arange(len(self.devices))
        found = []
        for span in (span for day in range(simulation.days) for span in _spans(self, day)):
            uniform = _drawn(self, span, self.devices, _DELIVERY, np.random.Generator.random)
            uniform[broken_cells(self.breakage, rows, span.first, span.last).cells] = 0
            values, _ = _malform(np.zeros(uniform.shape), uniform, simulation.malformed_share)
            values[~np.isfinite(values)] = 0  # they are refused
            values *= ~gap_mask(simulation, span.day, self.devices, span.first, span.last)[:, None, :]
            found += [
                (
                    simulation.device_names[self.devices[r]],
                    simulation.sensor_names[self.sensors[c]],
                    "wild_reading",
                    *simulation.microseconds(np.array([t, t + 1]) + span.first).tolist(),
                    values[r, c, t],
                )
                for r, c, t in zip(*np.nonzero(values), strict=True)
            ]
        columns = zip(*found, strict=True) if found else [[] for _ in FAULT_LABELS]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, FAULT_LABELS, strict=True)]
        return pa.table(arrays, schema=FAULT_LABELS)


def build_fleet(simulation: Simulation, selection: Selection = WHOLE_FLEET) -> Fleet:
    """Draw the machines of a fleet and plan their faults.

    Raises
    ------
    InputError
        When a selected device or sensor is not simulated.

    Examples
    --------
    >>> from datetime import timedelta
    >>> whole = {"gaps_per_device_day": 0, "duplicate_share": 0}
    >>> fleet = build_fleet(Simulation(devices=2, days=1, interval=timedelta(hours=1), **whole))
    >>> sum(readings.num_rows for readings in fleet.spans(0))
    192
    """
    devices, sensors = selected_indices(simulation, selection)
    machines = draw_machines(
        simulation.generator(_MACHINES), simulation.sensor_physics, simulation.devices, devices, sensors
    )
    breakage = plan_breakage(simulation, machines, devices, sensors, _monday_hours(simulation))
    return Fleet(simulation, selection, devices, sensors, machines, breakage)


@dataclass(frozen=True)
class _Span:
    """Some slices ``[begin, end)`` of a day, and the grid cells ``[first, last)`` they hold."""

    day: int
    begin: int
    end: int
    first: int
    last: int

    @classmethod
    def of_day(cls, simulation: Simulation, day: int, begin: int, end: int) -> _Span:
        per_slice = simulation.readings_per_day // simulation.slices_per_day
        midnight = day * simulation.readings_per_day
        return cls(day, begin, end, midnight + begin * per_slice, midnight + end * per_slice)


def _spans(fleet: Fleet, day: int) -> Iterator[_Span]:
    """Yield the spans of a day, each of as many slices; their number divides the day."""
    slices = fleet.simulation.slices_per_day
    per_slice = len(fleet.devices) * len(fleet.sensors) * fleet.simulation.readings_per_day // slices
    fitting = max(1, min(slices, SPAN_READINGS // per_slice))
    step = next(step for step in range(fitting, 0, -1) if slices % step == 0)
    for begin in range(0, slices, step):
        yield _Span.of_day(fleet.simulation, day, begin, begin + step)


def _monday_hours(simulation: Simulation) -> int:
    return simulation.day(0).weekday() * 24


@dataclass(frozen=True)
class _Arrivals:
    """Readings, one entry a row, in order of arrival.

    Attributes
    ----------
    cell : int64 array
        The grid cell of the reading's time.
    row, column : int64 arrays
        Positions of device and sensor among the chosen ones.
    value : float64 array
    missing : bool array
        Where the value is null.
    """

    cell: np.ndarray
    row: np.ndarray
    column: np.ndarray
    value: np.ndarray
    missing: np.ndarray

    def then(self, other: _Arrivals) -> _Arrivals:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Arrivals(*(np.concatenate(pair) for pair in pairs))

    def take(self, order: np.ndarray) -> _Arrivals:
        return _Arrivals(*(one[order] for one in vars(self).values()))


def _with_late(fleet: Fleet, day: int, arrived: _Arrivals) -> _Arrivals:
    """Prepend the late readings of the evening before, and sort all by arrival."""
    simulation = fleet.simulation
    cut = late_of_day(simulation, day - 1)
    back = np.zeros(simulation.devices, np.int64)
    back[cut.device] = cut.last
    rows = np.flatnonzero(back[fleet.devices])
    if not len(rows):
        return arrived
    slices = simulation.slices_per_day
    evening = _Span.of_day(simulation, day - 1, slices - late_slices(simulation), slices)
    waiting = outage_mask(cut, fleet.devices[rows], evening.first, evening.last)
    everything = _measure(fleet, evening, rows, waiting).then(arrived)
    arrival = np.maximum(everything.cell, back[fleet.devices][everything.row])
    return everything.take(np.argsort(arrival, kind="stable"))


def _measure(fleet: Fleet, span: _Span, rows: np.ndarray, wanted: np.ndarray) -> _Arrivals:
    """Simulate the readings of the selected devices in a span.

    Parameters
    ----------
    rows : int64 array of length n
        Positions of devices among the chosen ones.
    wanted : bool array of shape (n, t)
        When to take those of each device; gaps and dropouts leave more out.
    """
    simulation, devices = fleet.simulation, fleet.devices[rows]
    machines = fleet.machines if len(rows) == len(fleet.devices) else fleet.machines.rows(rows)
    hours = np.arange(span.first, span.last)[None, :] * simulation.interval_hours
    values, sigma = signal_at(machines, hours, _monday_hours(simulation))
    normal = _drawn(fleet, span, devices, _NOISE, np.random.Generator.standard_normal)
    uniform = _drawn(fleet, span, devices, _DELIVERY, np.random.Generator.random)
    deviation = np.multiply(normal, sigma, out=sigma)
    values += deviation
    broken = broken_cells(fleet.breakage, rows, span.first, span.last)
    break_values(values, deviation, fleet.breakage, broken, span.first)
    values = as_read(machines, values)

    # One uniform number a reading: the lowest are sent twice, the highest are malformed.
    counts = 1 + (uniform < simulation.duplicate_share).astype(np.int8)
    dropout = fleet.breakage.faults.kind[broken.fault] == DROPOUT
    counts[tuple(axis[dropout] for axis in broken.cells)] = 0
    taken = wanted & ~gap_mask(simulation, span.day, devices, span.first, span.last)
    counts *= taken[:, None, :]
    uniform[broken.cells] = 0  # a malformed value amid a fault would hide it
    return _in_order(counts, _malform(values, uniform, simulation.malformed_share), rows, span.first)


def _drawn(
    fleet: Fleet, span: _Span, devices: np.ndarray, purpose: int, draw: Callable[..., np.ndarray]
) -> np.ndarray:
    """Draw a random number for each reading, float32 array of shape (n, s, t).

    They are drawn a slice at a time for all devices up to the last one, so that neither the
    selection nor the length of the span changes them.
    """
    simulation = fleet.simulation
    per_slice = simulation.readings_per_day // simulation.slices_per_day
    shape = (int(devices.max()) + 1, len(simulation.sensor_names), per_slice)
    chosen = np.ix_(devices, fleet.sensors)
    drawn = np.empty((len(devices), len(fleet.sensors), span.end - span.begin, per_slice), np.float32)
    for at, slice_ in enumerate(range(span.begin, span.end)):
        drawn[:, :, at] = draw(simulation.generator(purpose, span.day, slice_), shape, np.float32)[chosen]
    return drawn.reshape((*drawn.shape[:2], -1))


def _malform(values: np.ndarray, uniform: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Replace the values whose number is among the highest ``share``; return which of them are null."""
    missing = np.zeros(values.shape, bool)
    struck = np.nonzero(uniform > 1 - share)
    rank = (1 - uniform[struck].astype(np.float64)) / (share or 1)  # even in [0, 1)
    which = (rank * len(MALFORMED_VALUES)).astype(np.int64)
    values[struck] = MALFORMED_VALUES[which]
    missing[struck] = which == _NULL
    return values, missing


def _in_order(
    counts: np.ndarray, values: tuple[np.ndarray, np.ndarray], rows: np.ndarray, first: int
) -> _Arrivals:
    """Flatten blocks of shape (n, s, t) to rows by time, device and sensor, each as often as it was sent."""
    n_devices, n_sensors, _ = counts.shape
    sent, value, missing = (np.ascontiguousarray(one.transpose(2, 0, 1)).ravel() for one in (counts, *values))
    at = np.repeat(np.arange(len(sent)), sent)
    pair, column = np.divmod(at, n_sensors)
    cell, row = np.divmod(pair, n_devices)
    return _Arrivals(first + cell, rows[row], column, value[at], missing[at])


def _arrival_table(fleet: Fleet, arrivals: _Arrivals) -> pa.Table:
    simulation = fleet.simulation
    devices = pa.array(simulation.device_names, pa.string()).take(pa.array(fleet.devices[arrivals.row]))
    sensors = pa.array(simulation.sensor_names, pa.string()).take(pa.array(fleet.sensors[arrivals.column]))
    time = pa.array(simulation.microseconds(arrivals.cell), TIMESTAMP)
    value = pa.array(arrivals.value, pa.float64(), mask=arrivals.missing, from_pandas=False)
    return pa.table([time, devices, sensors, value], schema=fleet.schema)
