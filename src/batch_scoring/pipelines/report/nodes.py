"""The node of ``report``: gather its contents, and make page, table and summary of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.core.parameters import read_parameters
from batch_scoring.core.text import number
from batch_scoring.operations.annotations import NOTHING_WRITTEN, Annotations
from batch_scoring.registry.published import InService
from batch_scoring.reporting.contents import Contents, count_windows, page_series
from batch_scoring.reporting.details import details_start, read_details
from batch_scoring.reporting.fleet_view import EVERYTHING, view_fleet
from batch_scoring.reporting.incident_list import list_incidents
from batch_scoring.reporting.known_faults import FAULTS, match_faults
from batch_scoring.reporting.page import render_page
from batch_scoring.reporting.page_data import collect_page_data
from batch_scoring.reporting.settings import ReportParameters
from batch_scoring.reporting.statuses import find_not_scored, sum_quarantine, sum_statuses, with_calibrations
from batch_scoring.reporting.summary import summarise, write_summary
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import empty_table
from batch_scoring.tables.fault_labels import faults_only

logger = logging.getLogger(__name__)


def draw_report(
    parameters: Mapping[str, Any], fleet_models: InService, stretches: Mapping[str, RowTable], **known: Any
) -> dict[str, Any]:
    """Make the report, by the entries of the catalog that hold its parts.

    Parameters
    ----------
    parameters, **known
        See :func:`gather_contents`.
    fleet_models : InService
        The calibrations.
    stretches : mapping of str to RowTable
        ``stays``, schema STAYS.
    """
    contents = gather_contents(
        parameters=parameters, calibrations=fleet_models.calibrations, stays=stretches["stays"], **known
    )
    summary, text = summarise_run(contents, parameters)
    return {
        "run_summary": summary,
        "run_summary_text": text,
        "report_page": draw_page(contents, text, parameters),
        "status_table": contents.statuses,
    }


def gather_contents(
    readings: RowTable,
    windows: RowTable,
    predictions: RowTable,
    daily_totals: RowTable,
    train_status: RowTable,
    quarantine: RowTable,
    sources: RowTable,
    incidents: RowTable,
    device_incidents: RowTable,
    stays: RowTable,
    calibrations: RowTable | None,
    parameters: Mapping[str, Any],
    device: Any,
    sensor: Any,
    annotations: Annotations = NOTHING_WRITTEN,
) -> Contents:
    """Gather the contents of the report.

    Its cost is that of a range of days: all but single windows comes from the daily totals, and the number of
    windows that are read is bounded.

    Parameters
    ----------
    readings, windows, predictions, daily_totals, train_status, quarantine, sources : RowTable
        Schemas READINGS, that of the windows, PREDICTIONS, DAILY, STATUS, QUARANTINE and SOURCES.
    calibrations : RowTable or None
        Schema CALIBRATIONS.
    incidents, device_incidents, stays : RowTable
        Schemas INCIDENTS, DEVICE_INCIDENTS and STAYS; they do not exist before `incidents` has run.
    parameters : mapping
        ``params:report``, see :class:`ReportParameters`.
    device, sensor : str, list of str or None
        The devices and sensors to report; None is all.
    annotations : Annotations, optional
        Known faults, when nothing is judged, and which ids are one machine.

    Raises
    ------
    InputError
        On a setting that does not exist, and on a device or sensor without a status or prediction.
    """
    settings = read_parameters(ReportParameters, parameters, "report")
    selection = Selection.read(device, sensor)
    view = view_fleet(daily_totals, settings.range, selection)
    start = None if view.start is None else microseconds(view.start) // DAY_US * DAY_US
    statuses = sum_statuses(train_status, view.totals, selection)
    if calibrations is not None:
        statuses = with_calibrations(statuses, calibrations, start, selection)
    for kind, asked in (("device", selection.devices), ("sensor", selection.sensors)):
        if asked is not None and asked - set(statuses[kind].to_pylist()):
            require_known(kind, asked, {*daily_totals.distinct(kind), *train_status.distinct(kind)})
    drawn = page_series(view, settings.max_devices)
    of_page = pc.unique(drawn["device"])
    found = list_incidents(
        device_incidents,
        incidents,
        stays,
        view,
        of_page,
        selection,
        settings.max_incidents,
        annotations.devices,
    )
    start = details_start(predictions.files(), view, drawn.num_rows, settings.max_rows)
    labels = faults_only(annotations.faults) if annotations.faults.num_rows else empty_table(FAULTS)
    details = read_details(predictions, view, drawn, found.sensors, labels, start, settings)
    contents = Contents(
        view=view,
        n_readings=readings.num_rows if selection == EVERYTHING else None,
        n_windows=count_windows(windows, view, selection),
        n_sources=sources.num_rows,
        statuses=statuses,
        not_scored=find_not_scored(statuses, view.series),
        quarantine=sum_quarantine(quarantine, settings.max_rows, selection),
        found_faults=match_faults(labels, view, start, details.anomalies, found.silences),
        incidents=found,
        details=details,
        calendar=annotations.calendar,
    )
    n_devices = number(view.devices.num_rows, "device")
    logger.info("report: %d series of %s with predictions", view.series.num_rows, n_devices)
    return contents


def draw_page(contents: Contents, summary_text: str, parameters: Mapping[str, Any]) -> str:
    """Render the page as self-contained HTML."""
    settings = read_parameters(ReportParameters, parameters, "report")
    html = render_page(collect_page_data(contents, settings), summary_text)
    logger.info("report: the page has %.1f MB, in %s", len(html.encode()) / 1e6, settings.data)
    return html


def summarise_run(contents: Contents, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Summarise the run as data, and as the text printed at its end."""
    settings = read_parameters(ReportParameters, parameters, "report")
    summary = summarise(contents, settings.data)
    return summary, write_summary(summary)
