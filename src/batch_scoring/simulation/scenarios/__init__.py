"""What the simulator can simulate: a fleet with faults, of any size, or a plant with a life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Protocol

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.simulation.fleet import WHOLE_FLEET, build_fleet
from batch_scoring.simulation.scenarios.plant import Plant, Scenario
from batch_scoring.simulation.scenarios.three_weeks import THREE_WEEKS
from batch_scoring.simulation.settings import FAULTS, Simulation

SCENARIOS: dict[str, Scenario] = {"three_weeks": THREE_WEEKS}


class Simulated(Protocol):
    """A simulated fleet, or the selected part of it: readings day by day, and labels.

    ``Fleet`` and ``Plant`` implement it; ``simulate`` and ``publish`` call it.
    """

    @property
    def simulation(self) -> Simulation:
        """The settings, with the days and times that are simulated."""

    @property
    def selection(self) -> Selection:
        """What of the fleet."""

    @property
    def schema(self) -> pa.Schema:
        """Schema of a day's table; its metadata ``simulation`` is the digest of the settings."""

    @property
    def size(self) -> tuple[int, int, int]:
        """The number of devices, of sensors, and of what happens to them."""

    def spans(self, day: int) -> Iterator[pa.Table]:
        """Return the arrivals of the index-th day, from 0, in tables that fit the memory."""

    def labels(self) -> pa.Table:
        """Label what happens; schema ``FAULT_LABELS``."""


def build(simulation: Simulation, selection: Selection = WHOLE_FLEET) -> Simulated:
    """Build what ``simulate.scenario`` asks for.

    Raises
    ------
    InputError
        When there is no such scenario, when it has settings that belong to another one, or when a selected
        device or sensor is not simulated.
    """
    if simulation.scenario == FAULTS:
        return build_fleet(simulation, selection)
    scenario = SCENARIOS[simulation.scenario]
    default = Simulation()
    for field in fields(simulation):
        own = getattr(simulation, field.name)
        if field.name not in ("seed", "scenario") and own != getattr(default, field.name):
            raise InputError(
                f"simulate.{field.name}: the scenario {simulation.scenario!r} has its own; leave it out, or "
                f"set simulate.scenario to {FAULTS!r}"
            )
    return Plant(scenario, scenario.settings(simulation), selection)
