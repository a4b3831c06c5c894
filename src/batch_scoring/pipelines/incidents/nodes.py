"""Join predictions to incidents, find gaps, rank what a person should look at, and send changes to sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from batch_scoring.alerts.lookup import with_people
from batch_scoring.alerts.notify_run import NotifyRun, Policy
from batch_scoring.alerts.settings import AlertParameters
from batch_scoring.alerts.sinks.base import OpenSinks
from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.parameters import read_parameters, scheduled_time
from batch_scoring.incidents.gaps import update_gaps
from batch_scoring.incidents.ranking import update_ranking
from batch_scoring.incidents.settings import IncidentParameters
from batch_scoring.incidents.stays import update_stays
from batch_scoring.incidents.unknown_names import warn_of_unknown_names
from batch_scoring.incidents.update import update_incidents
from batch_scoring.operations.annotations import NOTHING_WRITTEN, Annotations
from batch_scoring.storage.row_table import RowTable, Update


def find_stretches(windows: RowTable, predictions: RowTable, parameters: dict[str, Any]) -> dict[str, Update]:
    """Return the updates of the gaps between windows, and of how long machines stay at their levels.

    Parameters
    ----------
    windows : RowTable
        The columns WINDOW_KEYS and features.
    predictions : RowTable
        Schema PREDICTIONS.
    parameters : dict
        See :class:`~batch_scoring.incidents.settings.IncidentParameters`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    return {
        "gaps": partial(update_gaps, windows, settings.roll_up_rules.silence.after_us),
        "stays": partial(update_stays, predictions),
    }


def find_incidents(
    predictions: RowTable,
    parameters: dict[str, Any],
    device: Any,
    sensor: Any,
    annotations: Annotations = NOTHING_WRITTEN,
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
    annotations : Annotations, optional
        When nothing is judged.

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
    calendar = annotations.calendar
    return partial(update_incidents, predictions, settings.rules, calendar=calendar)


def rank_devices(
    incidents: RowTable,
    stretches: Mapping[str, RowTable],
    parameters: dict[str, Any],
    annotations: Annotations = NOTHING_WRITTEN,
    predictions: RowTable | None = None,
    windows: RowTable | None = None,
) -> Update:
    """Return the update of the ranked incidents of devices, silence among them.

    Parameters
    ----------
    incidents : RowTable
        Schema INCIDENTS.
    stretches : mapping of str to RowTable
        ``gaps``, schema GAPS; and perhaps ``stays``, schema STAYS.
    parameters : dict
        See :class:`~batch_scoring.incidents.settings.IncidentParameters`.
    annotations : Annotations, optional
        When nothing is judged, which ids are one machine, and which were retired.
    predictions : RowTable, optional
        Schema PREDICTIONS: they show which incidents are steps to another level.
    windows : RowTable, optional
        The columns WINDOW_KEYS and features: they show whether a silent device was renamed.

    Returns
    -------
    update
        Schema DEVICE_INCIDENTS, of what ended in the newest days, by priority; see
        :func:`~batch_scoring.incidents.devices.roll_up`.
    """
    settings = read_parameters(IncidentParameters, parameters, "incidents")
    rules = replace(settings.roll_up_rules, calendar=annotations.calendar, devices=annotations.devices)
    gaps, stays = stretches["gaps"], stretches.get("stays")
    warn_of_unknown_names(rules.calendar, rules.devices, gaps)
    return partial(update_ranking, incidents, gaps, rules, settings.ranked_days, predictions, windows, stays)


def notify(
    device_incidents: RowTable,
    parameters: dict[str, Any],
    at: Any,
    annotations: Annotations = NOTHING_WRITTEN,
) -> Callable[[OpenSinks], Iterator[Update]]:
    """Return the function that notifies sinks of changed incidents, once it gets what opens them.

    Parameters
    ----------
    device_incidents : RowTable
        Schema DEVICE_INCIDENTS.
    parameters : dict
        See :class:`~batch_scoring.alerts.settings.AlertParameters`.
    at
        The scheduled time of the run, UTC; None for now.
    annotations : Annotations, optional
        What people have acknowledged, settled and silenced, and the groups and ids that silences name.

    Returns
    -------
    callable
        It yields updates of the ledger, before sending and after each delivery. A sink that does not answer
        is logged, and gets the rest in the next run.
    """
    settings, time = read_parameters(AlertParameters, parameters, "alerts"), scheduled_time(at)
    people = partial(
        with_people,
        at=time,
        actions=annotations.actions,
        silences=annotations.silences,
        devices=annotations.devices,
    )
    policy = Policy(
        time - settings.max_age, settings.wanted, settings.pace, settings.max_messages, settings.form
    )

    def send(open_sinks: OpenSinks) -> Iterator[Update]:
        if settings.sinks:
            run = NotifyRun(device_incidents, open_sinks(settings.sinks), time, policy, people)
            yield from run.updates(settings.time_limit.total_seconds())

    return send
