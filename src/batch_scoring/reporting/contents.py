"""Gather the contents of a report once, for page, tables and summary."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import FleetView, select_partitions
from batch_scoring.reporting.incident_list import IncidentList
from batch_scoring.reporting.known_faults import FoundFaults
from batch_scoring.reporting.series import SeriesBlock, choose_resolution, read_series
from batch_scoring.tables.partitions import Partitions


@dataclass(frozen=True)
class ReportParameters:
    """The settings ``params:report``.

    Attributes
    ----------
    max_devices : int
        Maximum number of devices on the page, worst first.
    max_series : int
        Maximum number of series drawn window by window, worst first; the others in longer steps.
    max_incidents : int
        Maximum number of device incidents on the page, by priority.
    max_points : int
        Maximum number of points of all charts together; one takes about 8 bytes.
    max_status_rows : int
        Maximum number of rows of the status table; what is not ok comes first.
    data : str
        The folder of the workspace, for the summary's last lines.
    """

    max_devices: int = 200
    max_series: int = 60
    max_incidents: int = 200
    max_points: int = 450_000
    max_status_rows: int = 2000
    data: str = "data"


@dataclass(frozen=True)
class Contents:
    """The contents of a report.

    Attributes
    ----------
    view : FleetView
    n_readings, n_windows : int or None
        Stored readings and windows, scored or not; None where a run selects some devices only.
    n_sources : int
        Files that the readings came from.
    statuses, not_scored, quarantine : pyarrow.Table
        See the functions of ``statuses``.
    found_faults : FoundFaults or None
    incidents : IncidentList
    charts : list of SeriesBlock
        Worst series first.
    """

    view: FleetView
    n_readings: int | None
    n_windows: int | None
    n_sources: int
    statuses: pa.Table
    not_scored: pa.Table
    quarantine: pa.Table
    found_faults: FoundFaults | None
    incidents: IncidentList
    charts: list[SeriesBlock] = field(default_factory=list)


def count_rows(partitions: Partitions, selection: Selection) -> int | None:
    """Count a table's rows from its files' footers; None where a run selects some devices only."""
    if selection.devices is not None:
        return None
    return sum(int(load().metadata.num_rows) for _, load in select_partitions(partitions, selection))


def page_series(view: FleetView, max_devices: int) -> pa.Table:
    """Return the series of the page: those of the worst devices, worst first."""
    devices = view.devices["device"].slice(0, max_devices)
    return view.series.filter(pc.is_in(view.series["device"], devices.combine_chunks()))


def read_charts(predictions: Partitions, view: FleetView, parameters: ReportParameters) -> list[SeriesBlock]:
    """Read the windows of the drill-down charts, within the page's limit of points."""
    if view.start is None or view.end is None:
        return []
    table = page_series(view, parameters.max_devices)
    series = list(zip(table["device"].to_pylist(), table["sensor"].to_pylist(), strict=True))
    plan = choose_resolution(
        len(series), view.end - view.start, view.window, parameters.max_series, parameters.max_points
    )
    blocks = [
        (series[: plan.full], view.window),
        (series[plan.full : plan.full + plan.coarse], plan.step),
    ]
    return [read_series(predictions, part, view.start, view.end, step) for part, step in blocks if part]
