"""Join what sensors and devices show at once to incidents of devices and of the fleet, and rank them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.evidence import (
    MOST_OF_AN_OUTLIER,
    WORST_SENSORS,
    levels_of,
    outlier_priority,
    silence_priority,
)
from batch_scoring.incidents.joining import hex_digits
from batch_scoring.incidents.machines import of_machines
from batch_scoring.incidents.silence import Gaps, SilenceRules, Silences, find_silences
from batch_scoring.incidents.steps import CHANGE_OF_UNIT
from batch_scoring.incidents.stretches import group_stretches
from batch_scoring.plant.devices import Devices
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import (
    are,
    constant,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
    to_numpy,
)
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, FLEET_EVENT, OUTLIER, TIMESTAMP

MAX_DEVICES_LISTED = 100
BEYOND_A_LIMIT = "beyond a limit"
MAX_ADVICE = 3
# An event of the fleet is one that begins on this share of a sensor's devices, and on five of them; or on
# half of a small fleet, and on three of them.
SHARE_OF_FLEET, MIN_DEVICES = 0.2, 5
SHARE_OF_SMALL_FLEET, MIN_OF_SMALL_FLEET = 0.5, 3
# A single window is an outlier where windows are shorter.
OUTLIER_BELOW_US = 3_600_000_000
SILENT = ("source_silent", "device_silent", "sensor_silent")


@dataclass(frozen=True)
class RollUpRules:
    """What is one incident to a person.

    Attributes
    ----------
    slack_us : int
        Incidents of a device at most this far apart are one, microseconds; so are silences. Incidents that
        begin within this time on many devices are an event of the fleet.
    silence : SilenceRules
    outlier_windows : int
        An incident of one sensor with at most this many windows, shorter than an hour, is an outlier: a wild
        reading, and the step back from it.
    calendar : Calendar
        What it leaves out is no silence.
    devices : Devices
        Which ids are one machine.
    lasting_us : int
        A step to another level that has been there as long may be the new normal, microseconds.
    """

    slack_us: int
    silence: SilenceRules
    outlier_windows: int = 2
    calendar: Calendar = field(default_factory=Calendar)
    devices: Devices = field(default_factory=Devices)
    lasting_us: int = 86_400_000_000


def roll_up(
    incidents: pa.Table,
    gaps: pa.Table,
    rules: RollUpRules,
    since: int,
    steps: Mapping[str, str] | None = None,
) -> pa.Table:
    """Join the incidents of each device that overlap in time, and find silence; ranked.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, of any sensors and devices, in any order.
    gaps : pyarrow.Table
        Schema GAPS: the last row of each series, and the gaps of the weeks before ``since``.
    rules : RollUpRules
    since : int
        Silences that ended earlier are left out, microseconds since the epoch.
    steps : mapping of str to str, optional
        Advice on some of the incidents, by their id.

    Returns
    -------
    pyarrow.Table
        Schema DEVICE_INCIDENTS. Outliers come last, before them what is warming up, and before that changes
        of unit; the open ones of the others come first; then by falling priority, then the newest first.
    """
    incidents, gaps = of_machines(_advised(incidents, steps or {}), gaps, rules.devices)
    order = [(name, "ascending") for name in ("device", "start", "sensor")]
    incidents = incidents.sort_by(order).combine_chunks() if incidents.num_rows else incidents
    known = Gaps.of(gaps, rules.devices)
    found_silences = find_silences(known, rules.silence, rules.calendar)
    is_event = _in_events(incidents, known, rules.slack_us)
    found = [
        _of_devices(incidents.filter(to_arrow(~is_event)), rules),
        _of_fleet(incidents.filter(to_arrow(is_event)), rules.slack_us),
        *(
            _silent(kind, silences, known, rules.slack_us, since)
            for kind, silences in zip(SILENT, found_silences, strict=True)
        ),
    ]
    return _ranked(_identified(pa.concat_tables(found), rules.devices))


def _in_events(incidents: pa.Table, known: Gaps, slack_us: int) -> Bool:
    """Mark the incidents that begin on many devices of a sensor within the slack, shape (n,)."""
    n = incidents.num_rows
    if n == 0:
        return np.zeros(0, bool)
    sensors = distinct(incidents["sensor"])
    sensor, start = positions(incidents["sensor"], sensors), to_numpy(incidents["start"])
    order = np.lexsort((start, sensor))
    sensor, start = sensor[order], start[order]
    n_devices = _count_there(positions(sensors, known.sensors)[sensor], start, known)
    of_large = np.maximum(np.ceil(SHARE_OF_FLEET * n_devices), MIN_DEVICES)
    of_small = np.maximum(np.ceil(SHARE_OF_SMALL_FLEET * n_devices), MIN_OF_SMALL_FLEET)
    # Where nothing is known of the devices, the fleet is not taken for a small one.
    least = np.where(n_devices > 0, np.minimum(of_large, of_small), of_large)
    # An incident of a device lies further from its last one than the slack: so each counts a device.
    places = np.arange(n)
    ends = _count_until(sensor, start, slack_us)
    is_dense = ends - places >= least
    change = np.zeros(n + 1, np.int64)
    np.add.at(change, places[is_dense], 1)
    np.add.at(change, ends[is_dense], -1)
    is_in = np.zeros(n, bool)
    is_in[order] = np.cumsum(change)[:-1] > 0
    return is_in


def _of_devices(incidents: pa.Table, rules: RollUpRules) -> pa.Table:
    if incidents.num_rows == 0:
        return empty_table(DEVICE_INCIDENTS)
    device = positions(incidents["device"], distinct(incidents["device"]))
    start, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    group = group_stretches(device, start, end, rules.slack_us)
    rows = _summed(incidents, group, "anomaly")
    # A window of an hour holds more than a wild reading.
    is_short = to_numpy(rows["end"]) - to_numpy(rows["start"]) < OUTLIER_BELOW_US
    is_single = to_numpy(rows["n_incidents"]) == 1
    is_outlier = is_short & is_single & (to_numpy(rows["n_windows"]) <= rules.outlier_windows)
    is_unit = _are_of_unit(incidents)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    of_others = np.maximum.reduceat(np.where(is_unit, 0, to_numpy(incidents["n_windows"])), first)
    is_explained = np.logical_or.reduceat(is_unit, first) & (of_others <= rules.outlier_windows)
    priority = to_numpy(rows["priority"])
    kind = strings(["anomaly", OUTLIER]).take(to_arrow(is_outlier.astype(np.int64)))
    is_little = is_outlier | is_explained
    return _with(rows, kind=kind, priority=np.where(is_little, outlier_priority(priority), priority))


def _are_of_unit(incidents: pa.Table) -> Bool:
    """Mark the incidents that look like a change of unit: nobody needs to look at the machine."""
    found: Bool = to_numpy(pc.starts_with(incidents["advice"], CHANGE_OF_UNIT))
    return found


def _of_fleet(incidents: pa.Table, slack_us: int) -> pa.Table:
    """Join the incidents of an event, of all sensors."""
    if incidents.num_rows == 0:
        return empty_table(DEVICE_INCIDENTS)
    incidents = incidents.sort_by([("start", "ascending"), ("device", "ascending"), ("sensor", "ascending")])
    start = to_numpy(incidents["start"])
    group = np.cumsum(np.append(False, np.diff(start) > slack_us))
    rows = _summed(incidents, group, FLEET_EVENT)
    many = 1 + np.log10(to_numpy(rows["n_devices"]))
    nobody = constant("", rows.num_rows)
    return _with(rows, device=nobody, priority=to_numpy(rows["priority"]) * many)


def _silent(kind: str, found: Silences, known: Gaps, slack_us: int, since: int) -> pa.Table:
    """Join the silences of each device, or of the source, that overlap in time."""
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
        sensors = _named(known.sensors, group, found.sensor[order], found.decades[order])
    else:
        last = known.is_last
        owner = np.zeros(last.sum(), np.int64) if kind == "source_silent" else known.device[last]
        sensors = _named_of(known.sensors, np.maximum(device[first], 0), owner, known.sensor[last])
    if kind == "source_silent":
        everyone = np.arange(len(known.devices))
        devices = _named_of(known.devices, 0 * first, 0 * everyone, everyone)
    else:
        devices = _named(known.devices, np.arange(first.size), device[first], np.zeros(first.size))
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
        "start": _times(start),
        "end": _times(np.maximum.reduceat(end, first)),
        "state": _state(is_open),
        "n_devices": to_arrow(devices[1]),
        "devices": devices[0],
        "n_sensors": to_arrow(sensors[1]),
        "sensors": sensors[0],
        "n_incidents": to_arrow(np.diff(first, append=order.size)),
        "n_windows": to_arrow(zeros.astype(np.int64)),
        "peak_severity": to_arrow(zeros),
        "peak_at": _times(start),
        "top_feature": constant("", first.size),
        "warming_up": to_arrow(np.zeros(first.size, bool)),
        "advice": constant("", first.size),
    }
    return _with(columns, priority=priority)


def _summed(incidents: pa.Table, group: Int, kind: str) -> pa.Table:
    """Sum up each group of incidents; groups are numbered in the order of the rows."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    severity, evidence = to_numpy(incidents["peak_severity"]), to_numpy(incidents["evidence"])
    worst = np.lexsort((-severity, group))[first]
    names = {name: distinct(incidents[name]) for name in ("device", "sensor")}
    number = {name: positions(incidents[name], names[name]) for name in names}
    devices, sensors = (_named(names[name], group, number[name], evidence) for name in ("device", "sensor"))
    series = number["device"] * len(names["sensor"]) + number["sensor"]
    groups, peaks = incidents.take(to_arrow(first)), incidents.take(to_arrow(worst))
    columns = {
        "kind": constant(kind, first.size),
        "device": groups["device"],
        "start": groups["start"],
        "end": _times(np.maximum.reduceat(to_numpy(incidents["end"]), first)),
        "state": _state(np.logical_or.reduceat(are(incidents["state"], "open"), first)),
        "n_devices": to_arrow(devices[1]),
        "devices": devices[0],
        "n_sensors": to_arrow(sensors[1]),
        "sensors": sensors[0],
        "n_incidents": to_arrow(np.diff(first, append=group.size)),
        "n_windows": to_arrow(np.add.reduceat(to_numpy(incidents["n_windows"]), first)),
        **{name: peaks[name] for name in ("peak_severity", "peak_at", "top_feature")},
        "warming_up": to_arrow(np.logical_and.reduceat(to_numpy(incidents["warming_up"], null=False), first)),
        "advice": strings(_advice(incidents, group, first.size)),
    }
    weight = np.where(_are_of_unit(incidents), 0.0, evidence)
    return _with(columns, priority=_worst_of(group, series, weight))


