"""Score windows of many sensors in one stream, each range of devices beside its models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.score import predict, window_fingerprints
from batch_scoring.scoring.champions import Champions
from batch_scoring.scoring.totals import scored_totals, sorted_totals, unscored_totals
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import empty_table, positions, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, by_sensor, device_ranges
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DAILY, MODELS, PREDICTIONS, WINDOW_KEY

# Ranges are scored together until they have this many models: those of many sensors are small.
_MANY_MODELS = 8_192
_LEFT = pa.schema([PREDICTIONS.field(name) for name in ("sensor", "device", "window_start")])


@dataclass
class ScoredPart:
    """The result of scoring some ranges of devices.

    Attributes
    ----------
    predictions : pyarrow.Table
        Schema PREDICTIONS, the new ones, sorted by sensor, device and window_start.
    totals : pyarrow.Table
        Schema DAILY, of the new predictions and of the windows that have none.
    lacking : dict of str to int
        When the earliest window of a device without a model starts, of each sensor that has one, microseconds
        since the epoch.
    modelled : dict of str to pyarrow.Array of string
        The devices with a model, in these ranges of each sensor.
    failed : dict of str to str
        Why a sensor could not be scored.
    """

    predictions: pa.Table
    totals: pa.Table
    lacking: dict[str, int] = field(default_factory=dict)
    modelled: dict[str, pa.Array] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def score_ranges(
    tables: Iterable[pa.Table], champions: Champions, stored: Upsert, rescore: bool = False
) -> Iterator[ScoredPart]:
    """Score the windows that have no prediction, or one of another content.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Windows, sorted by sensor, device and window_start.
    champions : Champions
    stored : Upsert
        Of the stored predictions of these times; outdated ones are removed.
    rescore : bool
        Whether windows with a prediction are scored again.

    Yields
    ------
    ScoredPart
        In the order of sensors and devices. A sensor whose models cannot be read has ``failed``; the others
        are scored.
    """

    def work(ranges: Sequence[_Range]) -> ScoredPart:
        return _score_all(ranges, champions, stored, rescore)

    works = prefetched(_joined(_ranges(tables, champions)))
    yield from prefetched(computed(stopwatch.timed("score", work), works, len(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class _Range:
    sensor: str
    windows: pa.Table
    models: pa.Table
    info: FleetInfo | None
    version: str
    error: InputError | None = None


def _ranges(tables: Iterable[pa.Table], champions: Champions) -> Iterator[_Range]:
    for sensor, windows in by_sensor(tables):
        try:
            yield from _sensor_ranges(sensor, windows, champions)
        except InputError as error:
            for _ in windows:
                pass
            yield _Range(sensor, PREDICTIONS.empty_table(), MODELS.empty_table(), None, "", error)


def _sensor_ranges(sensor: str, windows: Iterator[pa.Table], champions: Champions) -> Iterator[_Range]:
    published = champions.open(sensor)
    first = next(windows)

    def all_windows() -> Iterator[pa.Table]:
        yield first
        yield from windows

    version = published.manifest.version if published else ""
    info = published.models.info if published else None
    parts: Iterable[pa.Table] = (part.table for part in published.models.parts()) if published else ()
    sources = [
        (first.schema, all_windows()),
        (info.schema if info else MODELS, stopwatch.each("read", parts)),
    ]
    for rows, its_models in device_ranges(sources, {1}):
        yield _Range(sensor, rows, its_models, info, version)


def _joined(ranges: Iterable[_Range]) -> Iterator[list[_Range]]:
    """Join small ranges, so that a thousand sensors of few devices cost what one of many does."""
    held: list[_Range] = []
    windows = models = 0
    for one in ranges:
        held.append(one)
        windows += one.windows.num_rows
        models += one.models.num_rows
        if windows >= BATCH_ROWS or models >= _MANY_MODELS:
            yield held
            held, windows, models = [], 0, 0
    if held:
        yield held


def _score_all(ranges: Sequence[_Range], champions: Champions, stored: Upsert, rescore: bool) -> ScoredPart:
    scored, left, have_models = [], [], []
    part = ScoredPart(empty_table(PREDICTIONS), empty_table(DAILY))
    for one in ranges:
        try:
            if one.error is not None:
                raise one.error
            new, rest, has_model = _score(one, stored, rescore)
        except InputError as error:
            part.failed[one.sensor] = str(error)
            continue
        scored += [new] if new.num_rows else []
        left.append(rest)
        have_models.append(has_model)
        if not has_model.all():
            earliest = int(to_numpy(rest["window_start"])[~has_model].min())
            part.lacking[one.sensor] = min(earliest, part.lacking.get(one.sensor, earliest))
        devices = one.models["device"].combine_chunks()
        # A copy: they are kept long, and would keep the models in memory.
        its_own = devices.take(to_arrow(np.arange(len(devices))))
        earlier = part.modelled.get(one.sensor)
        part.modelled[one.sensor] = its_own if earlier is None else pa.concat_arrays([earlier, its_own])
    if scored:
        part.predictions = pa.concat_tables(scored).combine_chunks()
    totals = [scored_totals(part.predictions, lambda sensor, _: champions.states_tail_probability(sensor))]
    if left:
        totals.append(unscored_totals(pa.concat_tables(left), np.concatenate(have_models)))
    part.totals = sorted_totals(pa.concat_tables(totals))
    return part


def _score(range_: _Range, stored: Upsert, rescore: bool) -> tuple[pa.Table, pa.Table, Bool]:
    """Return the new predictions, the windows left without one, and whether their devices have a model."""
    windows, nothing = range_.windows, PREDICTIONS.empty_table()
    if windows.num_rows == 0:
        return nothing, empty_table(_LEFT), np.zeros(0, bool)
    contents = window_fingerprints(windows)
    keys = row_fingerprints(windows, WINDOW_KEY) if stored.size else contents
    pending = np.ones(keys.size, bool) if rescore else stored.differ(keys, contents)
    if not pending.all():
        windows = windows.filter(to_arrow(pending))
    model = FleetModel(range_.models, range_.info) if range_.info else None
    new, is_scored = nothing, np.zeros(windows.num_rows, bool)
    if model is not None and windows.num_rows:
        new = predict(windows, model, range_.version, 1, contents[pending])
        is_scored = (
            np.ones(windows.num_rows, bool)
            if new.num_rows == windows.num_rows
            else np.isin(contents[pending], to_numpy(new["window_fingerprint"]).view(np.uint64))
        )
    # Only now: a sensor that fails keeps its predictions.
    is_fresh = stored.replace(keys, contents)[pending]
    if rescore:
        stored.drop(keys[is_scored])
    is_left = ~is_scored & is_fresh
    left = windows.select(_LEFT.names).filter(to_arrow(is_left))
    has_model = positions(left["device"], range_.models["device"].combine_chunks()) >= 0
    return new, left, has_model
