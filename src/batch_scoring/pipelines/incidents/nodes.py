"""Join predictions to incidents, find gaps, rank what a person should look at, and send changes to sinks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from batch_scoring.alerts.lookup import with_people
from batch_scoring.alerts.notify_run import NotifyRun, Policy
from batch_scoring.alerts.settings import AlertParameters
from batch_scoring.alerts.sinks.base import OpenSinks
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.gaps import update_gaps
from batch_scoring.incidents.ranking import update_ranking
from batch_scoring.incidents.settings import IncidentParameters
from batch_scoring.incidents.update import update_incidents
from batch_scoring.operations.tables import read
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import RowTable, Update
from batch_scoring.tables.schemas import INCIDENT_ACTIONS, SILENCES


def find_gaps(windows: RowTable, parameters: dict[str, Any]) -> Update:
    """Return the update of the gaps between windows with what was aggregated since they were found last.

    Parameters
    ----------
    windows : RowTable
        The columns WINDOW_KEYS and features.
    parameters : dict
        See :class:`~batch_scoring.incidents.settings.IncidentParameters`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    return partial(update_gaps, windows, settings.roll_up_rules.silence.after_us)


def find_incidents(
    predictions: RowTable,
    parameters: dict[str, Any],
    device: Any,
    sensor: Any,
    calendar: pa.Table | None = None,
    devices: pa.Table | None = None,
) -> Update:
    """Return the update of the incidents with what was scored since they were found last.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS.
    parameters : dict
        See :class:`~batch_scoring.incidents.settings.IncidentParameters`.
    device, sensor
        The selection of the run, only checked: what was scored of other devices is joined, too.
    calendar : pyarrow.Table, optional
        Schema CALENDAR: when nothing is judged.
    devices : pyarrow.Table, optional
        Schema DEVICES: which ids are one machine.

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
    return partial(
        update_incidents, predictions, settings.rules, calendar=Calendar(calendar, Devices(devices))
    )


def rank_devices(
    incidents: RowTable,
    gaps: RowTable,
    parameters: dict[str, Any],
    calendar: pa.Table | None = None,
    devices: pa.Table | None = None,
    predictions: RowTable | None = None,
) -> Update:
    """Return the update of the ranked incidents of devices, silence among them.

    Parameters
    ----------
    incidents, gaps : RowTable
        Schemas INCIDENTS and GAPS.
    parameters : dict
        See :class:`~batch_scoring.incidents.settings.IncidentParameters`.
    calendar : pyarrow.Table, optional
        Schema CALENDAR: when nothing is judged.
    devices : pyarrow.Table, optional
        Schema DEVICES: which ids are one machine, and which were retired.
    predictions : RowTable, optional
        Schema PREDICTIONS: they show which incidents are steps to another level.

    Returns
    -------
    update
        Schema DEVICE_INCIDENTS, of what ended in the newest days, by priority; see
        :func:`~batch_scoring.incidents.devices.roll_up`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    known = Devices(devices)
    rules = replace(settings.roll_up_rules, calendar=Calendar(calendar, known), devices=known)
    return partial(update_ranking, incidents, gaps, rules, settings.ranked_days, predictions)


def notify(
    device_incidents: RowTable,
    open_sinks: OpenSinks,
    parameters: dict[str, Any],
    at: Any,
    incident_actions: RowTable | None = None,
    silences: RowTable | None = None,
    devices: pa.Table | None = None,
) -> Iterator[Update]:
    """Notify the sinks of changed incidents; yield the ledger before sending, and after each delivery.

    Parameters
    ----------
    device_incidents : RowTable
        Schema DEVICE_INCIDENTS.
    open_sinks : callable
        Makes the sinks from their settings.
    parameters : dict
        See :class:`~batch_scoring.alerts.settings.AlertParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    incident_actions, silences : RowTable, optional
        Schemas INCIDENT_ACTIONS and SILENCES: what people have acknowledged, settled and silenced.
    devices : pyarrow.Table, optional
        Schema DEVICES: the groups and other ids that silences name.

    Yields
    ------
    update
        Of the ledger. A sink that does not answer is logged, and gets the rest in the next run.
    """
    settings, time = read_parameters(AlertParameters, parameters, "alerts"), scheduled_time(at)
    if not settings.sinks:
        return
    people = partial(
        with_people,
        at=time,
        actions=None if incident_actions is None else read(incident_actions, INCIDENT_ACTIONS),
        silences=None if silences is None else read(silences, SILENCES),
        devices=Devices(devices),
    )
    policy = Policy(
        time - settings.max_age, settings.wanted, settings.pace, settings.max_messages, settings.form
    )
    run = NotifyRun(device_incidents, open_sinks(settings.sinks), time, policy, people)
    yield from run.updates(settings.time_limit.total_seconds())
