"""List silences as incidents: of sensors, of devices, of the source."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.incidents.evidence import silence_priority
from batch_scoring.incidents.silence import Gaps, Silences
from batch_scoring.incidents.stretches import group_stretches
from batch_scoring.incidents.sums import names_of_groups, names_of_owners, states, times, with_priority
from batch_scoring.tables.arrow_arrays import constant, empty_table, to_arrow
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, OF_PEAK


def silent_rows(kind: str, found: Silences, known: Gaps, slack_us: int, since: int) -> pa.Table:
    """Join the silences of each device, or of the source, that overlap in time; schema DEVICE_INCIDENTS.

    Parameters
    ----------
    kind : str
        ``source_silent``, ``device_silent`` or ``sensor_silent``.
    found : Silences
    known : Gaps
        What the silences were found in: the names.
    slack_us : int
        Silences at most this far apart are one, microseconds.
    since : int
        Silences that ended earlier are left out, microseconds since the epoch.
    """
    is_recent = found.is_open | (found.end >= since)
    if not is_recent.any():
        return empty_table(DEVICE_INCIDENTS)
    order = np.flatnonzero(is_recent)
    order = order[np.lexsort((found.sensor[order], found.start[order], found.device[order]))]
    device, start, end = (one[order] for one in (found.device, found.start, found.end))
    group = group_stretches(device + 1, start, end, slack_us)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    is_device, is_source = (np.full(first.size, kind == one) for one in ("device_silent", "source_silent"))
    decades = np.maximum.reduceat(found.decades[order], first)
    # A silent source names its devices, and a silent device its sensors.
    if kind == "sensor_silent":
        sensors = names_of_groups(known.sensors, group, found.sensor[order], found.decades[order])
    else:
        last = known.is_last
        owner = np.zeros(last.sum(), np.int64) if kind == "source_silent" else known.device[last]
        sensors = names_of_owners(known.sensors, np.maximum(device[first], 0), owner, known.sensor[last])
    if kind == "source_silent":
        everyone = np.arange(len(known.devices))
        devices = names_of_owners(known.devices, 0 * first, 0 * everyone, everyone)
    else:
        devices = names_of_groups(known.devices, np.arange(first.size), device[first], np.zeros(first.size))
    names = pa.chunked_array([constant("", first.size)])
    if kind != "source_silent":
        names = pa.chunked_array([known.devices.take(to_arrow(device[first]))])
    start = start[first]
    is_open = np.logical_or.reduceat(found.is_open[order], first)
    priority = silence_priority(decades, is_device, is_source)
    zeros = np.zeros(first.size)
    columns = {
        "kind": constant(kind, first.size),
        "device": names,
        "start": times(start),
        "end": times(np.maximum.reduceat(end, first)),
        "last_start": times(start),
        "state": states(is_open),
        "n_devices": to_arrow(devices[1]),
        "devices": devices[0],
        "n_sensors": to_arrow(sensors[1]),
        "sensors": sensors[0],
        "n_incidents": to_arrow(np.diff(first, append=order.size)),
        "n_windows": to_arrow(zeros.astype(np.int64)),
        "peak_severity": to_arrow(zeros),
        "peak_at": times(start),
        **dict.fromkeys(("top_feature", "peak_sensor"), constant("", first.size)),
        **dict.fromkeys(OF_PEAK, pa.nulls(first.size, pa.float64())),
        "warming_up": to_arrow(np.zeros(first.size, bool)),
        "advice": constant("", first.size),
    }
    return with_priority(columns, priority=priority)
