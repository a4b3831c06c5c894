"""Nodes of ``publish``: send a simulated fleet's readings as events, with delivery faults."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.event_hub.settings import PublishParameters
from batch_scoring.simulation.events import EVENT, event_table
from batch_scoring.simulation.scenarios import Simulated, build
from batch_scoring.simulation.settings import Simulation
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.streams import Stream

log = logging.getLogger(__name__)

# Sent together, device by device: a device's readings stay in order, devices need not.
READINGS_A_ROUND = 10_000

_DELIVERY_FAULTS = 7  # the purpose of the random numbers drawn here; see Simulation.generator


def publish_readings(
    simulation: Mapping[str, Any], parameters: Mapping[str, Any], device: Any, sensor: Any, at: Any = None
) -> Stream:
    """Simulate a fleet, and send its readings as events.

    Parameters
    ----------
    simulation : mapping
        The group ``simulate``: the same settings give the same readings as the files of ``simulate``.
    parameters : mapping
        The group ``publish``; see :class:`~batch_scoring.event_hub.settings.PublishParameters`.
    device, sensor
        What of the fleet; see :meth:`batch_scoring.core.ids.Selection.read`.
    at
        The parameter ``at``, or None for now: with ``real_time`` what is measured before it is past.

    Returns
    -------
    Stream
        device, body (JSON, UTF-8) and due (seconds after the start); one table a round.

    Raises
    ------
    InputError
        When a setting is not valid or a selected id is not simulated.
    """
    settings = read_parameters(PublishParameters, parameters, "publish")
    fleet = build(read_parameters(Simulation, simulation, "simulate"), Selection.read(device, sensor))
    log.info("publishing %d days of %d devices", fleet.simulation.days, fleet.size[0])
    spans = _spans(fleet, settings)
    if settings.real_time:
        return Stream(EVENT, _events(fleet, settings, _rounds_of_the_clock(spans, scheduled_time(at))))
    return Stream(EVENT, _events(fleet, settings, _rounds(spans, settings.readings_per_second)))


def _events(
    fleet: Simulated, settings: PublishParameters, rounds: Iterable[tuple[pa.Table, float]]
) -> Iterator[pa.Table]:
    """Yield the events of each round with delivery faults, and last the events held back."""
    held = EVENT.empty_table()
    for n, (readings, due) in enumerate(rounds):
        events = event_table(readings, settings.readings_per_event, due)
        generator = fleet.simulation.generator(_DELIVERY_FAULTS, n)
        now, later = _disturb(events, settings, generator)
        yield pa.concat_tables([now, _at(held, due)])
        held = later
    yield held


def _spans(fleet: Simulated, settings: PublishParameters) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield the readings to send, with their arrival times in µs since 1970, ascending."""
    latest = np.iinfo(np.int64).min
    ends = [None if time is None else round(time.timestamp() * 1e6) for time in (settings.from_, settings.to)]
    for day in range(fleet.simulation.days):
        for span in fleet.spans(day):
            # Readings that waited for a broken link are sent with those beside them.
            times = np.append(latest, to_numpy(span["timestamp"]).astype(np.int64))
            arrival = np.maximum.accumulate(times)[1:]
            latest = arrival.max(initial=latest)
            first, last = (
                default if end is None else int(np.searchsorted(arrival, end))
                for end, default in zip(ends, (0, len(arrival)), strict=True)
            )
            yield span.slice(first, max(0, last - first)), arrival[first:last]


def _rounds(
    spans: Iterable[tuple[pa.Table, np.ndarray]], rate: float | None
) -> Iterator[tuple[pa.Table, float]]:
    """Yield readings to send together, and when, in seconds after the start; None: at once."""
    # A round is sent at its end: at a slow rate rounds are short, so that readings trickle.
    step = READINGS_A_ROUND if rate is None else int(min(READINGS_A_ROUND, max(1, rate)))
    sent = 0
    for span, _ in spans:
        for readings in _slices(span, step):
            sent += readings.num_rows
            yield readings, sent / rate if rate is not None else 0.0


def _rounds_of_the_clock(
    spans: Iterable[tuple[pa.Table, np.ndarray]], start: datetime
) -> Iterator[tuple[pa.Table, float]]:
    """The same by the fleet's own clock: what was measured before the start at once, the rest as it comes."""
    begin = round(start.timestamp() * 1e6)
    for span, arrival in spans:
        n_past = int(np.searchsorted(arrival, begin, side="right"))
        for readings in _slices(span.slice(0, n_past), READINGS_A_ROUND):
            yield readings, 0.0
        cuts = n_past + np.flatnonzero(np.diff(arrival[n_past:], prepend=-1, append=-1))
        for first, last in pairwise(cuts.tolist()):
            yield span.slice(first, last - first), float(arrival[first] - begin) / 1e6


def _slices(readings: pa.Table, step: int) -> Iterator[pa.Table]:
    return (readings.slice(start, step) for start in range(0, readings.num_rows, step))


def _disturb(
    events: pa.Table, settings: PublishParameters, generator: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Split events into those sent now and those sent next round: late ones, and duplicates."""
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
