"""Nodes of ``aggregate``: turn readings into windows by sensor and day, only where readings have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import read_parameters
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.fingerprints import table_digest
from batch_scoring.tables.partitions import Partitions, by_sensor, partition_key
from batch_scoring.tables.schemas import windows_schema
from batch_scoring.tables.streams import Stream, footer_text
from batch_scoring.windows.aggregation import (
    all_devices,
    day_windows,
    merge_windows,
    read_windows,
    starting,
    windows_stream,
)
from batch_scoring.windows.days import WindowDay, window_days
from batch_scoring.windows.settings import AggregateParameters

logger = logging.getLogger(__name__)


def aggregate_windows(
    readings: Partitions, previous_windows: Partitions, parameters: dict[str, Any], device: Any, sensor: Any
) -> Iterator[dict[str, Stream]]:
    """Yield the windows of every sensor and day whose readings or settings have changed.

    Parameters
    ----------
    readings : partitions of schema READINGS
        Sorted by device, then time, with the digest of their rows in the footer.
    previous_windows : partitions
        Windows of earlier runs; the footer records from which readings and settings.
    parameters : dict
        See :class:`~batch_scoring.windows.settings.AggregateParameters`.
    device, sensor
        The selection of the run; windows of other devices stay as they are.

    Yields
    ------
    dict of str to Stream
        One partition, rows sorted by device and window_start; footer ``inputs`` and ``digest``.
        Computed while it is read, and to be read before the next one is asked for.

    Raises
    ------
    InputError
        When there are no readings, or a device or sensor asked for is not among them.
    """
    settings = read_parameters(AggregateParameters, parameters, "aggregate")
    if settings.window < MICROSECOND:
        raise InputError(f"aggregate.window is {settings.window}; it must be longer than 0 s")
    selection = Selection.read(device, sensor)
    sensors = by_sensor(readings)
    if not sensors:
        raise InputError("there are no readings yet; run `kedro run --pipelines=ingest` first")
    require_known("sensor", selection.sensors, sensors)
    chosen = {name: days for name, days in sensors.items() if selection.has_sensor(name)}
    yield {}
    found: set[str] = set()
    made = 0
    for name, days in chosen.items():
        for day in window_days(days, settings.window):
            key = partition_key(name, day)
            part = _Part.open(name, day, days, readings, previous_windows.get(key), settings)
            if selection.devices is None:
                stream = _all_windows(part, settings)
            else:
                mine = part.windows(settings, selection.devices)
                found.update(pc.unique(mine["device"]).to_pylist())
                stream = _some_windows(part, mine, selection.devices)
            if stream is not None:
                made += 1
                yield {key: stream}
    if selection.devices is not None and selection.devices - found:
        known = (readings[key]() for days in chosen.values() for key in days.values())
        require_known("device", selection.devices, all_devices(known))
    logger.info("aggregate: %d partitions of windows written", made)


@dataclass(frozen=True)
class _Part:
    """A sensor and day: the readings of its windows, and its stored windows."""

    sensor: str
    day: WindowDay
    readings: dict[str, pq.ParquetFile]
    stored: pq.ParquetFile | None

    @classmethod
    def open(
        cls,
        sensor: str,
        day: date,
        days: Mapping[date, str],
        readings: Partitions,
        stored: Callable[[], pq.ParquetFile] | None,
        settings: AggregateParameters,
    ) -> _Part:
        span = WindowDay.of(day, settings.window, settings.features)
        files = {key: readings[key]() for key in span.sources(days)}
        return cls(sensor, span, files, stored() if stored is not None else None)

    def windows(self, settings: AggregateParameters, devices: frozenset[str]) -> pa.Table:
        """Aggregate the windows of some devices, few enough to fit into memory."""
        tables = day_windows(self.readings.values(), self.sensor, self.day, settings, devices)
        return pa.concat_tables([empty_table(windows_schema(settings.features)), *tables])


def _all_windows(part: _Part, settings: AggregateParameters) -> Stream | None:
    """Aggregate the windows of a part; None where the stored ones were made from the same inputs."""
    inputs = _inputs_digest(part.readings, settings)
    if part.stored is not None and footer_text(part.stored, "inputs") == inputs:
        return None
    tables = starting(day_windows(part.readings.values(), part.sensor, part.day, settings))
    # No windows now or before, as when all have fewer readings than min_readings: nothing to write.
    if tables is None and part.stored is None:
        return None
    return windows_stream(windows_schema(settings.features), tables or (), inputs)


def _some_windows(part: _Part, mine: pa.Table, devices: frozenset[str]) -> Stream | None:
    """Merge these devices' windows with the stored ones of the others; None where nothing is new."""
    if part.stored is None:
        return windows_stream(mine.schema, [mine], "partial") if mine.num_rows else None
    if part.stored.schema_arrow.names != mine.schema.names:
        raise InputError(
            "the stored windows have other features; run `kedro run --pipelines=aggregate` for all devices"
        )
    if table_digest(read_windows(part.stored, devices)) == table_digest(mine):
        return None
    # The other devices' windows keep their inputs.
    inputs = footer_text(part.stored, "inputs")
    return windows_stream(mine.schema, merge_windows(part.stored, mine, devices), inputs)


def _inputs_digest(files: Mapping[str, pq.ParquetFile], settings: AggregateParameters) -> str:
    made_of = {
        "window_us": settings.window // MICROSECOND,
        "features": list(settings.features),
        "min_readings": settings.min_readings,
        "readings": {key: footer_text(file, "digest") for key, file in files.items()},
    }
    return digest_of(made_of)
