"""Small simulated fleets for tests, and what to ask of their tables."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.simulation.fleet import MALFORMED_VALUES, WHOLE_FLEET, Fleet, build_fleet
from batch_scoring.simulation.settings import FaultRates, Simulation

NO_FAULTS = FaultRates(0, 0, 0, 0, 0, 0)


def a_simulation(**settings: Any) -> Simulation:
    """Three devices, two sensors, three days, a reading every ten minutes; faults of every kind."""
    return Simulation(
        **{
            "devices": 3,
            "sensors": ("temperature", "vibration"),
            "days": 3,
            "interval": timedelta(minutes=10),
            "faults_per_device": FaultRates(0.4, 0.4, 0.4, 0.4, 0.4, 0.4),
            **settings,
        }
    )


def a_quiet_simulation(**settings: Any) -> Simulation:
    """The same without faults, gaps, late, duplicated and malformed readings."""
    quiet = {
        "faults_per_device": NO_FAULTS,
        "gaps_per_device_day": 0,
        "late_per_device_day": 0,
        "duplicate_share": 0,
        "malformed_share": 0,
    }
    return a_simulation(**(quiet | settings))


def day_table(fleet: Fleet, day: int) -> pa.Table:
    """What arrives on the index-th day, from 0, in order of arrival."""
    return pa.concat_tables(fleet.spans(day))


def simulate_fleet(simulation: Simulation, selection: Selection = WHOLE_FLEET) -> Iterator[pa.Table]:
    """What arrives on each day, in order of arrival: timestamp, device, sensor, value."""
    fleet = build_fleet(simulation, selection)
    return (day_table(fleet, day) for day in range(simulation.days))


def readings_of(table: pa.Table, device: str, sensor: str) -> pa.Table:
    mask = pc.and_(pc.equal(table["device"], device), pc.equal(table["sensor"], sensor))
    return table.filter(mask).sort_by("timestamp")


def during(table: pa.Table, fault: dict[str, Any]) -> np.ndarray:
    """The values of a fault's device and sensor during the fault."""
    own = readings_of(table, fault["device"], fault["sensor"])
    mask = pc.and_(
        pc.greater_equal(own["timestamp"], pa.scalar(fault["start"])),
        pc.less(own["timestamp"], pa.scalar(fault["end"])),
    )
    return own.filter(mask)["value"].to_numpy()


def is_malformed(values: np.ndarray) -> np.ndarray:
    return ~np.isfinite(values) | np.isin(values, MALFORMED_VALUES)