def _advised(incidents: pa.Table, steps: Mapping[str, str]) -> pa.Table:
    """Add what is known of each incident beside its numbers, column ``advice``."""
    shift = to_numpy(incidents["shift"], null=np.nan)
    shifts = np.flatnonzero(np.isfinite(shift))
    of_shifts = [f"level off by {size:+.3g}, then back" for size in shift[shifts].tolist()]
    texts = ["", BEYOND_A_LIMIT, *dict.fromkeys([*steps.values(), *of_shifts])]
    number = to_numpy(incidents["beyond_limits"], null=False).astype(np.int64)
    number[shifts] = [texts.index(text) for text in of_shifts]
    place = positions(incidents["incident_id"], strings(list(steps)))
    of_step = np.array([*(texts.index(text) for text in steps.values()), 0], np.int64)
    return incidents.append_column(
        "advice", strings(texts).take(to_arrow(np.where(place >= 0, of_step[place], number)))
    )


def _advice(incidents: pa.Table, group: Int, n: int) -> list[str]:
    """Return what is known of each group, sensor by sensor; the first ones, if there are many."""
    found: list[list[str]] = [[] for _ in range(n)]
    rows = np.flatnonzero(~are(incidents["advice"], ""))
    some = incidents.select(["sensor", "advice"]).take(to_arrow(rows)).to_pylist()
    for place, row in zip(group[rows].tolist(), some, strict=True):
        text = f"{row['sensor']}: {row['advice']}"
        if text not in found[place] and len(found[place]) < MAX_ADVICE:
            found[place].append(text)
    return [". ".join(texts) for texts in found]


