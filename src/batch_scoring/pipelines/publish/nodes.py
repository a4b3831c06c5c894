"""Nodes of the ``publish`` pipeline: what a simulated fleet measures, as events with faults of delivery."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.datasets.arrow_parquet import Stream
from batch_scoring.ids import Selection
from batch_scoring.parameters import read_parameters
from batch_scoring.pipelines.publish.bodies import EVENT, event_table
from batch_scoring.pipelines.publish.settings import PublishParameters
from batch_scoring.pipelines.simulate.fleet import Fleet, build_fleet, day_spans
from batch_scoring.pipelines.simulate.simulation import Simulation

log = logging.getLogger(__name__)

# Sent together, device by device: a device's readings stay in order, devices need not.
READINGS_A_ROUND = 10_000

_DELIVERY_FAULTS = 7  # the purpose of the random numbers drawn here; see Simulation.generator


def publish_readings(
    simulation: Mapping[str, Any], parameters: Mapping[str, Any], device: Any, sensor: Any
) -> Stream:
    """Simulate a fleet, and send its readings as events.

    Parameters
    ----------
    simulation : mapping
        The group ``simulate``: the same settings give the same readings as the files of ``simulate``.
    parameters : mapping
        The group ``publish``; see :class:`~batch_scoring.pipelines.publish.settings.PublishParameters`.
    device, sensor
        What of the fleet; see :meth:`batch_scoring.ids.Selection.read`.

    Returns
    -------
    Stream
        device, body (JSON, UTF-8) and due (seconds after the start); one table a round.

    Raises
    ------
    InputError
        When a setting makes no sense or a selected id is not simulated.
    """
    settings = read_parameters(PublishParameters, parameters, "publish")
    fleet = build_fleet(read_parameters(Simulation, simulation, "simulate"), Selection.read(device, sensor))
    log.info("publishing %d days of %d devices", fleet.simulation.days, len(fleet.devices))
    return Stream(EVENT, _rounds(fleet, settings))


def _rounds(fleet: Fleet, settings: PublishParameters) -> Iterator[pa.Table]:
    """The events of each round with the faults of their delivery; in the end what was held back."""
    rate, sent, n = settings.readings_per_second, 0, 0
    # A round is sent at its end: at a slow rate rounds are short, so that readings trickle.
    step = READINGS_A_ROUND if rate is None else int(min(READINGS_A_ROUND, max(1, rate)))
    held = EVENT.empty_table()
    for day in range(fleet.simulation.days):
        for span in day_spans(fleet, day):
            for start in range(0, span.num_rows, step):
                readings = span.slice(start, step)
                sent += readings.num_rows
                due = sent / rate if rate is not None else 0.0
                events = event_table(readings, settings.readings_per_event, due)
                generator = fleet.simulation.generator(_DELIVERY_FAULTS, n)
                now, later = _disturb(events, settings, generator)
                yield pa.concat_tables([now, _at(held, due)])
                held, n = later, n + 1
    yield held


def _disturb(
    events: pa.Table, settings: PublishParameters, generator: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Which events go out now, and which with the next round: late ones, and others a second time."""
    late, twice, cut = (
        generator.random(events.num_rows) < share
        for share in (settings.disorder_share, settings.duplicate_share, settings.malformed_share)
    )
    bodies = [
        body[: len(body) // 2] if is_cut else body
        for body, is_cut in zip(events["body"].to_pylist(), cut, strict=True)
    ]
    events = events.set_column(1, EVENT.field("body"), pa.array(bodies, pa.binary()))
    return events.filter(pa.array(~late)), events.filter(pa.array(late | twice))


def _at(events: pa.Table, due: float) -> pa.Table:
    return events.set_column(2, EVENT.field("due"), pa.repeat(pa.scalar(due), events.num_rows))
