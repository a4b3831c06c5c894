"""Nodes of ``aggregate``: turn readings into windows, only those that new readings touch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import Change, DataFile, RowTable, Update
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import strings
from batch_scoring.tables.schemas import READINGS, WINDOW_KEY, windows_schema
from batch_scoring.windows.aggregation import Span, span_windows, touched_spans
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
    made_with, seen = windows.progress(MADE_WITH), windows.progress(STEP)
    is_other = windows.exists and made_with not in (None, settings.number)
    if is_other and selection != Selection():
        raise InputError(
            "the stored windows were made with other settings; run `kedro run --pipelines=aggregate` for all "
            "devices and sensors"
        )
    new = readings.added_since(None if is_other else seen)
    spans = touched_spans([(file.first, file.last) for file in new], settings)
    if not new and not is_other:
        logger.info("aggregate: nothing new")
        return None
    files = (
        []
        if is_other
        else [file for file in windows.files() if any(file.overlaps(span.start, span.end) for span in spans)]
    )
    schema = windows_schema(settings.features)
    upsert = Upsert(windows, files, WINDOW_KEY)
    rows = sum(file.rows for file in new)
    days = len({span.start // 86_400_000_000 for span in spans})
    is_whole = selection == Selection()
    return Change(
        schema,
        _logged(upsert.fresh(_windows_of(readings, span, new, selection, settings)) for span in spans),
        {STEP: readings.position if is_whole else -1 if seen is None else seen, MADE_WITH: settings.number},
        rewritten=upsert.rewritten,
        replaces_all=is_other,
        by_month=has_sparse_days(days, rows),
    )


def _windows_of(
    readings: RowTable,
    span: Span,
    new: Iterable[DataFile],
    selection: Selection,
    settings: AggregateParameters,
) -> Iterator[pa.Table]:
    """Aggregate a span: of all devices, or where few rows are new, of their devices."""
    touching = [file for file in new if file.overlaps(span.start, span.end)]
    devices = selection.devices
    if devices is None and sum(file.rows for file in touching) < _MANY_ROWS:
        found = [
            pc.unique(rows["device"]) for file in touching for rows in readings.batches(file, ["device"])
        ]
        devices = frozenset(name for some in found for name in some.to_pylist())
    files = readings.files(span.read_from, span.end, selection.sensors, devices)
    sources = [_selected(readings, file, selection.sensors, devices) for file in files]
    return span_windows(sources, span, settings)


def _selected(
    readings: RowTable, file: DataFile, sensors: frozenset[str] | None, devices: frozenset[str] | None
) -> Iterator[pa.Table]:
    for batch in readings.batches(file, READINGS.names, sensors):
        rows = batch
        for column, wanted in (("sensor", sensors), ("device", devices)):
            if wanted is not None:
                rows = rows.filter(pc.is_in(rows[column], value_set=strings(sorted(wanted))))
        yield rows


def _logged(parts: Iterable[Iterable[pa.Table]]) -> Iterator[Iterator[pa.Table]]:
    made = 0

    def counted(part: Iterable[pa.Table]) -> Iterator[pa.Table]:
        nonlocal made
        for table in part:
            made += table.num_rows
            yield table

    for part in parts:
        yield counted(part)
    logger.info("aggregate: %s windows", f"{made:,}")
