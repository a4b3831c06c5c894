"""Readings into windows, a sensor and a day at a time, and only where the readings have changed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.datasets.arrow_parquet import Stream, footer_text
from batch_scoring.fleet.errors import InputError
from batch_scoring.fleet.fingerprints import table_digest
from batch_scoring.fleet.tables import READINGS, TIMESTAMP
from batch_scoring.fleet.windows import DEFAULT_FEATURES, aggregate_readings
from batch_scoring.ids import Selection, require_known
from batch_scoring.parameters import read_parameters
from batch_scoring.partition_keys import by_sensor, partition_key

logger = logging.getLogger(__name__)

Partitions = Mapping[str, Callable[[], pq.ParquetFile]]

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class AggregateParameters:
    """``params:aggregate``; see conf/base/parameters_aggregate.yml."""

    window: timedelta = timedelta(minutes=5)
    features: tuple[str, ...] = DEFAULT_FEATURES
    min_readings: int = 1


def aggregate_windows(
    readings: Partitions, previous_windows: Partitions, parameters: dict[str, Any], device: Any, sensor: Any
) -> Iterator[dict[str, Stream]]:
    """Yield the windows of every sensor and day whose readings or settings have changed.

    Parameters
    ----------
    readings : partitions of schema READINGS
        With the digest of their rows in the footer.
    previous_windows : partitions
        What earlier runs made; the footer says from which readings and settings.
    parameters : dict
        See :class:`AggregateParameters`.
    device, sensor
        What the run is about; windows of other devices stay as they are.

    Yields
    ------
    dict of str to Stream
        One partition, rows sorted by device and window_start; footer ``inputs`` and ``digest``.

    Raises
    ------
    InputError
        When there are no readings, or a device or sensor asked for is not among them.
    """
    settings = read_parameters(AggregateParameters, parameters, "aggregate")
    if settings.window < MICROSECOND:
        raise InputError(f"aggregate.window is {settings.window}; it must be longer than nothing")
    selection = Selection.read(device, sensor)
    sensors = by_sensor(readings)
    if not sensors:
        raise InputError("there are no readings yet; run `kedro run --pipelines=ingest` first")
    require_known("sensor", selection.sensors, sensors)
    yield {}
    found: set[str] = set()
    made = 0
    for name, days in sensors.items():
        if not selection.has_sensor(name):
            continue
        for day in _window_days(days, settings.window):
            key = partition_key(name, day)
            sources = {key: readings[key] for key in _sources(days, day, settings)}
            result = _aggregate_day(sources, day, previous_windows.get(key), settings, selection)
            if result is not None:
                found.update(result.devices)
                if result.is_new:
                    made += 1
                    yield {key: _stream(result)}
    require_known("device", selection.devices, found)
    logger.info("aggregate: %d partitions of windows written", made)


@dataclass(frozen=True)
class _Day:
    table: pa.Table
    inputs: str
    digest: str
    devices: list[str]
    is_new: bool


def _aggregate_day(
    sources: Partitions,
    day: date,
    previous: Callable[[], pq.ParquetFile] | None,
    settings: AggregateParameters,
    selection: Selection,
) -> _Day | None:
    """The windows of a day, or None where its stored windows are made of these very inputs."""
    files = {key: load() for key, load in sources.items()}
    inputs = _inputs_digest(files, settings)
    stored = previous() if previous is not None else None
    if stored is not None and selection.devices is None and footer_text(stored, "inputs") == inputs:
        return None
    window_us = settings.window // MICROSECOND
    first, end = _window_range(day, window_us)
    table = _read_readings(files, first - window_us, end)
    windows = aggregate_readings(table, window_us, settings.features, settings.min_readings)
    start = windows["window_start"]
    windows = windows.filter(pc.and_(pc.greater_equal(start, _time(first)), pc.less(start, _time(end))))
    if selection.devices is not None:
        windows = _keep_other_devices(windows, stored, selection.devices)
        # The other devices' windows are as old as they were.
        inputs = footer_text(stored, "inputs") if stored is not None else "partial"
    digest = table_digest(windows)
    # No windows and none before, say when all are shorter than min_readings: nothing to write.
    is_new = (
        windows.num_rows > 0
        if stored is None
        else (footer_text(stored, "inputs"), footer_text(stored, "digest"))
        != (
            inputs,
            digest,
        )
    )
    return _Day(windows, inputs, digest, pc.unique(table["device"]).to_pylist(), is_new)


def _stream(day: _Day) -> Stream:
    footer = {"inputs": day.inputs, "digest": day.digest}
    return Stream(day.table.schema, iter([day.table]), footer)


def _window_days(days: Mapping[date, str], window: timedelta) -> list[date]:
    """The days in which windows of these readings start: where windows span midnight, also days before."""
    reach = -(-window // DAY) if DAY % window else 0
    return sorted({day - n * DAY for day in days for n in range(reach + 1)})


def _sources(days: Mapping[date, str], day: date, settings: AggregateParameters) -> list[str]:
    """The partitions of readings behind a day's windows and, for changes, the window before its first."""
    window_us = settings.window // MICROSECOND
    first, end = _window_range(day, window_us)
    if "diff_mean" in settings.features:
        first -= window_us
    from_day, to_day = _time(first).as_py().date(), _time(end - 1).as_py().date()
    return [key for day_, key in days.items() if from_day <= day_ <= to_day]


def _window_range(day: date, window_us: int) -> tuple[int, int]:
    """The first start and the last end, in µs, of the windows that start on a day."""
    midnight = (
        datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    ) // MICROSECOND
    day_us = DAY // MICROSECOND
    return -(-midnight // window_us) * window_us, -(-(midnight + day_us) // window_us) * window_us


def _read_readings(files: Mapping[str, pq.ParquetFile], start_us: int, end_us: int) -> pa.Table:
    tables = [READINGS.empty_table()]
    for file in files.values():
        table = file.read(READINGS.names)
        time = table["timestamp"]
        inside = pc.and_(pc.greater_equal(time, _time(start_us)), pc.less(time, _time(end_us)))
        tables.append(table.filter(inside))
    return pa.concat_tables(tables)


def _keep_other_devices(
    windows: pa.Table, stored: pq.ParquetFile | None, devices: frozenset[str]
) -> pa.Table:
    chosen = pa.array(sorted(devices), pa.string())
    mine = windows.filter(pc.is_in(windows["device"], value_set=chosen))
    if stored is None:
        return mine
    others = stored.read()
    if others.schema.names != mine.schema.names:
        raise InputError(
            "the stored windows have other features; run `kedro run --pipelines=aggregate` for all devices"
        )
    others = others.filter(pc.invert(pc.is_in(others["device"], value_set=chosen)))
    merged = pa.concat_tables([others.cast(mine.schema), mine])
    return merged.sort_by([("device", "ascending"), ("window_start", "ascending")])


def _inputs_digest(files: Mapping[str, pq.ParquetFile], settings: AggregateParameters) -> str:
    made_of = {
        "window_us": settings.window // MICROSECOND,
        "features": list(settings.features),
        "min_readings": settings.min_readings,
        "readings": {key: footer_text(file, "digest") for key, file in files.items()},
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _time(microseconds: int) -> pa.Scalar:
    return pa.scalar(microseconds, pa.int64()).cast(TIMESTAMP)
