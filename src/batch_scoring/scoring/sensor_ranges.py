"""Score windows of many sensors in one stream, each range of devices beside its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.processes import usable_cores
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.score import predict_known, require_match, window_fingerprints
from batch_scoring.plant.off import take_off, without_steps
from batch_scoring.plant.rules import NO_RULES, Domain, Known, judged, marks_of
from batch_scoring.scoring.champions import Champions
from batch_scoring.scoring.recalibration import DayCurves
from batch_scoring.scoring.totals import scored_totals, sorted_totals, unscored_totals
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, Int, UInt
from batch_scoring.tables.arrow_arrays import constant, empty_table, positions, to_arrow, to_numpy
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
    tables: Iterable[pa.Table],
    champions: Champions,
    stored: Upsert,
    rescore: bool = False,
    curves: DayCurves | None = None,
    domain: Domain = NO_RULES,
) -> Iterator[ScoredPart]:
    """Score the windows that have no prediction, or one of another content.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Windows, sorted by sensor, device and window_start; with ``is_off`` where a machine may be off.
    champions : Champions
    stored : Upsert
        Of the stored predictions of these times; outdated ones are removed.
    rescore : bool
        Whether windows with a prediction are scored again.
    curves : DayCurves, optional
        Of the day that all these windows start on. Default: the models' own.
    domain : Domain
        What is known; with other rules, a window has another content.

    Yields
    ------
    ScoredPart
        In the order of sensors and devices. A sensor whose models cannot be read has ``failed``; the others
        are scored.
    """

    def work(ranges: Sequence[_Range]) -> ScoredPart:
        return _score_all(ranges, champions, stored, rescore, curves, domain)

    works = prefetched(_joined(_ranges(tables, champions)))
    yield from prefetched(computed(stopwatch.timed("score", work), works, usable_cores()))


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
            yield _Range(sensor, empty_table(_LEFT), empty_table(MODELS), None, "", error)


def _sensor_ranges(sensor: str, windows: Iterator[pa.Table], champions: Champions) -> Iterator[_Range]:
    published = champions.open(sensor)
    first, second = next(windows), next(windows, None)
    version = published.manifest.version if published else ""
    info = published.models.info if published else None
    schema = info.schema if info else MODELS
    parts: Iterable[pa.Table] = champions.tables(published) if published else ()
    parts = stopwatch.each("read", parts)
    if second is None and (published is None or published.models.n_parts < 2):
        yield _Range(sensor, first, next(iter(parts), empty_table(schema)), info, version)
        return

    def all_windows() -> Iterator[pa.Table]:
        yield first
        if second is not None:
            yield second
        yield from windows

    for rows, its_models in device_ranges([(first.schema, all_windows()), (schema, parts)], {1}):
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


def _score_all(
    ranges: Sequence[_Range],
    champions: Champions,
    stored: Upsert,
    rescore: bool,
    curves: DayCurves | None,
    domain: Domain,
) -> ScoredPart:
    part = ScoredPart(empty_table(PREDICTIONS), empty_table(DAILY))
    part.failed = {one.sensor: str(one.error) for one in ranges if one.error is not None}
    readable = [one for one in ranges if one.error is None]
    if not readable:
        return part
    # Together: of a thousand sensors each range is small.
    windows = pa.concat_tables([one.windows for one in readable]).combine_chunks()
    windows, are_off, after_off = take_off(windows)
    contents = window_fingerprints(windows)
    windows = without_steps(windows, after_off)
    known = [domain.of(one.sensor, one.windows["device"]) for one in readable] if domain.rules else []
    if known:
        contents = contents ^ marks_of(known, are_off, after_off)
    keys = row_fingerprints(windows, WINDOW_KEY) if stored.size else contents
    pending = np.ones(keys.size, bool) if rescore else stored.differ(keys, contents)
    ends = np.cumsum([one.windows.num_rows for one in readable]).tolist()
    spans = [slice(start, end) for start, end in pairwise([0, *ends])]
    alike: dict[tuple[Any, ...], list[_Scored]] = {}
    for one, span in zip(readable, spans, strict=True):
        if one.info is None or not pending[span].any():
            continue
        try:
            require_match(windows.slice(span.start + int(pending[span].argmax()), 1), one.info)
        except InputError as error:
            part.failed[one.sensor] = str(error)
        else:
            model = FleetModel(one.models, one.info)
            model = model if curves is None else curves.of(one.sensor, one.version, model)
            alike.setdefault(one.info.kind, []).append(_Scored(span, model, one.version))
    part.predictions, is_scored = _score(windows, alike.values(), contents, pending)
    if known:
        part.predictions = _judged(part.predictions, windows, known, spans, is_scored, are_off)
    left, have_models = [], []
    for one, span in zip(readable, spans, strict=True):
        if one.sensor in part.failed:
            continue
        # Only now: a sensor that fails keeps its predictions.
        is_fresh = stored.replace(keys[span], contents[span])
        if rescore:
            stored.drop(keys[span][is_scored[span]])
        if not is_scored[span].all():
            rest, has_model = _left_of(one, ~is_scored[span] & is_fresh)
            left.append(rest)
            have_models.append(has_model)
            _note_lacking(part, one.sensor, to_numpy(rest["window_start"])[~has_model])
        _note_models(part, one)
    totals = [scored_totals(part.predictions, lambda sensor, _: champions.states_tail_probability(sensor))]
    if left:
        totals.append(unscored_totals(pa.concat_tables(left), np.concatenate(have_models)))
    part.totals = sorted_totals(pa.concat_tables(totals))
    return part


def _left_of(range_: _Range, is_left: Bool) -> tuple[pa.Table, Bool]:
    """Return the windows that stay without a prediction, and which of them are of devices with a model."""
    rest = range_.windows.select(_LEFT.names).filter(to_arrow(is_left))
    return rest, positions(rest["device"], range_.models["device"].combine_chunks()) >= 0


def _note_lacking(part: ScoredPart, sensor: str, starts: Int) -> None:
    """Note when windows of devices without a model start."""
    if starts.size:
        earliest = int(starts.min())
        part.lacking[sensor] = min(earliest, part.lacking.get(sensor, earliest))


def _note_models(part: ScoredPart, range_: _Range) -> None:
    """Add the range's devices with models to those of its sensor."""
    devices = range_.models["device"].combine_chunks()
    # A copy: they are kept long, and would keep the models in memory.
    copy = devices.take(to_arrow(np.arange(len(devices))))
    earlier = part.modelled.get(range_.sensor)
    part.modelled[range_.sensor] = copy if earlier is None else pa.concat_arrays([earlier, copy])


