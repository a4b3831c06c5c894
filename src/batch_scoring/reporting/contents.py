"""Gather the contents of a report once, for page, tables and summary."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.reporting.details import Details
from batch_scoring.reporting.fleet_view import EVERYTHING, FleetView
from batch_scoring.reporting.incident_list import IncidentList
from batch_scoring.reporting.known_faults import FoundFaults
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import to_numpy

# A device may have a thousand sensors: the heat map's counts are bounded too, at 4 bytes each.
MAX_PAGE_SERIES = 2000


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
    calendar : Calendar
        When nothing is judged.
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
    calendar: Calendar = field(default_factory=Calendar)


def count_windows(windows: RowTable, view: FleetView, selection: Selection) -> int | None:
    """Count the windows of the view's range, scored or not; None where a run selects devices or sensors."""
    if selection != EVERYTHING:
        return None
    if view.start is None:
        return windows.num_rows
    start = microseconds(view.start)
    # Files hold a day, or a month where a day has few rows: mostly the log knows the number.
    files = windows.files(start)
    cut = [batch for file in files if file.first < start for batch in windows.batches(file, ["window_start"])]
    later = sum(int((to_numpy(rows["window_start"]) >= start).sum()) for rows in cut)
    return later + sum(file.rows for file in files if file.first >= start)


def page_series(view: FleetView, max_devices: int) -> pa.Table:
    """Return the series of the page: those of the worst devices, worst first."""
    devices = view.devices["device"].slice(0, max_devices).combine_chunks()
    return view.series.filter(pc.is_in(view.series["device"], devices)).slice(0, MAX_PAGE_SERIES)
