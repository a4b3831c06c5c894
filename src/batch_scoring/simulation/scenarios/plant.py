"""Simulate the machines of a scenario: shifts give the load, the load the readings; then things happen.

Small plants only: all readings are held at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from batch_scoring.core.ids import Selection, require_known
from batch_scoring.simulation.physics import SENSOR_KINDS
from batch_scoring.simulation.scenarios.happenings import (
    IDLE,
    IN_MAINTENANCE,
    OFF,
    ON_LOAD,
    ON_SENDING,
    ON_VALUES,
    RUNNING,
    During,
    Happening,
)
from batch_scoring.simulation.scenarios.shifts import Shift, local_hour_of_week, shift_load
from batch_scoring.simulation.settings import Simulation, simulation_digest
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.schemas import FAULT_LABELS, READINGS, TIMESTAMP

COUNTER, STATE = "cycles", "state"
SENSORS = tuple(sorted([*SENSOR_KINDS, COUNTER, STATE]))

CYCLES_PER_HOUR = 240  # at full load
IDLE_LOAD = 0.08
LOST_SHARE = 0.001  # of the readings; the network loses them
WANDER_HOURS, WANDER_SIZE = 12.0, 0.04  # of the load
LAG_HOURS = 0.8  # of what is heated
DAILY_AMBIENT = 3.5  # °C

_MACHINES, _NOISE, _LOSSES = 11, 12, 13  # purposes of random numbers; see Simulation.generator


@dataclass(frozen=True)
class Machine:
    """A machine and its shifts; without one it idles, or is switched off."""

    name: str
    shifts: tuple[Shift, ...]
    is_switched_off: bool = False


@dataclass(frozen=True)
class Scenario:
    """A plant, and what happens in it.

    Attributes
    ----------
    zone : str
        Of the shifts and of the times of the happenings, an IANA name.
    start : datetime
        A midnight, UTC.
    interval : timedelta
        Between two readings of a sensor.
    happenings : tuple of Happening
        Where two touch the same readings, the later one in this list is applied to the result of the other.
    """

    zone: str
    start: datetime
    days: int
    interval: timedelta
    machines: tuple[Machine, ...]
    happenings: tuple[Happening, ...]

    def settings(self, simulation: Simulation) -> Simulation:
        """Return the settings with the scenario's times; its seed decides the random numbers."""
        return replace(
            simulation, devices=len(self.machines), start=self.start, days=self.days, interval=self.interval
        )


