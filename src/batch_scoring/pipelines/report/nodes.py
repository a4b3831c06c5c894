"""Nodes of ``report``: gather its contents, then write them as page, table and summary."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import Selection, require_known
from batch_scoring.core.parameters import read_parameters
from batch_scoring.reporting.contents import (
    Contents,
    ReportParameters,
    count_rows,
    page_series,
    read_charts,
)
from batch_scoring.reporting.fleet_view import view_fleet
from batch_scoring.reporting.incident_list import list_incidents
from batch_scoring.reporting.known_faults import match_faults
from batch_scoring.reporting.page import render_page
from batch_scoring.reporting.page_data import collect_page_data
from batch_scoring.reporting.statuses import find_not_scored, sum_quarantine, sum_statuses
from batch_scoring.reporting.summary import summarise, write_summary
from batch_scoring.tables.partitions import Partitions

logger = logging.getLogger(__name__)


def gather_contents(
    readings: Partitions,
    windows: Partitions,
    predictions: Partitions,
    train_status: Partitions,
    score_status: Partitions,
    quarantine: Partitions,
    ingested_sources: Mapping[str, Any],
    fault_labels: pq.ParquetFile,
    incidents: Partitions,
    device_incidents: pq.ParquetFile,
    parameters: Mapping[str, Any],
    device: Any,
    sensor: Any,
) -> Contents:
    """Gather the contents of the report.

    Parameters
    ----------
    readings, windows, predictions, train_status, score_status, quarantine : mapping of str to function
        Partition name to a function that opens it; empty where a step has not run.
    ingested_sources : mapping of str
        One entry a source file that was read.
    fault_labels : pyarrow.parquet.ParquetFile
        device, sensor, kind, start, end of known faults; without rows where none are known.
    incidents : mapping of str to function
        Partition name to a function that opens it, with the schema ``INCIDENTS``.
    device_incidents : pyarrow.parquet.ParquetFile
        Schema ``DEVICE_INCIDENTS``; without columns before `incidents` has run.
    parameters : mapping
        ``params:report``, see :class:`ReportParameters`.
    device, sensor : str, list of str or None
        The devices and sensors to report; None is all.

    Raises
    ------
    InputError
        On a setting that does not exist, and on a device or sensor without a status or prediction.
    """
    settings = read_parameters(ReportParameters, parameters, "report")
    selection = Selection.read(device, sensor)
    view = view_fleet(predictions, selection)
    statuses = sum_statuses(train_status, score_status, selection)
    for kind, wanted in (("device", selection.devices), ("sensor", selection.sensors)):
        known = {*view.series[kind].to_pylist(), *statuses[kind].to_pylist()}
        if wanted is not None and wanted - known:
            require_known(kind, wanted, _all_ids(kind, predictions, train_status, score_status))
    drawn = pc.unique(page_series(view, settings.max_devices)["device"])
    contents = Contents(
        view=view,
        n_readings=count_rows(readings, selection),
        n_windows=count_rows(windows, selection),
        n_sources=len(ingested_sources),
        statuses=statuses,
        not_scored=find_not_scored(statuses, view.series),
        quarantine=sum_quarantine(quarantine, selection),
        found_faults=match_faults(fault_labels.read(), view),
        incidents=list_incidents(
            device_incidents, incidents, predictions, drawn, selection, settings.max_incidents
        ),
        charts=read_charts(predictions, view, settings),
    )
    logger.info("%d series of %d devices have predictions", view.series.num_rows, view.devices.num_rows)
    return contents


def _all_ids(kind: str, predictions: Partitions, *statuses: Partitions) -> set[str]:
    """Return every known device or sensor, for the hint in an error message."""
    parts = {f"{i}/{key}": load for i, part in enumerate(statuses) for key, load in part.items()}
    rows = sum_statuses({}, parts)
    return {*view_fleet(predictions).series[kind].to_pylist(), *rows[kind].to_pylist()}


def draw_page(contents: Contents, summary_text: str, parameters: Mapping[str, Any]) -> str:
    """Render the page as self-contained HTML."""
    settings = read_parameters(ReportParameters, parameters, "report")
    html = render_page(collect_page_data(contents, settings), summary_text)
    logger.info("report: the page has %.1f MB, in %s", len(html.encode()) / 1e6, settings.data)
    return html


def tabulate_status(contents: Contents) -> Any:
    """Return the status table as a pandas data frame; rows that are not ok come first."""
    return contents.statuses.to_pandas()


def summarise_run(contents: Contents, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Summarise the run as data, and as the text printed at its end."""
    settings = read_parameters(ReportParameters, parameters, "report")
    summary = summarise(contents, settings.data)
    return summary, write_summary(summary)
