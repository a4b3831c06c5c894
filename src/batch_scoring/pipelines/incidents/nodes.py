"""Join predictions to incidents, rank the incidents of devices, and send changes to the sinks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from batch_scoring.alerts.incident_settings import IncidentParameters
from batch_scoring.alerts.lookup import recent_incidents
from batch_scoring.alerts.notify_run import NotifyRun
from batch_scoring.alerts.sinks.base import OpenSinks
from batch_scoring.core.digests import number_of
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import EPOCH, microseconds
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.update import RULES, STEP, UNTIL, update_incidents
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.tables.arrow_arrays import are, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS

logger = logging.getLogger(__name__)


def find_incidents(predictions: RowTable, parameters: dict[str, Any], device: Any, sensor: Any) -> Update:
    """Return the update of the incidents with what was scored since they were found last.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.
    device, sensor
        The selection of the run, only checked: what was scored of other devices is joined, too.

    Raises
    ------
    InputError
        When a device or sensor asked for has no predictions.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    selection = Selection.read(device, sensor)
    for kind, wanted in (("sensor", selection.sensors), ("device", selection.devices)):
        if wanted is not None:
            require_known(
                kind, wanted, predictions.distinct(kind, predictions.files(sensors=selection.sensors))
            )
    return partial(update_incidents, predictions, settings.rules)


def rank_devices(incidents: RowTable, parameters: dict[str, Any]) -> Update:
    """Return the update of the ranked device incidents.

    Parameters
    ----------
    incidents : RowTable
        Schema INCIDENTS.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.

    Returns
    -------
    update
        Schema DEVICE_INCIDENTS, of incidents that ended in the newest days, by priority; see
        :func:`~batch_scoring.incidents.devices.roll_up`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    return partial(_rank, incidents, settings.ranked_days, settings.rules.cool_down_us)


def notify(
    incidents: RowTable,
    open_sinks: OpenSinks,
    parameters: dict[str, Any],
    at: Any,
) -> Iterator[Update]:
    """Notify the sinks of changed incidents; yield the ledger before sending, and after each delivery.

    Parameters
    ----------
    incidents : RowTable
        Schema INCIDENTS.
    open_sinks : callable
        Makes the sinks from their settings.
    parameters : dict
        See :class:`~batch_scoring.alerts.incident_settings.IncidentParameters`.
    at
        The scheduled time of the run, UTC; None for now.

    Yields
    ------
    update
        Of the ledger. A sink that does not answer is logged, and gets the rest in the next run.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents").notify
    if not settings.sinks:
        return
    earliest = scheduled_time(at) - settings.max_age
    run = NotifyRun(incidents, open_sinks(settings.sinks), earliest, settings.min_severity)
    yield from run.updates(settings.time_limit.total_seconds())


def _rank(incidents: RowTable, n_days: int, slack_us: int, ranked: RowTable) -> Change | None:
    seen = ranked.progress(STEP)
    if seen is not None and seen > incidents.version:
        incidents = incidents.latest()  # another run has read on
    first = _first_ranked(incidents, n_days)
    number = number_of([incidents.id, first.isoformat(), slack_us])
    progress = {STEP: incidents.version, RULES: number}
    if (ranked.progress(RULES), incidents.added_since(seen), incidents.removed_since(seen)) == (
        number,
        [],
        [],
    ):
        return Change(DEVICE_INCIDENTS, (), progress)
    found = recent_incidents(incidents, first)
    is_recent = to_numpy(found["end"]) >= microseconds(first)
    rows = roll_up(found.filter(to_arrow(is_recent)), slack_us)
    n_open = np.count_nonzero(are(rows["state"], "open"))
    logger.info("incidents: %d device incidents ranked, %d open", rows.num_rows, n_open)
    return Change(DEVICE_INCIDENTS, [[rows]], progress, replaces_all=True)


def _first_ranked(incidents: RowTable, n_days: int) -> datetime:
    """Return the first moment of the newest days with predictions, UTC."""
    newest = EPOCH + timedelta(microseconds=max(incidents.progress(UNTIL) or 0, 0))
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight - timedelta(days=n_days - 1), EPOCH)
