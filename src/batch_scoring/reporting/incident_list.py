"""List the incidents of the report: device incidents by priority, with their sensors' incidents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import Selection
from batch_scoring.reporting.fleet_view import select_devices
from batch_scoring.tables.partitions import Partitions, partition_key, split_partition_key
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, INCIDENTS

# A device with a hundred sensors may have thousands of incidents in one bad night.
MAX_OF_A_DEVICE_INCIDENT = 40
MAX_SENSOR_INCIDENTS = 2000

_PEAK = ["device", "window_start", "value", "score", "threshold", "contributions"]


@dataclass(frozen=True)
class Peak:
    """The most severe window of an incident.

    Attributes
    ----------
    value : float or None
        In the sensor's unit.
    score, threshold : float or None
    contributions : list of (str, float)
        Decades that each feature alone would give it; empty where the detector has none.
    """

    value: float | None
    score: float | None
    threshold: float | None
    contributions: list[tuple[str, float]]


@dataclass(frozen=True)
class IncidentList:
    """The incidents of a report.

    Attributes
    ----------
    is_known : bool
        False before `incidents` has run.
    devices : pyarrow.Table
        Schema DEVICE_INCIDENTS, by priority.
    sensors : pyarrow.Table
        Schema INCIDENTS and ``of`` (int64, a row of ``devices``), of the first of them; most severe first.
    peaks : list of Peak or None
        One for each row of ``sensors``; None where its prediction was deleted.
    of_page : pyarrow.Table
        Schema INCIDENTS: all those of the devices that the page draws.
    """

    is_known: bool
    devices: pa.Table
    sensors: pa.Table
    peaks: list[Peak | None]
    of_page: pa.Table


def list_incidents(
    device_incidents: pq.ParquetFile,
    incidents: Partitions,
    predictions: Partitions,
    page_devices: pa.Array,
    selection: Selection,
    max_incidents: int,
) -> IncidentList:
    """Read the incidents that the report shows.

    Parameters
    ----------
    device_incidents : pyarrow.parquet.ParquetFile
        Schema DEVICE_INCIDENTS; without columns before `incidents` has run.
    incidents, predictions : mapping of str to function
        Partition name to a function that opens it.
    page_devices : pyarrow.Array of string
        Devices that the page draws charts of.
    selection : Selection
        The devices and sensors to report.
    max_incidents : int
        Maximum number of device incidents; the sensors' incidents are read for these.

    Returns
    -------
    IncidentList
    """
    table = device_incidents.read()
    is_known = table.num_columns > 0
    devices = _select(table.cast(DEVICE_INCIDENTS) if is_known else DEVICE_INCIDENTS.empty_table(), selection)
    shown = devices.slice(0, max_incidents)
    wanted = pc.unique(pa.chunked_array([shown["device"].combine_chunks(), page_devices], pa.string()))
    rows = pa.concat_tables([INCIDENTS.empty_table(), *_read(incidents, selection, wanted)]).combine_chunks()
    sensors = _members(shown, rows)
    of_page = rows.filter(pc.is_in(rows["device"], page_devices))
    return IncidentList(is_known, devices, sensors, _read_peaks(sensors, predictions), of_page)


def _select(devices: pa.Table, selection: Selection) -> pa.Table:
    devices = select_devices(devices, selection).combine_chunks()
    if selection.sensors is None or not devices.num_rows:
        return devices
    lists = devices["sensors"].combine_chunks()
    is_asked_for = pc.is_in(pc.list_flatten(lists), pa.array(sorted(selection.sensors), pa.string()))
    return devices.take(pc.unique(pc.list_parent_indices(lists).filter(is_asked_for)))


def _read(incidents: Partitions, selection: Selection, wanted: pa.Array) -> Iterator[pa.Table]:
    for key, load in incidents.items():
        if selection.has_sensor(split_partition_key(key)[0]):
            rows = load().read(columns=INCIDENTS.names).cast(INCIDENTS)
            yield rows.filter(pc.is_in(rows["device"], wanted))


def _members(devices: pa.Table, incidents: pa.Table) -> pa.Table:
    """Read the sensors' incidents of device incidents, each with its row, within the page's limit."""
    numbered = incidents.select(["device", "start", "end"]).append_column("row", _count(incidents))
    groups = devices.select(["device", "start", "end"]).rename_columns(["device", "from", "until"])
    pairs = numbered.join(groups.append_column("of", _count(devices)), "device", join_type="inner")
    inside = pc.and_(
        pc.greater_equal(pairs["start"], pairs["from"]), pc.less_equal(pairs["end"], pairs["until"])
    )
    pairs = pairs.filter(inside)
    table = incidents.take(pairs["row"]).append_column("of", pairs["of"])
    order = [("of", "ascending"), ("peak_severity", "descending"), ("start", "ascending")]
    table = table.sort_by([*order, ("sensor", "ascending")]).combine_chunks()
    of = table["of"].to_numpy()
    place = np.arange(of.size) - np.searchsorted(of, of)
    return table.filter(pa.array(place < MAX_OF_A_DEVICE_INCIDENT)).slice(0, MAX_SENSOR_INCIDENTS)


def _count(table: pa.Table) -> pa.Array:
    return pa.array(np.arange(table.num_rows))


def _read_peaks(sensors: pa.Table, predictions: Partitions) -> list[Peak | None]:
    rows = sensors.select(["sensor", "device", "peak_at"]).to_pylist()
    days: dict[tuple[str, date], list[int]] = {}
    for number, row in enumerate(rows):
        days.setdefault((row["sensor"], row["peak_at"].date()), []).append(number)
    peaks: list[Peak | None] = [None] * len(rows)
    for (sensor, day), numbers in days.items():
        key = partition_key(sensor, day)
        if key not in predictions:
            continue
        there = _peaks_of_day(predictions[key](), [rows[number] for number in numbers])
        for number in numbers:
            peaks[number] = there.get((rows[number]["device"], rows[number]["peak_at"]))
    return peaks


def _peaks_of_day(file: pq.ParquetFile, wanted: list[dict[str, object]]) -> dict[tuple[object, object], Peak]:
    """Read the windows of some devices and starts, and possibly a few more."""
    # Predictions of an earlier version have no contributions.
    there = set(file.schema_arrow.names)
    table = file.read(columns=[name for name in _PEAK if name in there])
    is_wanted = pc.and_(
        pc.is_in(table["device"], pa.array([row["device"] for row in wanted], pa.string())),
        pc.is_in(
            table["window_start"],
            pa.array([row["peak_at"] for row in wanted], table.schema.field("window_start").type),
        ),
    )
    return {
        (row["device"], row["window_start"]): Peak(
            row["value"], row["score"], row["threshold"], row.get("contributions") or []
        )
        for row in table.filter(is_wanted).to_pylist()
    }