@dataclass(frozen=True)
class _Scored:
    """A range that is scored: its windows' place, and its models."""

    span: slice
    model: FleetModel
    version: str


def _score(
    windows: pa.Table, alike: Iterable[Sequence[_Scored]], contents: UInt, pending: Bool
) -> tuple[pa.Table, Bool]:
    """Score the pending windows, those of models that are alike at once.

    Returns the predictions, in the order of the windows, and which windows they are of, shape (n,).
    """
    is_scored, tables, rows = np.zeros(pending.size, bool), [], []
    for ranges in alike:
        known, first = np.full(pending.size, -1), 0
        for one in ranges:
            mine = pending[one.span]
            place = positions(windows["device"].slice(one.span.start, mine.size), one.model.devices)
            known[one.span] = np.where(mine & (place >= 0), place + first, -1)
            first += len(one.model.devices)
        versions = [constant(one.version, len(one.model.devices)) for one in ranges]
        model = FleetModel.join([one.model for one in ranges])
        new, mine = predict_known(windows, known, model, pa.concat_arrays(versions), contents, 1)
        is_scored |= mine
        tables.append(new)
        rows.append(np.flatnonzero(mine))
    if len(tables) < 2:
        return (tables[0] if tables else empty_table(PREDICTIONS)), is_scored
    order = np.argsort(np.concatenate(rows))
    return pa.concat_tables(tables).combine_chunks().take(to_arrow(order)), is_scored


def _judged(
    predictions: pa.Table,
    windows: pa.Table,
    known: Sequence[Known],
    spans: Sequence[slice],
    is_scored: Bool,
    are_off: Bool,
) -> pa.Table:
    """Apply what is known of each range's windows to their predictions."""
    found, end = [], 0
    for its_own, span in zip(known, spans, strict=True):
        mine = is_scored[span]
        start, end = end, end + int(mine.sum())
        if end > start:
            rows = windows.slice(span.start, mine.size).filter(to_arrow(mine))
            new = predictions.slice(start, end - start)
            found.append(judged(new, rows, its_own.select(mine), are_off[span][mine]))
    return pa.concat_tables(found).combine_chunks() if found else predictions
