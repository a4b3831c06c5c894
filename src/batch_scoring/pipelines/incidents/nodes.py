"""Join predictions to incidents, rank the incidents of devices, and send changes to the sinks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.alerts.changes import with_changes
from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.incident_settings import IncidentParameters
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import look_up
from batch_scoring.alerts.sinks.base import OpenSinks
from batch_scoring.core.digests import digest_of
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.daily import NOTHING, HandedOn, SensorDay, handed_on
from batch_scoring.incidents.devices import roll_up
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import read_batches
from batch_scoring.tables.partitions import Partitions, by_sensor, split_partition_key
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, INCIDENTS
from batch_scoring.tables.streams import Stream, footer_text

logger = logging.getLogger(__name__)


def find_incidents(
    predictions: Partitions,
    previous_incidents: Partitions,
    previous_unfinished: Partitions,
    parameters: dict[str, Any],
    device: Any,
    sensor: Any,
) -> Iterator[tuple[dict[str, Stream], dict[str, Stream]]]:
    """Yield the incidents of every sensor and day where something has changed.

    Parameters
    ----------
    predictions : partitions
        Schema PREDICTIONS, sorted by device and window_start, with their digest in the footer.
    previous_incidents, previous_unfinished : partitions
        What earlier runs made, of schemas INCIDENTS and UNFINISHED.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.
    device, sensor
        The selection of the run. The incidents of a sensor's other devices come out unchanged.

    Yields
    ------
    incidents : dict of str to Stream
        One partition: the incidents that the windows of that day closed, and on a sensor's last day
        the open ones.
    unfinished : dict of str to Stream
        What that day hands on to the next; to be read after the incidents.

    Raises
    ------
    InputError
        When a device or sensor asked for has no predictions.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    selection = Selection.read(device, sensor)
    # A day whose predictions are gone is a day without anomalies.
    sensors = by_sensor({**previous_incidents, **predictions})
    require_known("sensor", selection.sensors, sensors)
    chosen = {name: days for name, days in sensors.items() if selection.has_sensor(name)}
    if selection.devices is not None:
        keys = [key for days in chosen.values() for key in days.values() if key in predictions]
        require_known("device", selection.devices, _devices(predictions, keys))
    yield {}, {}
    n_days = 0
    for name, days in chosen.items():
        before = NOTHING
        for day, key in days.items():
            files = (_open(some, key) for some in (predictions, previous_incidents, previous_unfinished))
            part = SensorDay(name, day == max(days), *files)
            stored = part.stored(before, settings.rules)
            if stored is not None:
                before = stored
                continue
            n_days += 1
            incidents, unfinished, rows = part.join(before, settings.rules)
            yield {key: incidents}, {key: unfinished}
            before = HandedOn.of(handed_on(rows))
    logger.info("incidents: %d partitions written", n_days)


def rank_devices(
    incidents: Partitions, previous: pq.ParquetFile, parameters: dict[str, Any]
) -> Iterator[Stream]:
    """Yield the ranked device incidents, unless the stored list was made from the same incidents.

    Parameters
    ----------
    incidents : partitions
        Schema INCIDENTS.
    previous : pyarrow.parquet.ParquetFile
        The stored list; without rows and columns before the first run.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.

    Yields
    ------
    Stream
        Schema DEVICE_INCIDENTS, of incidents that ended in the newest days, by priority; see
        :func:`~batch_scoring.incidents.devices.roll_up`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    files, first = _newest(incidents, settings.ranked_days)
    slack_us = settings.rules.cool_down_us
    made_of = {
        "first": first.isoformat(),
        "slack_us": slack_us,
        "files": {key: footer_text(file, "inputs") for key, file in files.items()},
    }
    inputs = digest_of(made_of)
    if footer_text(previous, "inputs") == inputs:
        return
    rows = pa.concat_tables([empty_table(INCIDENTS), *(file.read() for file in files.values())])
    is_recent = to_numpy(rows["end"]) >= microseconds(first)
    ranked = roll_up(rows.filter(to_arrow(is_recent)), slack_us)
    n_open = np.count_nonzero(are(ranked["state"], "open"))
    logger.info("incidents: %d device incidents ranked, %d open", ranked.num_rows, n_open)
    yield Stream(DEVICE_INCIDENTS, iter([ranked]), {"inputs": inputs})


def notify(
    incidents: Partitions,
    previous_notifications: pq.ParquetFile,
    open_sinks: OpenSinks,
    parameters: dict[str, Any],
    at: Any,
) -> Iterator[Stream]:
    """Notify the sinks of changed incidents; yield the ledger before sending, and after each delivery.

    Parameters
    ----------
    incidents : partitions
        Schema INCIDENTS.
    previous_notifications : pyarrow.parquet.ParquetFile
        The ledger of earlier runs; without rows and columns before the first run.
    open_sinks : callable
        Makes the sinks from their settings.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.
    at
        The scheduled time of the run, UTC; None for now.

    Yields
    ------
    Stream
        Schema NOTIFICATIONS. A sink that does not answer is logged, and gets the rest in the next run.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents").notify
    if not settings.sinks:
        return
    stored = Ledger.read(previous_notifications)
    sinks = open_sinks(settings.sinks)
    since = max(scheduled_time(at) - settings.max_age, stored.since)
    current = look_up(incidents, stored, since)
    ledger = with_changes(stored, current, since, settings.min_severity, [sink.name for sink in sinks])
    if ledger != stored:
        yield ledger.stream()
    for delivered in deliver(ledger, sinks, settings.time_limit.total_seconds()):
        ledger = delivered
        yield ledger.stream()
    tidy = ledger.pruned(since, [sink.name for sink in sinks])
    if tidy != ledger:
        yield tidy.stream()


def _open(partitions: Partitions, key: str) -> pq.ParquetFile | None:
    return partitions[key]() if key in partitions else None


def _devices(predictions: Partitions, keys: list[str]) -> set[str]:
    batches = (batch for key in keys for batch in read_batches(predictions[key](), ["device"]))
    return {device for batch in batches for device in pc.unique(batch["device"]).to_pylist()}


def _newest(incidents: Partitions, n_days: int) -> tuple[dict[str, pq.ParquetFile], datetime]:
    """List the files of the newest days, and when the first of these days starts."""
    days = {key: split_partition_key(key)[1] for key in incidents}
    first = max(days.values(), default=date(1970, 1, 1)) - timedelta(days=n_days - 1)
    files = {key: incidents[key]() for key, day in days.items() if day >= first}
    return files, datetime(first.year, first.month, first.day, tzinfo=UTC)
