"""Nodes of ``score``: score every closed window once with the champions, changed windows again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.ingestion.erasure import deleted_devices
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.rules import Domain
from batch_scoring.plant.settings import DomainParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.daily import update_totals
from batch_scoring.scoring.lessons import Excluded
from batch_scoring.scoring.run import ScoreRun
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.settings import ScoreParameters
from batch_scoring.storage.row_table import RowTable, Update, no_change
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.schemas import FEEDBACK


def score_windows(
    windows: RowTable,
    fleet_models: Mapping[str, Callable[[], PublishedModel]],
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
    shard: Any = None,
    calibrations: RowTable | None = None,
    feedback: pa.Table | None = None,
    calendar: pa.Table | None = None,
    devices: pa.Table | None = None,
    domain: dict[str, Any] | None = None,
    erased: RowTable | None = None,
) -> Iterator[tuple[Update, Update, dict[str, Any]]]:
    """Score the windows that are new, have closed, or have changed since they were scored.

    Parameters
    ----------
    windows : RowTable
        Schema ``windows_schema(features)``.
    fleet_models : mapping of str to callable
        The champion of each sensor.
    parameters : dict
        See :class:`ScoreParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    device, sensor, shard
        The selection of the run.
    calibrations : RowTable, optional
        Schema CALIBRATIONS. The run adds to it, before its predictions that are scored with it are committed.
    feedback, calendar : pyarrow.Table, optional
        Schemas FEEDBACK and CALENDAR: what is not learned in calibrations.
    devices : pyarrow.Table, optional
        Schema DEVICES: which ids are one machine.
    domain : dict, optional
        See :class:`~batch_scoring.plant.settings.DomainParameters`.
    erased : RowTable, optional
        Schema ERASED: a device that was deleted with all its readings is not missing.

    Yields
    ------
    predictions : update
        Schema PREDICTIONS.
    daily_totals : update
        Schema DAILY, of the days with new predictions.
    score_counts : dict
        See :meth:`Outcome.finish`; empty until the last chunk. Its ``shortfalls`` end the whole run with an
        error after its last node: what was scored goes on to incidents and their alerts first.

    Raises
    ------
    InputError
        When there are no windows, or a device or sensor asked for has none.
    """
    settings = read_parameters(ScoreParameters, parameters, "score")
    if not windows.num_rows:
        raise InputError("there are no windows yet; run `kedro run --pipelines=aggregate` first")
    selection = Selection.read(device, sensor, shard)
    require_known_ids(selection, stored_ids(windows, selection))
    closed_at = scheduled_time(at) - settings.allowed_lateness
    scope = Scope(settings.from_, settings.to, closed_at, selection, settings.rescore)
    known = Devices(devices)
    daily = calibrations if settings.recalibrate == "daily" else None
    excluded = Excluded(empty_table(FEEDBACK) if feedback is None else feedback, Calendar(calendar, known))
    rules = read_parameters(DomainParameters, domain, "domain").read_rules
    deleted = deleted_devices(erased)
    run = ScoreRun(windows, fleet_models, scope, daily, excluded, known, Domain(rules, known), deleted)
    yield run.update, no_change, {}
    yield no_change, partial(update_totals, run), {}
    yield no_change, no_change, run.outcome.finish(settings.max_failed_share, run.failed)
