"""Join predictions to incidents, rank the incidents of devices, and send changes to the sinks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from batch_scoring.alerts.changes import with_changes
from batch_scoring.alerts.delivery import deliver
from batch_scoring.alerts.incident_settings import IncidentParameters
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import look_up, recent_incidents
from batch_scoring.alerts.sinks.base import OpenSinks
from batch_scoring.core.digests import number_of
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import EPOCH
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.update import STEP, UNTIL, update_incidents
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
    first = _first_ranked(incidents, settings.ranked_days)
    slack_us = settings.rules.cool_down_us
    number = number_of([incidents.version, first.isoformat(), slack_us])

    def update(ranked: RowTable) -> Change | None:
        if ranked.progress(STEP) == number:
            return None
        found = recent_incidents(incidents, first)
        is_recent = to_numpy(found["end"]) >= (first - EPOCH) // timedelta(microseconds=1)
        rows = roll_up(found.filter(to_arrow(is_recent)), slack_us)
        n_open = np.count_nonzero(are(rows["state"], "open"))
        logger.info("incidents: %d device incidents ranked, %d open", rows.num_rows, n_open)
        return Change(DEVICE_INCIDENTS, [[rows]], {STEP: number}, replaces_all=True)

    return update


def notify(
    incidents: RowTable,
    known_notifications: RowTable,
    open_sinks: OpenSinks,
    parameters: dict[str, Any],
    at: Any,
) -> Iterator[Update]:
    """Notify the sinks of changed incidents; yield the ledger before sending, and after each delivery.

    Parameters
    ----------
    incidents : RowTable
        Schema INCIDENTS.
    known_notifications : RowTable
        The ledger of earlier runs, schema NOTIFICATIONS.
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
    stored = Ledger.read(known_notifications)
    sinks = open_sinks(settings.sinks)
    since = max(scheduled_time(at) - settings.max_age, stored.since)
    current = look_up(incidents, stored, since)
    ledger = with_changes(stored, current, since, settings.min_severity, [sink.name for sink in sinks])
    if not known_notifications.exists or ledger.table != stored.table:
        yield ledger.update
    for delivered, rows in deliver(ledger, sinks, settings.time_limit.total_seconds()):
        ledger = delivered
        yield ledger.delivered_rows(rows)
    tidy = ledger.pruned(since, [sink.name for sink in sinks])
    if tidy.table != ledger.table:
        yield tidy.update


def _first_ranked(incidents: RowTable, n_days: int) -> datetime:
    """Return the first moment of the newest days with predictions, UTC."""
    newest = EPOCH + timedelta(microseconds=incidents.progress(UNTIL) or 0)
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight - timedelta(days=n_days - 1), EPOCH)
