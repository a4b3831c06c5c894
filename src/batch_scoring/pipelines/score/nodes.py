"""Nodes of ``score``: score every closed window once with the champions, changed windows again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.ingestion.erasure import deleted_devices
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.operations.annotations import NOTHING_WRITTEN, Annotations
from batch_scoring.plant.rules import Domain
from batch_scoring.plant.settings import DomainParameters
from batch_scoring.registry.published import InService
from batch_scoring.scoring.daily import update_totals
from batch_scoring.scoring.lessons import Excluded
from batch_scoring.scoring.run import ScoreRun
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.settings import ScoreParameters
from batch_scoring.storage.row_table import RowTable, Update, no_change


def score_windows(
    windows: RowTable,
    fleet_models: InService,
    parameters: dict[str, Any],
    at: Any,
    device: Any,
    sensor: Any,
    shard: Any = None,
    annotations: Annotations = NOTHING_WRITTEN,
    domain: dict[str, Any] | None = None,
) -> Iterator[tuple[Update, Update, dict[str, Any]]]:
    """Score the windows that are new, have closed, or have changed since they were scored.

    Parameters
    ----------
    windows : RowTable
        Schema ``windows_schema(features)``.
    fleet_models : InService
        The champion of each sensor, and its calibrations. The run adds to these, before its predictions that
        are scored with them are committed.
    parameters : dict
        See :class:`ScoreParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    device, sensor, shard
        The selection of the run.
    annotations : Annotations, optional
        What is not learned in calibrations, which ids are one machine, and which devices were deleted with
        all their readings, so that they are not missing.
    domain : dict, optional
        See :class:`~batch_scoring.plant.settings.DomainParameters`.

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
    daily = fleet_models.calibrations if settings.recalibrate == "daily" else None
    excluded = Excluded(annotations.feedback, annotations.calendar)
    domains = Domain(read_parameters(DomainParameters, domain, "domain").read_rules, annotations.devices)
    deleted = deleted_devices(annotations.erased)
    run = ScoreRun(windows, fleet_models, scope, daily, excluded, annotations.devices, domains, deleted)
    yield run.update, no_change, {}
    yield no_change, partial(update_totals, run), {}
    yield no_change, no_change, run.outcome.finish(settings.max_failed_share, run.failed)
