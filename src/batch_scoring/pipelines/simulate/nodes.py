"""The node of ``simulate``: the readings of a simulated fleet, and the labels of its faults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters
from batch_scoring.core.text import number, read_length
from batch_scoring.simulation.fleet import WHOLE_FLEET
from batch_scoring.simulation.scenarios import Simulated, build
from batch_scoring.simulation.settings import Simulation, simulation_digest
from batch_scoring.tables.schemas import FAULT_LABELS
from batch_scoring.tables.streams import Stream

log = logging.getLogger(__name__)

LABELS = "fault_labels"
Files = Iterator[Mapping[str, Stream | pa.Table]]


def simulate_readings(
    parameters: Mapping[str, Any], device: Any, sensor: Any, readings: str | None
) -> Callable[[Mapping[str, str]], Files]:
    """Return the function that labels the faults, and simulates the days that do not exist yet.

    Parameters
    ----------
    parameters : mapping
        The group ``simulate``; see :class:`~batch_scoring.simulation.settings.Simulation`.
    device, sensor
        What to simulate of the fleet; see :meth:`batch_scoring.core.ids.Selection.read`.
    readings : str or None
        Where the user's own readings are; then nothing is simulated.

    Returns
    -------
    callable
        It takes the days simulated already, with the digest of the settings of each. It yields
        ``fault_labels``, schema FAULT_LABELS, without rows for the user's own readings; then one day each, by
        its date.

    Raises
    ------
    InputError
        When a setting is not valid or a selected id is not simulated.
    """
    if readings is not None:
        log.info("simulate: skipped, readings come from %r", readings)
        return lambda _: iter([{LABELS: FAULT_LABELS.empty_table()}])
    simulation = read_parameters(Simulation, parameters, "simulate")
    return partial(_files, build(simulation, Selection.read(device, sensor)))


def _files(fleet: Simulated, there: Mapping[str, str]) -> Files:
    yield {LABELS: fleet.labels()}
    simulation = fleet.simulation
    days = [simulation.day(index).isoformat() for index in range(simulation.days)]
    # A day of the whole fleet holds what a selection asks for: it is kept, not thinned out.
    wanted = {simulation_digest(simulation, one) for one in (fleet.selection, WHOLE_FLEET)}
    missing = [index for index, day in enumerate(days) if there.get(day) not in wanted]
    _warn_of_others(days, there, wanted)
    if not missing:
        log.info("all %d days of the simulated fleet exist already", len(days))
        return
    n_devices, n_sensors, n_faults = fleet.size
    log.info(
        "simulating %d of %s of %s with %s each, a reading every %s; faults and events: %d",
        *(len(missing), number(len(days), "day")),
        *(number(n_devices, "device"), number(n_sensors, "sensor")),
        *(read_length(simulation.interval.total_seconds()), n_faults),
    )
    for index in missing:
        yield {days[index]: Stream(fleet.schema, fleet.spans(index))}


def _warn_of_others(days: list[str], there: Mapping[str, str], wanted: set[str]) -> None:
    """Warn of files of another simulation: its readings may have been ingested."""
    others = [day for day, digest in sorted(there.items()) if day not in days or digest not in wanted]
    if others:
        log.warning(
            "%d days were simulated with other settings (first %r); readings ingested from them stay: "
            "start with an empty data folder unless you want both",
            *(len(others), others[0]),
        )
