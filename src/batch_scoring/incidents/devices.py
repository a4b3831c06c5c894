"""Join simultaneous incidents of a device's sensors to ranked incidents of the device."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.joining import hex_digits
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import are, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, TIMESTAMP


def roll_up(incidents: pa.Table, slack_us: int) -> pa.Table:
    """Join the incidents of each device that overlap in time, ranked by state and priority.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, of any sensors and devices, in any order.
    slack_us : int
        Incidents at most this far apart, microseconds, count as overlapping.

    Returns
    -------
    pyarrow.Table
        Schema DEVICE_INCIDENTS. Open ones come first, then by falling priority, then the newest
        first. ``sensors`` lists the most severe first. It is open while one of its incidents is.
        ``priority`` is the sum over its sensors of ``1 + log2(1 + peak severity)``: every sensor
        counts, and a severity counts by its size, not by its scale.
    """
    if incidents.num_rows == 0:
        return empty_table(DEVICE_INCIDENTS)
    order = [(name, "ascending") for name in ("device", "start", "sensor")]
    incidents = incidents.sort_by(order).combine_chunks()
    device = to_numpy(incidents["device"].combine_chunks().dictionary_encode().indices).astype(np.int64)
    member_of = _groups(device, to_numpy(incidents["start"]), to_numpy(incidents["end"]), slack_us)
    first = np.flatnonzero(np.diff(member_of, prepend=-1))
    return _ranked(_summed(incidents, member_of, first))


def _groups(device: Int, start: Int, end: Int, slack_us: int) -> Int:
    """Number the group of each incident from 0; incidents are sorted by device and start."""
    # Ranks among all times, shifted so that each device's follow those of the device before.
    places = np.unique(np.concatenate([start, end + slack_us]), return_inverse=True)[1]
    shift = device * places.size
    start, until = places[: start.size] + shift, places[start.size :] + shift
    begins = np.append(True, start[1:] > np.maximum.accumulate(until)[:-1])
    return np.cumsum(begins) - 1


def _summed(incidents: pa.Table, member_of: Int, first: Int) -> pa.Table:
    sensors, n_sensors, priority = _sensors(incidents, member_of, first.size)
    worst = _worst_rows(incidents, member_of)
    is_open = np.logical_or.reduceat(are(incidents["state"], "open"), first)
    end = np.maximum.reduceat(to_numpy(incidents["end"]), first)
    groups, peaks = incidents.take(to_arrow(first)), incidents.take(to_arrow(worst))
    columns = {
        "device_incident_id": hex_digits(row_fingerprints(groups, ["device", "start"])),
        "device": groups["device"],
        "start": groups["start"],
        "end": to_arrow(end).view(TIMESTAMP),
        "state": strings(["closed", "open"]).take(to_arrow(is_open.astype(np.int64))),
        "priority": to_arrow(priority),
        "n_sensors": to_arrow(n_sensors),
        "sensors": sensors,
        "n_incidents": to_arrow(np.diff(first, append=member_of.size)),
        "n_windows": to_arrow(np.add.reduceat(to_numpy(incidents["n_windows"]), first)),
        **{name: peaks[name] for name in ("peak_severity", "peak_at", "top_feature")},
    }
    return pa.table(columns, schema=DEVICE_INCIDENTS)


def _sensors(incidents: pa.Table, member_of: Int, n_groups: int) -> tuple[pa.Array, Int, Float]:
    """Return each group's sensors, the most severe first, their number, and its priority."""
    encoded = incidents["sensor"].combine_chunks().dictionary_encode()
    sensor = to_numpy(encoded.indices).astype(np.int64)
    severity = to_numpy(incidents["peak_severity"])
    by_sensor = np.lexsort((-severity, sensor, member_of))
    is_new = (np.diff(member_of[by_sensor]) != 0) | (np.diff(sensor[by_sensor]) != 0)
    rows = by_sensor[np.append(True, is_new)]
    by_name = np.argsort(to_numpy(pc.array_sort_indices(encoded.dictionary)))
    rows = rows[np.lexsort((by_name[sensor[rows]], -severity[rows], member_of[rows]))]
    n_sensors = np.bincount(member_of[rows], minlength=n_groups)
    offsets = np.concatenate([[0], np.cumsum(n_sensors)]).astype(np.int32)
    names = encoded.dictionary.take(to_arrow(sensor[rows]))
    weights = 1 + np.log2(1 + severity[rows])
    priority = np.add.reduceat(weights, offsets[:-1])
    return pa.ListArray.from_arrays(to_arrow(offsets), names), n_sensors, priority


def _worst_rows(incidents: pa.Table, member_of: Int) -> Int:
    """Find the first incident of the largest severity in each group."""
    order = np.lexsort((-to_numpy(incidents["peak_severity"]), member_of))
    return order[np.flatnonzero(np.diff(member_of[order], prepend=-1))]


def _ranked(groups: pa.Table) -> pa.Table:
    keys = [("state", "descending"), ("priority", "descending"), ("start", "descending")]
    return groups.sort_by([*keys, ("device", "ascending")]).combine_chunks()