def _worst_of(group: Int, series: Int, evidence: Float) -> Float:
    """Sum the evidence of each group's worst series, of each the most."""
    row, of = _most_of_each(group, series, evidence)
    order = np.lexsort((-evidence[row], of))
    of, first = of[order], np.flatnonzero(np.diff(of[order], prepend=-1))
    place = np.arange(of.size) - np.repeat(first, np.diff(first, append=of.size))
    priority: Float = np.add.reduceat(np.where(place < WORST_SENSORS, evidence[row][order], 0.0), first)
    return priority


def _most_of_each(group: Int, member: Int, weight: Float) -> tuple[Int, Int]:
    """Return the row of the largest weight of each member of each group, and its group."""
    order = np.lexsort((-weight, member, group))
    is_new = (np.diff(group[order], prepend=-1) != 0) | (np.diff(member[order], prepend=-1) != 0)
    row = order[is_new]
    return row, group[row]


def _named(names: pa.Array, group: Int, member: Int, weight: Float) -> tuple[pa.Array, Int]:
    """Return the names of each group's members, the largest weight first, and their number."""
    row, of = _most_of_each(group, member, weight)
    order = np.lexsort((member[row], -weight[row], of))
    of, chosen = of[order], member[row][order]
    numbers = np.bincount(of)
    first = np.append(0, np.cumsum(numbers))[:-1]
    place = np.arange(of.size) - np.repeat(first, numbers)
    is_listed = place < MAX_DEVICES_LISTED
    sizes = np.bincount(of[is_listed], minlength=numbers.size)
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int32)
    return pa.ListArray.from_arrays(to_arrow(offsets), names.take(to_arrow(chosen[is_listed]))), numbers