@dataclass(frozen=True)
class Plant:
    """The simulated machines of a scenario, n of them with s sensors at t times.

    Attributes
    ----------
    simulation : Simulation
        As :meth:`Scenario.settings` returns it.
    """

    scenario: Scenario
    simulation: Simulation
    selection: Selection

    def __post_init__(self) -> None:
        require_known("device", self.selection.devices, self.ids)
        require_known("sensor", self.selection.sensors, SENSORS)

    @property
    def schema(self) -> pa.Schema:
        """Schema of a day's table; its metadata ``simulation`` is the digest of the settings."""
        return READINGS.with_metadata({"simulation": simulation_digest(self.simulation, self.selection)})

    @cached_property
    def ids(self) -> list[str]:
        """All ids that send, sorted; a renamed machine has two."""
        new = [one.name for one in self.scenario.happenings if one.name]
        return sorted([*(machine.name for machine in self.scenario.machines), *new])

    @property
    def size(self) -> tuple[int, int, int]:
        """Return the number of devices and sensors, and of labelled happenings."""
        n_sensors = sum(map(self.selection.has_sensor, SENSORS))
        return sum(map(self.selection.has_device, self.ids)), n_sensors, len(self.scenario.happenings)

    def spans(self, day: int) -> Iterator[pa.Table]:
        """Return the arrivals of the index-th day, from 0, in order of time, device and sensor."""
        per_day = self.simulation.readings_per_day
        cells = slice(day * per_day, (day + 1) * per_day)
        rows = [row for row, name in enumerate(self.ids) if self.selection.has_device(name)]
        columns = [column for column, name in enumerate(SENSORS) if self.selection.has_sensor(name)]
        sent = self._sent[np.ix_(rows, columns)][..., cells].transpose(2, 0, 1)
        cell, row, column = np.nonzero(sent)
        machine = self._machine_of_id[rows][row]
        value = self._values[machine, np.array(columns)[column], cells.start + cell]
        names = [
            pa.array([pool[at] for at in chosen]) for pool, chosen in ((self.ids, rows), (SENSORS, columns))
        ]
        texts = [pool.take(pa.array(at)) for pool, at in zip(names, (row, column), strict=True)]
        time = pa.array(self.simulation.microseconds(cells.start + cell), TIMESTAMP)
        yield pa.table([time, *texts, pa.array(value)], schema=self.schema)

    def labels(self) -> pa.Table:
        """Label what happens to the selected devices and sensors; schema ``FAULT_LABELS``.

        A renamed machine's new id is labelled. Sizes are as in :class:`.Happening`.
        """
        rows = [
            {
                "device": self._id_at(machine, cells.start),
                "sensor": sensor,
                "kind": one.kind,
                "start": self.simulation.start + cells.start * self.simulation.interval,
                "end": self.simulation.start + cells.stop * self.simulation.interval,
                "size": None if np.isnan(one.size) else one.size,
            }
            for one in self.scenario.happenings
            for cells in [self._cells(one)]
            for machine in self._machines_of(one)
            for sensor in one.sensors or SENSORS
        ]
        kept = [
            row
            for row in rows
            if self.selection.has_device(row["device"]) and self.selection.has_sensor(row["sensor"])
        ]
        kept.sort(key=lambda row: (row["device"], row["sensor"], row["start"], row["kind"]))
        return pa.Table.from_pylist(kept, schema=FAULT_LABELS)

    @property
    def _n(self) -> int:
        return self.simulation.days * self.simulation.readings_per_day

    def _cells(self, one: Happening) -> slice:
        """Return the cells of a happening, at least one."""
        local = datetime.fromisoformat(one.begins).replace(tzinfo=ZoneInfo(self.scenario.zone))
        first = (local - self.simulation.start) // self.simulation.interval
        length = max(1.0, min(one.hours / self.simulation.interval_hours, self._n))
        return slice(first, min(first + round(length), self._n))

    def _machines_of(self, one: Happening) -> list[int]:
        names = [machine.name for machine in self.scenario.machines]
        return [names.index(name) for name in one.machines or names]

    def _id_at(self, machine: int, cell: int) -> str:
        renamed = [
            one.name
            for one in self.scenario.happenings
            if one.name and machine in self._machines_of(one) and cell >= self._cells(one).start
        ]
        return renamed[-1] if renamed else self.scenario.machines[machine].name

    @cached_property
    def _machine_of_id(self) -> Int:
        last = self._n
        at = {self._id_at(m, cell): m for m in range(len(self.scenario.machines)) for cell in (0, last)}
        return np.array([at[name] for name in self.ids])

    @cached_property
    def _load(self) -> tuple[Float, Int]:
        """The load, in shares of full load, and the state of the machines; shape (n, t)."""
        hours = self.simulation.interval_hours
        week = local_hour_of_week(self.simulation.start, self._n, hours, self.scenario.zone)
        load = np.stack([shift_load(one.shifts, week, hours) for one in self.scenario.machines])
        rests = np.array([OFF if one.is_switched_off else IDLE for one in self.scenario.machines])
        state = np.where(load > 0, RUNNING, rests[:, None])
        for one in self.scenario.happenings:
            if one.kind in ON_LOAD:
                effect, its_state = ON_LOAD[one.kind]
                rows, cells = self._machines_of(one), self._cells(one)
                load[rows, cells] = effect(self._during(one, np.zeros(0)))
                state[rows, cells] = its_state
        white = self.simulation.generator(_MACHINES).standard_normal(load.shape)
        # What is lagged has a smaller spread than what comes in, and begins within it: a machine's first day
        # is like the others.
        share = _share(WANDER_HOURS / hours)
        wander = _lagged(white, share, white[:, :1] * math.sqrt(share / (2 - share)))
        load = load * (1 + WANDER_SIZE * wander / wander.std())
        return np.where(state == IDLE, IDLE_LOAD, load), state

    @cached_property
    def _values(self) -> Float:
        """Readings of shape (n, s, t) in the unit of each sensor, whether they are sent or not."""
        load, state = self._load
        sensors = {name: self._physical(name, load, state) for name in SENSOR_KINDS}
        sensors |= {STATE: state.astype(np.float64), COUNTER: self._cycles(load, state)}
        values = np.stack([sensors[name] for name in SENSORS], axis=1)
        spread = values.std(axis=2, keepdims=True)
        for one in self.scenario.happenings:
            if one.kind in ON_VALUES:
                rows, cells = self._machines_of(one), self._cells(one)
                columns = [SENSORS.index(name) for name in one.sensors or SENSORS]
                block = np.ix_(np.array(rows), np.array(columns), np.arange(cells.start, cells.stop))
                during = self._during(one, spread[rows][:, columns])
                values[block] = ON_VALUES[one.kind](values[block], during)
        steps = [SENSOR_KINDS[name].steps_per_unit if name in SENSOR_KINDS else 1 for name in SENSORS]
        read: Float = np.rint(values * np.array(steps)[:, None]) / np.array(steps)[:, None]
        return read

    def _physical(self, name: str, load: Float, state: Int) -> Float:
        """Compute readings of shape (n, t), with noise."""
        kind, hours = SENSOR_KINDS[name], self.simulation.interval_hours
        generator = self.simulation.generator(_NOISE, SENSORS.index(name))
        gain, base = 0.85 + 0.3 * generator.random((2, len(load), 1))
        ambient = DAILY_AMBIENT * np.cos(2 * np.pi * (np.arange(self._n) * hours - 14) / 24)
        driven = kind.base * (0.7 + 0.3 * base) + kind.load * gain * load
        # A machine that is switched off has no pressure and draws no power, but it has a temperature.
        lagged = _lagged(load, _share(LAG_HOURS / hours), load[:, :1])
        value = driven if name == "temperature" else driven * (state != OFF)
        value = value + kind.lagged_load * gain * lagged + kind.ambient * ambient
        noise = kind.noise * (1 + kind.noise_with_load * load) * generator.standard_normal(load.shape)
        read: Float = np.maximum(value + np.where(state == OFF, 0.3, 1.0) * noise, kind.lowest)
        return read

    def _cycles(self, load: Float, state: Int) -> Float:
        """Count what was made since the last maintenance, shape (n, t)."""
        made = np.cumsum(load * (state == RUNNING), axis=1) * CYCLES_PER_HOUR * self.simulation.interval_hours
        at_last = np.maximum.accumulate(np.where(state == IN_MAINTENANCE, made, 0.0), axis=1)
        return np.floor(made - at_last)

    def _during(self, one: Happening, spread: Float) -> During:
        cells = self._cells(one)
        count = np.arange(cells.stop - cells.start)
        done = (count + 1) / len(count)
        return During(count * self.simulation.interval_hours, done, one.size, spread)

    @cached_property
    def _sent(self) -> Bool:
        """Which readings each id sends, shape (ids, s, t)."""
        shape = (len(self.scenario.machines), len(SENSORS), self._n)
        lost = self.simulation.generator(_LOSSES).random(shape) < LOST_SHARE
        sent = np.ones((len(self.ids), self._n), bool)
        for one in self.scenario.happenings:
            if one.kind in ON_SENDING:
                for machine in self._machines_of(one):
                    row, cells = self.ids.index(self.scenario.machines[machine].name), self._cells(one)
                    sent[row] = ON_SENDING[one.kind](sent[row], cells)
                    if one.name:
                        sent[self.ids.index(one.name)] = ~sent[row]
        return sent[:, None, :] & ~lost[self._machine_of_id]


def _share(cells: float) -> float:
    """Return how much of each value a first-order lag of this many cells lets through at once."""
    return 1 / max(cells, 1.0)


def _lagged(values: Float, share: float, before: Float) -> Float:
    """Pass values of shape (n, t) through a first-order lag that was at ``before``, shape (n, 1)."""
    from scipy.signal import lfilter, lfilter_zi

    numerator, denominator = [share], [1.0, share - 1.0]
    steady = lfilter_zi(numerator, denominator) * before
    lagged: Float = lfilter(numerator, denominator, values, axis=1, zi=steady)[0]
    return lagged
