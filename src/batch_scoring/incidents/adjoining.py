"""Make one incident of a device of what was unusual and the silence that it fell into, or came back from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import MOST_OF_AN_OUTLIER
from batch_scoring.incidents.silence import Gaps, Silences
from batch_scoring.incidents.stretches import expand
from batch_scoring.incidents.sums import MAX_DEVICES_LISTED
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, distinct, from_rows, positions, to_arrow, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS

DEVICE_SILENT, SENSOR_SILENT = "device_silent", "sensor_silent"


def are_silent_now(series: pa.Table, known: Gaps, silences: Iterable[Silences]) -> Bool:
    """Mark the rows whose sensor, or whose device, is silent now, shape (n,).

    Parameters
    ----------
    series : pyarrow.Table
        device and sensor of each row.
    known : Gaps
        What the silences were found in: the names.
    silences : iterable of Silences
        Of devices and of sensors. A silent source is not among them: it says nothing of a machine.
    """
    n = len(known.sensors) + 1
    device, sensor = positions(series["device"], known.devices), positions(series["sensor"], known.sensors)
    is_silent = np.zeros(series.num_rows, bool)
    for found in silences:
        now = found.is_open
        of_all = found.device[now & (found.sensor < 0)]
        of_one = now & (found.sensor >= 0)
        is_silent |= np.isin(device, of_all)
        is_silent |= np.isin(device * n + sensor, found.device[of_one] * n + found.sensor[of_one]) & (
            sensor >= 0
        )
    return is_silent & (device >= 0)


def join_adjoining(rows: pa.Table, slack_us: int) -> pa.Table:
    """Join the silences of devices and sensors to the anomalies of the same sensors that they adjoin.

    Outliers and changes of unit stay apart: they say nothing of why it fell silent.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS, with ids.
    slack_us : int
        The longest time between what adjoins, microseconds.

    Returns
    -------
    pyarrow.Table
        Schema DEVICE_INCIDENTS, in another order. One that is joined has the id of its first part, so that it
        goes on as the same, and the larger priority. Its kind is that of the silence where this is its last
        part, which then begins at ``last_start``; else it is an anomaly. ``advice`` says when it was silent.
    """
    is_silence = are(rows["kind"], DEVICE_SILENT) | are(rows["kind"], SENSOR_SILENT)
    is_anomaly = are(rows["kind"], "anomaly") & (to_numpy(rows["priority"]) >= MOST_OF_AN_OUTLIER)
    silence, anomaly = _pairs(rows, np.flatnonzero(is_silence), np.flatnonzero(is_anomaly))
    start, end = to_numpy(rows["start"]), to_numpy(rows["end"])
    adjoin = (start[anomaly] <= end[silence] + slack_us) & (end[anomaly] >= start[silence] - slack_us)
    if not adjoin.any():
        return rows
    label = _connected(rows.num_rows, silence[adjoin], anomaly[adjoin])
    is_part = np.bincount(label, minlength=label.size)[label] > 1
    order = np.flatnonzero(is_part)
    order = order[np.lexsort((~is_anomaly[order], start[order], label[order]))]
    border = np.flatnonzero(np.diff(label[order])) + 1
    parts = [list(as_rows(rows.take(to_arrow(some)))) for some in np.split(order, border)]
    joined = from_rows([_joined(some) for some in parts], DEVICE_INCIDENTS)
    return pa.concat_tables([rows.filter(to_arrow(~is_part)), joined])


def _joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join the rows of one incident, which are in order of their start."""
    unusual = sorted((one for one in parts if one["kind"] == "anomaly"), key=lambda one: -one["priority"])
    silences = [one for one in parts if one["kind"] != "anomaly"]
    worst = max(parts, key=lambda one: one["priority"])
    sensors = list(dict.fromkeys(name for one in (*unusual, *silences) for name in one["sensors"]))
    last = max(parts, key=lambda one: (one["end"], one["start"]))
    is_silence = last["kind"] == DEVICE_SILENT or (
        last["kind"] == SENSOR_SILENT and set(sensors) == set(last["sensors"])
    )
    names = ", ".join(dict.fromkeys(name for one in unusual for name in one["sensors"]))
    what = [*map(_in_words, silences), *([f"unusual before: {names}"] if is_silence else [])]
    return {
        # The peak is that of what was unusual: a silence has none.
        **max(unusual, key=lambda one: one["peak_severity"]),
        **{name: worst[name] for name in ("priority", "level")},
        "incident_id": parts[0]["incident_id"],
        "kind": last["kind"] if is_silence else "anomaly",
        "start": parts[0]["start"],
        "end": last["end"],
        "last_start": last["start"] if is_silence else max(one["last_start"] for one in parts),
        "state": "open" if any(one["state"] == "open" for one in parts) else "closed",
        "n_sensors": max(len(sensors), *(one["n_sensors"] for one in parts)),
        "sensors": sensors[:MAX_DEVICES_LISTED],
        **{name: sum(one[name] for one in parts) for name in ("n_incidents", "n_windows")},
        "warming_up": all(one["warming_up"] for one in parts if one["priority"] >= MOST_OF_AN_OUTLIER),
        "advice": ". ".join([*(one["advice"] for one in (*silences, *unusual) if one["advice"]), *what]),
    }


def _in_words(silence: dict[str, Any]) -> str:
    """Say from when to when there was a silence, UTC."""
    whose = "" if silence["kind"] == DEVICE_SILENT else f"{', '.join(silence['sensors'])}: "
    since, until = _minute(silence["start"]), _minute(silence["end"])
    if silence["state"] == "open":
        return f"{whose}sends nothing since {since}"
    return f"{whose}sent nothing from {since} to {until}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _pairs(rows: pa.Table, ones: Int, others: Int) -> tuple[Int, Int]:
    """Return each row of some beside each of others that has its device and one of its sensors."""
    devices = distinct(rows["device"])
    sensors = distinct(pc.list_flatten(rows["sensors"]))

    def members(chosen: Int) -> tuple[Int, Int]:
        some = rows.take(to_arrow(chosen)).combine_chunks()
        lists = some["sensors"].combine_chunks()
        of, sensor = to_numpy(pc.list_parent_indices(lists)), positions(lists.flatten(), sensors)
        return chosen[of], positions(some["device"], devices)[of] * max(len(sensors), 1) + sensor

    (one, key), (other, theirs) = members(ones), members(others)
    order = np.argsort(theirs, kind="stable")
    row, place = expand(*(np.searchsorted(theirs[order], key, side) for side in ("left", "right")))
    return one[row], other[order][place]


def _connected(n: int, one: Int, other: Int) -> Int:
    """Return for each of n rows the first that it is connected to by pairs, shape (n,)."""
    label = np.arange(n)
    while True:
        first = np.minimum(label[one], label[other])
        better = label.copy()
        np.minimum.at(better, one, first)
        np.minimum.at(better, other, first)
        if np.array_equal(better, label):
            return label
        label = better
