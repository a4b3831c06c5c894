"""Nodes of ``monitor``: check recent predictions of each device and sensor for drift and gaps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_parameters, read_time
from batch_scoring.monitoring.recent import drift_tables, recent_span
from batch_scoring.monitoring.settings import MonitorParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.schemas import DRIFT

logger = logging.getLogger(__name__)

# Increase when the same inputs must give another table.
VERSION = 2
# Under these names the drift records the number of its inputs, and the version of the daily totals.
_INPUTS, _TOTALS = "drift", "drift.totals"


def watch_drift(
    daily_totals: RowTable,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    parameters: dict[str, Any],
    at: Any,
    sensor: Any,
) -> Update:
    """Return the update of the drift of all sensors where something has changed.

    Parameters
    ----------
    daily_totals : RowTable
        Schema DAILY.
    fleet_models : mapping of str to callable
        The champion of each sensor.
    parameters : dict
        See :class:`~batch_scoring.monitoring.settings.MonitorParameters`.
    at
        The scheduled time, UTC: the range ends with the newest window of its day or earlier. None for the
        newest window.
    sensor
        The selection of the run, only checked.

    Raises
    ------
    InputError
        When a sensor asked for has no predictions.
    """
    settings = read_parameters(MonitorParameters, parameters, "monitor")
    selection = Selection.read(None, sensor)
    if selection.sensors is not None:
        require_known("sensor", selection.sensors, daily_totals.distinct("sensor"))
    end = None if at is None else microseconds(read_time(at, "at"))

    def update(drift: RowTable) -> Change | None:
        totals = daily_totals.not_before(drift.progress(_TOTALS))
        span = recent_span(totals, settings.range, end)
        if span is None:
            return None
        models = {name: fleet_models[name]() for name in sorted(fleet_models)}
        shas = {name: (one.manifest.sha256, one.manifest.version) for name, one in models.items()}
        number = number_of([VERSION, totals.id, totals.version, span, asdict(settings.limits), shas])
        if drift.progress(_INPUTS) == number:
            return None
        tables = drift_tables(totals, models, span, settings.limits)
        progress = {_INPUTS: number, _TOTALS: totals.position}
        return Change(DRIFT, [_counted(tables)], progress, replaces_all=True)

    return update


def _counted(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    counts: Counter[str] = Counter()
    for table in tables:
        for entry in pc.value_counts(table["status"]).to_pylist():
            counts[entry["values"]] += entry["counts"]
        yield table
    total = counts.total()
    shares = ", ".join(
        f"{count / total:.1%} {status.replace('_', ' ')}" for status, count in sorted(counts.items())
    )
    logger.info("monitor: %s series: %s", f"{total:,}", shares or "none")