def _named_of(names: pa.Array, wanted: Int, owner: Int, member: Int) -> tuple[pa.Array, Int]:
    """Return the names of all members of each wanted owner, and their number."""
    order = np.argsort(owner, kind="stable")
    first, until = (np.searchsorted(owner[order], wanted, side) for side in ("left", "right"))
    size = until - first
    group = np.repeat(np.arange(wanted.size), size)
    place = np.arange(group.size) - np.repeat(np.append(0, np.cumsum(size))[:-1], size)
    members = member[order][np.repeat(first, size) + place]
    return _named(names, group, members, np.zeros(members.size))


def _count_until(sensor: Int, start: Int, slack_us: int) -> Int:
    """Return the first row of each sensor that begins later than the slack after each row."""
    times = np.unique(np.concatenate([start, start + slack_us]), return_inverse=True)[1]
    begin, until = times[: start.size] + sensor * times.size, times[start.size :] + sensor * times.size
    ends: Int = np.searchsorted(begin, until, "right")
    return ends


def _count_there(sensor: Int, start: Int, known: Gaps) -> Int:
    """Count the devices of a sensor of ``known`` that had a window by then, shape (n,): new ones are none."""
    of, first = known.sensor[known.is_last], known.first[known.is_last]
    times, place = np.unique(np.concatenate([first, start]), return_inverse=True)
    begin = np.sort(of * times.size + place[: first.size])
    low = sensor * times.size
    found: Int = np.searchsorted(begin, low + place[first.size :], "right") - np.searchsorted(begin, low)
    return np.where(sensor >= 0, found, 0)


def _with(columns: pa.Table | dict[str, pa.Array], **more: pa.Array | Float) -> pa.Table:
    """Complete the columns by priority and level; the ids come last."""
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    found = {name: columns[name] for name in names} | {
        name: to_arrow(value) if isinstance(value, np.ndarray) else value for name, value in more.items()
    }
    found["level"] = levels_of(to_numpy(found["priority"]))
    found["incident_id"] = constant("", len(found["kind"]))
    return pa.Table.from_arrays([found[name] for name in DEVICE_INCIDENTS.names], schema=DEVICE_INCIDENTS)


def _identified(rows: pa.Table, devices: Devices) -> pa.Table:
    """Set the ids, made of kind, device and start; of a machine's first id, so that they stay."""
    # A device has one incident of a kind at a time; an outlier may grow to be another kind.
    anomaly = constant("anomaly", rows.num_rows)
    kind = pc.if_else(to_arrow(are(rows["kind"], OUTLIER)), anomaly, rows["kind"])
    key = pa.table([kind, rows["device"], rows["start"]], ["kind", "device", "start"])
    ids = hex_digits(row_fingerprints(devices.with_oldest(key), key.column_names))
    place = DEVICE_INCIDENTS.get_field_index("incident_id")
    return rows.set_column(place, DEVICE_INCIDENTS.field(place), ids)


def _state(is_open: Bool) -> pa.Array:
    return strings(["closed", "open"]).take(to_arrow(is_open.astype(np.int64)))


def _times(microseconds: Int) -> pa.Array:
    return to_arrow(np.ascontiguousarray(microseconds)).view(TIMESTAMP)


def _ranked(rows: pa.Table) -> pa.Table:
    if rows.num_rows == 0:
        return rows
    rank = (
        positions(rows["device"], distinct(rows["device"])),
        -to_numpy(rows["start"]),
        -to_numpy(rows["priority"]),
        are(rows["state"], "closed").astype(np.int64),
        (to_numpy(rows["priority"]) < MOST_OF_AN_OUTLIER).astype(np.int64),
        to_numpy(rows["warming_up"]).astype(np.int64),
        are(rows["kind"], OUTLIER).astype(np.int64),
    )
    return rows.take(to_arrow(np.lexsort(rank))).combine_chunks()
