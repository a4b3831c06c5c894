"""Gather the contents of a report once, for page, tables and summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import require
from batch_scoring.reporting.details import Details
from batch_scoring.reporting.fleet_view import EVERYTHING, FleetView
from batch_scoring.reporting.incident_list import IncidentList
from batch_scoring.reporting.known_faults import FoundFaults
from batch_scoring.storage.row_table import RowTable

# A device may have a thousand sensors: the heat map's counts are bounded too, at 4 bytes each.
MAX_PAGE_SERIES = 2000


@dataclass(frozen=True)
class ReportParameters:
    """The settings ``params:report``.

    Attributes
    ----------
    range : timedelta
        Length of the range that is reported, whole days, up to the newest window.
    max_devices : int
        Maximum number of devices on the page, worst first.
    max_series : int
        Maximum number of series drawn window by window, worst first; the others in longer steps.
    max_incidents : int
        Maximum number of device incidents on the page, by priority.
    max_points : int
        Maximum number of points of all charts together; one takes about 8 bytes.
    max_rows : int
        Maximum number of rows that are read of predictions, and of the quarantine; the newest are read.
    max_status_rows : int
        Maximum number of rows of the status table; what is not ok comes first.
    data : str
        The folder of the workspace, for the summary's last lines.
    """

    range: timedelta = timedelta(days=14)
    max_devices: int = 200
    max_series: int = 60
    max_incidents: int = 200
    max_points: int = 450_000
    max_rows: int = 5_000_000
    max_status_rows: int = 2000
    data: str = "data"

    def __post_init__(self) -> None:
        require(self, "report", {"range": (self.range >= timedelta(days=1), "a day or more, such as 14d")})


@dataclass(frozen=True)
class Contents:
    """The contents of a report.

    Attributes
    ----------
    view : FleetView
    n_readings, n_windows : int or None
        Stored readings, and the range's windows, scored or not; None where a run selects some devices or
        sensors only.
    n_sources : int
        Files that the readings came from.
    statuses, not_scored, quarantine : pyarrow.Table
        See the functions of ``statuses``.
    found_faults : FoundFaults or None
    incidents : IncidentList
    details : Details
        ``peaks`` are those of ``incidents.sensors``.
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
    details: Details = field(default_factory=Details)


def count_windows(windows: RowTable, view: FleetView, selection: Selection) -> int | None:
    """Count the windows of the view's range, scored or not; None where a run selects devices or sensors."""
    if selection != EVERYTHING:
        return None
    start = None if view.start is None else microseconds(view.start)
    # Files hold a day, or a month where a day has few rows: mostly the log knows the number.
    return sum(
        file.rows
        if start is None or file.first >= start
        else sum(_count_since(batch, view.start) for batch in windows.batches(file, ["window_start"]))
        for file in windows.files(start)
    )


def _count_since(rows: pa.Table, start: datetime | None) -> int:
    since = pa.scalar(start, rows.schema.field("window_start").type)
    return int(pc.sum(pc.greater_equal(rows["window_start"], since)).as_py())


def page_series(view: FleetView, max_devices: int) -> pa.Table:
    """Return the series of the page: those of the worst devices, worst first."""
    devices = view.devices["device"].slice(0, max_devices).combine_chunks()
    return view.series.filter(pc.is_in(view.series["device"], devices)).slice(0, MAX_PAGE_SERIES)
