"""Nodes of ``monitor``: check recent predictions of each device and sensor for drift and gaps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batch_scoring.core.ids import Selection, path_segment, require_known
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_parameters, read_time
from batch_scoring.monitoring.recent import Recent
from batch_scoring.monitoring.settings import MonitorParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.tables.partitions import Partitions, by_sensor
from batch_scoring.tables.streams import Stream, footer_text

logger = logging.getLogger(__name__)


def watch_drift(
    predictions: Partitions,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    previous_drift: Partitions,
    parameters: dict[str, Any],
    at: Any,
    sensor: Any,
) -> Iterator[dict[str, Stream]]:
    """Yield the drift of every sensor where something has changed.

    Parameters
    ----------
    predictions : partitions
        Schema PREDICTIONS, by sensor and day, with their digest in the footer.
    fleet_models : mapping of str to callable
        The champion of each sensor.
    previous_drift : partitions
        Schema DRIFT, by sensor, of an earlier run.
    parameters : dict
        See :class:`~batch_scoring.monitoring.settings.MonitorParameters`.
    at
        The scheduled time, UTC: the range ends then, or with the sensor's newest window if that is
        earlier. None for the newest window.
    sensor
        The selection of the run.

    Yields
    ------
    dict of str to Stream
        Schema DRIFT; one sensor, all of its devices.

    Raises
    ------
    InputError
        When a sensor asked for has no predictions.
    """
    settings = read_parameters(MonitorParameters, parameters, "monitor")
    selection = Selection.read(None, sensor)
    sensors = by_sensor(predictions)
    require_known("sensor", selection.sensors, sensors)
    until = None if at is None else microseconds(read_time(at, "at"))
    counts: Counter[str] = Counter()
    yield {}
    for name, days in sensors.items():
        if not selection.has_sensor(name):
            continue
        published = fleet_models[name]() if name in fleet_models else None
        files = [predictions[key]() for key in days.values()]
        recent = Recent.find(name, files, published, settings, until)
        if recent is None:
            continue
        key = path_segment(name)
        stored = previous_drift[key]() if key in previous_drift else None
        inputs = recent.inputs()
        if stored is not None and inputs and footer_text(stored, "inputs") == inputs:
            counts.update(recent.counted(stored))
            continue
        stream = recent.stream(inputs)
        yield {key: stream}
        counts.update(recent.counts)
    _say(counts)


def _say(counts: Counter[str]) -> None:
    total = counts.total()
    shares = ", ".join(
        f"{count / total:.1%} {status.replace('_', ' ')}" for status, count in sorted(counts.items())
    )
    logger.info("monitor: %s series: %s", f"{total:,}", shares or "none")
