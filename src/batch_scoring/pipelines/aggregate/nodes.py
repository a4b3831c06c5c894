"""Nodes of ``aggregate``: turn readings into windows; only windows touched by new readings are computed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import EPOCH, MICROSECOND, as_text
from batch_scoring.core.parameters import read_parameters
from batch_scoring.core.progress import watch_progress
from batch_scoring.core.text import number, read_length
from batch_scoring.ingestion.intervals import suitable_window
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.ingestion.window_length import (
    FEW_READINGS,
    is_rare,
    reading_interval,
    with_stored_length,
    with_suitable_length,
)
from batch_scoring.storage.data_file import DataFile, hold_sparse_days
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.storage.table_rows import only
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import READINGS, WINDOW_KEY, windows_schema
from batch_scoring.windows.aggregation import Span, span_windows, touched_spans
from batch_scoring.windows.history import STORED, looked_at
from batch_scoring.windows.settings import MADE_WITH, AggregateParameters

logger = logging.getLogger(__name__)

# The name under which the windows record the version of the readings they were made of.
STEP = "aggregate"
_MANY_ROWS = 100_000


def aggregate_windows(readings: RowTable, parameters: dict[str, Any], device: Any, sensor: Any) -> Update:
    """Return the update that aggregates the readings added since the windows were aggregated last.

    Parameters
    ----------
    readings : RowTable
        Schema READINGS.
    parameters : dict
        See :class:`~batch_scoring.windows.settings.AggregateParameters`.
    device, sensor
        The selection of the run; windows of other devices stay as they are.

    Returns
    -------
    update
        Of the windows. All are aggregated anew when the settings have changed.

    Raises
    ------
    InputError
        When there are no readings, or a device or sensor asked for is not among them.
    """
    settings = read_parameters(AggregateParameters, parameters, "aggregate")
    selection = Selection.read(device, sensor)
    if not readings.num_rows:
        raise InputError("there are no readings yet; run `kedro run --pipelines=ingest` first")
    require_known_ids(selection, stored_ids(readings, selection))
    return partial(_aggregate, readings, settings, selection)


def _aggregate(
    readings: RowTable, settings: AggregateParameters, selection: Selection, windows: RowTable
) -> Change | None:
    settings = with_suitable_length(with_stored_length(settings, windows), readings)
    made_with, seen = windows.progress(MADE_WITH), windows.progress(STEP)
    is_other = windows.exists and made_with not in (None, settings.number)
    if is_other and windows.num_rows and selection != Selection():
        raise InputError(
            "the stored windows were made with other settings; run `kedro run --pipelines=aggregate` for all "
            "devices and sensors"
        )
    readings = readings.not_before(seen)
    new = readings.added_since(None if is_other else seen)
    if not new and not is_other:
        logger.info("aggregate: nothing new")
        return None
    times = [(file.first, file.last) for file in new]
    is_sparse = hold_sparse_days(new)
    kept_from = readings.progress(RETENTION)
    spans = touched_spans(times, settings, is_sparse, kept_from)
    if kept_from is not None and any(first < kept_from for first, _ in times):
        logger.warning(
            "aggregate: not all readings before %s are kept; the windows before that %s",
            as_text(EPOCH + kept_from * MICROSECOND),
            "are gone, since the settings have changed" if is_other else "stay as they are",
        )
    touched = windows.files(spans[0].start, spans[-1].end) if spans and not is_other else []
    files = [file for file in touched if any(file.overlaps(span.start, span.end) for span in spans)]
    schema = windows_schema(settings.features)
    upsert = Upsert(windows, files, WINDOW_KEY)
    is_whole = selection == Selection()
    is_further = not is_other and seen is not None and readings.had(seen)
    ends = {span.end for span in spans}

    def made(span: Span) -> Iterator[pa.Table]:
        # Windows before it that this run makes itself are not stored yet.
        is_stored = is_further and not any(span.read_from < end <= span.start for end in ends)
        before = windows if is_stored else None
        return upsert.fresh(_windows_of(readings, span, new, selection, settings, before))

    hint = partial(_hint_window, readings, new, settings) if seen is None or is_other else None
    return Change(
        schema,
        _logged(map(made, spans), len(spans), "months" if is_sparse else "days", hint),
        {STEP: readings.position if is_whole else -1 if seen is None else seen, MADE_WITH: settings.number},
        rewritten=upsert.rewritten,
        replaces_all=is_other,
        by_month=is_sparse,
    )


def _windows_of(
    readings: RowTable,
    span: Span,
    new: Iterable[DataFile],
    selection: Selection,
    settings: AggregateParameters,
    before: RowTable | None,
) -> Iterator[pa.Table]:
    """Aggregate a span: of all devices, or where few rows are new, of their devices.

    Of the windows before it only what is stored in ``before`` is needed, not their readings.
    """
    touching = [file for file in new if file.overlaps(span.read_from, span.end)]
    devices = selection.devices
    if devices is None and sum(file.rows for file in touching) < _MANY_ROWS:
        found = [
            pc.unique(rows["device"]) for file in touching for rows in readings.batches(file, ["device"])
        ]
        devices = frozenset(name for some in found for name in some.to_pylist())
    stored: list[Iterable[pa.Table]] = []
    read_from = span.read_from
    if before is not None and _has_windows(before, span, settings):
        read_from = span.start
        stored = [
            _stored(before, file, span, selection.sensors, devices)
            for file in before.files(span.read_from, span.start, selection.sensors, devices)
        ]
    files = readings.files(read_from, span.end, selection.sensors, devices)
    sources = [_selected(readings, file, selection.sensors, devices) for file in files]
    if read_from > span.read_from:
        span = replace(span, read_from=read_from)
    return span_windows(sources, span, settings, stored)


def _has_windows(windows: RowTable, span: Span, settings: AggregateParameters) -> bool:
    """Whether what features need of the windows before a span is stored."""
    is_kept = (windows.progress(RETENTION) or span.read_from) <= span.read_from
    needed = {"mean", "min", "max"} if "equal_run" in settings.features else {"mean"}
    return is_kept and windows.exists and needed <= set(settings.features)


def _stored(
    windows: RowTable,
    file: DataFile,
    span: Span,
    sensors: frozenset[str] | None,
    devices: frozenset[str] | None,
) -> Iterator[pa.Table]:
    """Read the windows before a span that its features look at, schema STORED; what they lack is null."""
    names = [name for name in STORED.names if name in windows.schema.names]
    for rows in windows.batches(file, names, sensors, devices, encoded=("sensor", "device")):
        start = to_numpy(rows["window_start"])
        is_inside = (start >= span.read_from) & (start < span.start)
        found = rows if is_inside.all() else rows.filter(to_arrow(is_inside))
        nothing = pa.nulls(found.num_rows, pa.float64())
        columns = [found[name] if name in names else nothing for name in STORED.names]
        yield looked_at(pa.table(columns, STORED.names)).cast(STORED)


def _selected(
    readings: RowTable, file: DataFile, sensors: frozenset[str] | None, devices: frozenset[str] | None
) -> Iterator[pa.Table]:
    asked = {"sensor": sensors, "device": devices}
    wanted = {name: strings(sorted(ids)) for name, ids in asked.items() if ids is not None}
    for batch in readings.batches(file, READINGS.names, sensors, encoded=("sensor", "device")):
        yield only(batch, wanted)


def _hint_window(
    readings: RowTable, files: list[DataFile], settings: AggregateParameters, n_windows: int
) -> None:
    """Warn of windows that are far too short for readings as rare as these."""
    if sum(file.rows for file in files) >= FEW_READINGS * n_windows:
        return
    interval = reading_interval(readings)
    if interval is not None and is_rare(interval, settings.length):
        logger.warning(
            "aggregate: most windows of %s hold one reading, since most series send one every %s; set "
            "aggregate.window=%s",
            read_length(settings.length.total_seconds()),
            read_length(interval),
            suitable_window(interval),
        )


def _logged(
    parts: Iterable[Iterable[pa.Table]], total: int, unit: str, hint: Callable[[int], None] | None
) -> Iterator[Iterator[pa.Table]]:
    """Pass on the windows of each part, showing the progress and logging their number."""
    made = done = 0

    def counted(part: Iterable[pa.Table]) -> Iterator[pa.Table]:
        nonlocal made
        for table in part:
            made += table.num_rows
            yield table

    with watch_progress("aggregate", total, unit, lambda: done):
        for done, part in enumerate(parts):  # noqa: B007 (it is watched)
            yield counted(part)
    logger.info("aggregate: %s", number(made, "window"))
    if hint is not None and made:
        hint(made)
