"""List the incidents of the report: device incidents by priority, with their sensors' incidents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.incidents.listed_stays import ListedStay, listed_stays
from batch_scoring.plant.devices import Devices
from batch_scoring.reporting.fleet_view import FleetView, select_rows
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Int
from batch_scoring.tables.arrow_arrays import (
    are,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, FLEET_EVENT, INCIDENTS, OUTLIER

# A device with a hundred sensors may have thousands of incidents in one bad night.
MAX_OF_A_DEVICE_INCIDENT = 40
MAX_SENSOR_INCIDENTS = 2000


@dataclass(frozen=True)
class IncidentList:
    """The incidents of a report.

    Attributes
    ----------
    is_known : bool
        False before `incidents` has run.
    devices : pyarrow.Table
        Schema DEVICE_INCIDENTS: open ones and those ended in the report's range, but no outliers; in the
        order of the list.
    outliers : pyarrow.Table
        Schema DEVICE_INCIDENTS, by priority: the outliers among them.
    sensors : pyarrow.Table
        Schema INCIDENTS and ``of`` (int64, a row of ``devices``), of the first of them; most severe first.
    of_page : pyarrow.Table
        Schema INCIDENTS: those of the devices that the page draws.
    stays : list of ListedStay
        Behind the first of ``devices``.
    """

    is_known: bool
    devices: pa.Table
    outliers: pa.Table
    sensors: pa.Table
    of_page: pa.Table
    stays: list[ListedStay]

    @property
    def silences(self) -> pa.Table:
        """device, sensor, window_start and window_end of the silences of sensors."""
        rows = self.devices.filter(to_arrow(are(self.devices["kind"], "sensor_silent"))).combine_chunks()
        lists = rows["sensors"].combine_chunks() if rows.num_rows else pa.nulls(0, rows["sensors"].type)
        of = pc.list_parent_indices(lists)
        columns = [
            rows["device"].take(of),
            lists.flatten(),
            rows["last_start"].take(of),
            rows["end"].take(of),
        ]
        return pa.table(columns, ["device", "sensor", "window_start", "window_end"])


def list_incidents(
    device_incidents: RowTable,
    incidents: RowTable,
    stays: RowTable,
    view: FleetView,
    page_devices: pa.Array,
    selection: Selection,
    max_incidents: int,
    known: Devices | None = None,
) -> IncidentList:
    """Read the incidents that the report shows.

    Parameters
    ----------
    device_incidents : RowTable
        Schema DEVICE_INCIDENTS; it does not exist before `incidents` has run.
    incidents : RowTable
        Schema INCIDENTS.
    stays : RowTable
        Schema STAYS.
    view : FleetView
    page_devices : pyarrow.Array of string
        Devices that the page draws charts of.
    selection : Selection
        The devices and sensors to report.
    max_incidents : int
        Maximum number of device incidents; the sensors' incidents are read for these.
    known : Devices, optional
        Which ids are one machine; those of its former ids are behind its incidents, too.
    """
    known = known or Devices()
    is_known = device_incidents.schema == DEVICE_INCIDENTS
    ranked = device_incidents.read(DEVICE_INCIDENTS.names) if is_known else empty_table(DEVICE_INCIDENTS)
    devices = _select(ranked, selection)
    if view.start is not None:
        is_recent = to_numpy(devices["end"]) > microseconds(view.start)
        devices = devices.filter(to_arrow(is_recent | are(devices["state"], "open")))
    is_outlier = are(devices["kind"], OUTLIER)
    devices, outliers = (devices.filter(to_arrow(one)) for one in (~is_outlier, is_outlier))
    shown = devices.slice(0, max_incidents)
    former = strings(known.former_of(shown["device"].to_pylist()))
    wanted = distinct(shown["device"], page_devices, former)
    start = 0 if view.start is None else microseconds(view.start)
    rows = _read(incidents, selection.sensors, wanted, to_numpy(shown["start"]), start)
    of_page = rows.filter(pc.is_in(rows["device"], value_set=page_devices))
    listed = listed_stays(stays, shown, known)
    return IncidentList(is_known, devices, outliers, _members(shown, rows, known), of_page, listed)


def _select(devices: pa.Table, selection: Selection) -> pa.Table:
    devices = select_rows(devices, selection).combine_chunks()
    if selection.sensors is None or not devices.num_rows:
        return devices
    lists = devices["sensors"].combine_chunks()
    is_asked_for = pc.is_in(pc.list_flatten(lists), value_set=strings(sorted(selection.sensors)))
    return devices.take(pc.unique(pc.list_parent_indices(lists).filter(is_asked_for)))


def _read(
    incidents: RowTable, sensors: Iterable[str] | None, devices: pa.Array, began: Int, start: int
) -> pa.Table:
    """Read the incidents since a start; of older device incidents those of the day on which they began."""
    if incidents.schema != INCIDENTS or not len(devices):
        return empty_table(INCIDENTS)
    days = np.unique(began[began < start] // DAY_US).tolist()
    spans = [(day * DAY_US, min((day + 1) * DAY_US, start)) for day in days]
    parts = [
        incidents.read(INCIDENTS.names, *span, sensors, devices.to_pylist())
        for span in [*spans, (start, None)]
    ]
    rows = pa.concat_tables(parts)
    return rows.filter(to_arrow(~are(rows["state"], "forming"))).combine_chunks()


def _members(devices: pa.Table, incidents: pa.Table, known: Devices) -> pa.Table:
    """Find the incidents of the sensors of anomalies, each with its row, within the page's limit.

    A device may have fallen silent after its anomaly.
    """
    has_some = (to_numpy(devices["n_windows"]) > 0) & ~are(devices["kind"], FLEET_EVENT)
    of = np.flatnonzero(has_some)
    if not of.size:
        return incidents.slice(0, 0).append_column("of", to_arrow(of))
    listed = devices.take(to_arrow(of)).combine_chunks()
    lists = listed["sensors"].combine_chunks()
    row, sensor = to_numpy(pc.list_parent_indices(lists)), pc.list_flatten(lists)
    names, sensors = distinct(devices["device"]), distinct(sensor)
    current = known.with_newest(incidents)["device"]
    series = positions(listed["device"], names)[row] * len(sensors) + positions(sensor, sensors)
    theirs = positions(incidents["sensor"], sensors)
    theirs = np.where(theirs < 0, -1, positions(current, names) * len(sensors) + theirs)
    start, end = to_numpy(listed["start"])[row], to_numpy(listed["end"])[row]
    of = of[row]
    # Those of a series do not overlap: the last that began no later than a sensor's incident is the one.
    ranks = np.unique(np.append(start, to_numpy(incidents["start"])), return_inverse=True)[1]
    keys = np.append(series, theirs) * ranks.size + ranks
    order = np.argsort(keys[: of.size])
    place = np.searchsorted(keys[: of.size][order], keys[of.size :], "right") - 1
    place = order[place.clip(0)]
    is_inside = (series[place] == theirs) & (start[place] <= to_numpy(incidents["start"]))
    is_inside &= to_numpy(incidents["end"]) <= end[place]
    table = incidents.filter(to_arrow(is_inside)).append_column("of", to_arrow(of[place[is_inside]]))
    by = [("of", "ascending"), ("peak_severity", "descending"), ("start", "ascending")]
    table = table.sort_by([*by, ("sensor", "ascending")]).combine_chunks()
    of = to_numpy(table["of"])
    number = np.arange(of.size) - np.searchsorted(of, of)
    return table.filter(to_arrow(number < MAX_OF_A_DEVICE_INCIDENT)).slice(0, MAX_SENSOR_INCIDENTS)
