"""Score windows of many sensors in one stream, each range of devices beside its models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.score import predict, window_fingerprints
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.totals import scored_totals, unscored_totals
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import positions, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import MODELS, PREDICTIONS, WINDOW_KEY

Models = Mapping[str, Callable[[], PublishedModel]]


@dataclass(frozen=True)
class ScoredRange:
    """The result of scoring a range of one sensor's devices.

    Attributes
    ----------
    sensor : str
    predictions : pyarrow.Table
        Schema PREDICTIONS, the new ones, sorted by device and window_start.
    totals : pyarrow.Table
        Schema DAILY, of the new predictions and of the windows that have none.
    modelled : pyarrow.Array of string
        The range's devices with a model.
    error : str
        Why the sensor could not be scored; empty where it was.
    """

    sensor: str
    predictions: pa.Table
    totals: pa.Table
    modelled: pa.Array
    error: str = ""


def score_ranges(
    tables: Iterable[pa.Table], models: Models, stored: Upsert, rescore: bool = False
) -> Iterator[ScoredRange]:
    """Score the windows that have no prediction, or one of another content.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Windows, sorted by sensor, device and window_start.
    models : mapping of str to callable
        The champion of each sensor.
    stored : Upsert
        Of the stored predictions of these times; outdated ones are removed.
    rescore : bool
        Whether windows with a prediction are scored again.

    Yields
    ------
    ScoredRange
        In the order of sensors and devices. A sensor whose models cannot be read has an ``error``; the others
        are scored.
    """

    def work(range_: _Range) -> ScoredRange:
        try:
            return _score(range_, stored, rescore)
        except InputError as error:
            return _failed(range_.sensor, error)

    ranges = prefetched(_ranges(tables, models))
    yield from prefetched(computed(stopwatch.timed("score", work), ranges, len(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class _Range:
    sensor: str
    windows: pa.Table
    models: pa.Table
    info: FleetInfo | None
    version: str
    error: InputError | None = None


def _ranges(tables: Iterable[pa.Table], models: Models) -> Iterator[_Range]:
    for sensor, rows in groupby(_by_sensor(tables), key=lambda pair: pair[0]):
        windows = (table for _, table in rows)
        try:
            yield from _sensor_ranges(sensor, windows, models)
        except InputError as error:
            for _ in windows:
                pass
            yield _Range(sensor, PREDICTIONS.empty_table(), MODELS.empty_table(), None, "", error)


def _sensor_ranges(sensor: str, windows: Iterator[pa.Table], models: Models) -> Iterator[_Range]:
    published = models[sensor]() if sensor in models else None
    first = next(windows)
    schema = first.schema

    def all_windows() -> Iterator[pa.Table]:
        yield first
        yield from windows

    version = published.manifest.version if published else ""
    info = published.models.info if published else None
    parts: Iterable[pa.Table] = (part.table for part in published.models.parts()) if published else ()
    sources = [
        (schema, all_windows()),
        (info.schema if info else MODELS, stopwatch.each("read", parts)),
    ]
    for rows, its_models in device_ranges(sources, {1}):
        yield _Range(sensor, rows, its_models, info, version)


def _by_sensor(tables: Iterable[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Cut tables sorted by sensor where the sensor changes."""
    for table in tables:
        if table.num_rows:
            runs = pc.run_end_encode(table["sensor"].combine_chunks())
            start = 0
            for sensor, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                yield sensor, table.slice(start, end - start)
                start = end


def _score(range_: _Range, stored: Upsert, rescore: bool) -> ScoredRange:
    if range_.error is not None:
        raise range_.error
    windows, sensor = range_.windows, range_.sensor
    model = FleetModel(range_.models, range_.info) if range_.info else None
    if windows.num_rows == 0:
        nothing = PREDICTIONS.empty_table()
        return ScoredRange(
            sensor, nothing, scored_totals(nothing, False), range_.models["device"].combine_chunks()
        )
    contents = window_fingerprints(windows)
    keys = row_fingerprints(windows, WINDOW_KEY)
    if rescore:
        stored.drop(keys)
        pending = np.ones(keys.size, bool)
    else:
        pending = stored.replace(keys, contents)
    if not pending.all():
        windows, contents = windows.filter(to_arrow(pending)), contents[pending]
    devices = range_.models["device"].combine_chunks()
    if model is None or windows.num_rows == 0:
        new = PREDICTIONS.empty_table()
    else:
        new = predict(windows, model, range_.version, 1, contents)
    is_scored = np.isin(contents, to_numpy(new["window_fingerprint"]).view(np.uint64))
    left = windows.select(["sensor", "device", "window_start"]).filter(to_arrow(~is_scored))
    states = model is not None and DETECTORS[model.info.detector].states_tail_probability
    totals = pa.concat_tables(
        [scored_totals(new, states), unscored_totals(left, positions(left["device"], devices) >= 0)]
    )
    return ScoredRange(sensor, new, totals, devices)


def _failed(sensor: str, error: InputError) -> ScoredRange:
    nothing = PREDICTIONS.empty_table()
    return ScoredRange(sensor, nothing, scored_totals(nothing, False), pa.array([], pa.string()), str(error))
