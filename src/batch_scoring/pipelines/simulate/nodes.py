"""The node of ``simulate``: the readings of a simulated fleet, and the labels of its faults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters
from batch_scoring.simulation.fleet import WHOLE_FLEET
from batch_scoring.simulation.scenarios import Simulated, build
from batch_scoring.simulation.settings import Simulation, simulation_digest
from batch_scoring.tables.schemas import FAULT_LABELS
from batch_scoring.tables.streams import Stream

log = logging.getLogger(__name__)

Files = Iterator[Mapping[str, Stream | pa.Table]]


def simulate(
    parameters: Mapping[str, Any], device: Any, sensor: Any, readings: str | None
) -> Callable[[Mapping[str, str]], Files]:
    """Return the function that simulates what does not exist yet, given the days that do.

    Parameters
    ----------
    parameters, device, sensor, readings
        See :func:`simulate_readings`.

    Returns
    -------
    callable
        It yields ``fault_labels``, then one day each.
    """
    labels = label_faults(parameters, device, sensor, readings)

    def files(there: Mapping[str, str]) -> Files:
        yield {"fault_labels": labels}
        yield from simulate_readings(parameters, device, sensor, readings, there)

    return files


def simulate_readings(
    parameters: Mapping[str, Any],
    device: Any,
    sensor: Any,
    readings: str | None,
    previous_simulation: Mapping[str, str],
) -> Iterator[dict[str, Stream]]:
    """Simulate the days that do not exist yet.

    Parameters
    ----------
    parameters : mapping
        The group ``simulate``; see :class:`~batch_scoring.simulation.settings.Simulation`.
    device, sensor
        What to simulate of the fleet; see :meth:`batch_scoring.core.ids.Selection.read`.
    readings : str or None
        Where the user's own readings are; then nothing is simulated.
    previous_simulation : mapping of str to str
        The days simulated already, and the digest of the settings of each.

    Yields
    ------
    dict of str to Stream
        One day each, by its date; empty when there is nothing to do.

    Raises
    ------
    InputError
        When a setting is not valid or a selected id is not simulated.
    """
    if readings is not None:
        log.info("simulate: skipped, readings come from %r", readings)
        yield {}
        return
    fleet = _build(parameters, device, sensor)
    simulation = fleet.simulation
    days = [simulation.day(index).isoformat() for index in range(simulation.days)]
    # A day of the whole fleet holds what a selection asks for: it is kept, not thinned out.
    there = {simulation_digest(simulation, one) for one in (fleet.selection, WHOLE_FLEET)}
    missing = [index for index, day in enumerate(days) if previous_simulation.get(day) not in there]
    _warn_of_others(days, previous_simulation, there)
    if not missing:
        log.info("all %d days of the simulated fleet exist already", len(days))
        yield {}
        return
    n_devices, n_sensors, n_faults = fleet.size
    log.info(
        "simulating %d of %d days of %d devices with %d sensors each, a reading every %s; "
        "%d faults and events",
        *(len(missing), len(days), n_devices, n_sensors, simulation.interval, n_faults),
    )
    for index in missing:
        yield {days[index]: Stream(fleet.schema, fleet.spans(index))}


def label_faults(parameters: Mapping[str, Any], device: Any, sensor: Any, readings: str | None) -> pa.Table:
    """Return the faults in the simulated readings, and when they occur.

    Parameters
    ----------
    parameters, device, sensor, readings
        As in :func:`simulate_readings`.

    Returns
    -------
    pyarrow.Table
        device, sensor, kind, start, end (UTC, half-open), size; no rows for the user's own readings.

    Raises
    ------
    InputError
        When a setting is not valid or a selected id is not simulated.
    """
    if readings is not None:
        return FAULT_LABELS.empty_table()
    return _build(parameters, device, sensor).labels()


def _build(parameters: Mapping[str, Any], device: Any, sensor: Any) -> Simulated:
    return build(read_parameters(Simulation, parameters, "simulate"), Selection.read(device, sensor))


def _warn_of_others(days: list[str], previous: Mapping[str, str], there: set[str]) -> None:
    """Warn of files of another simulation: its readings may have been ingested."""
    others = [day for day, digest in sorted(previous.items()) if day not in days or digest not in there]
    if others:
        log.warning(
            "%d days were simulated with other settings (first %r); readings ingested from them stay: "
            "start with an empty data folder unless you want both",
            *(len(others), others[0]),
        )
