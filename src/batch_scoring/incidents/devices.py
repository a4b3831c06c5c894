"""Join what sensors and devices show at once to incidents of devices and of the fleet, and rank them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.adjoining import are_silent_now, join_adjoining
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.evidence import (
    LEVEL_FROM,
    MOST_OF_AN_OUTLIER,
    SILENT_SOURCE,
    for_how_long,
    for_how_many,
    outlier_priority,
    urgency,
)
from batch_scoring.incidents.expected import signed
from batch_scoring.incidents.flapping import join_flaps
from batch_scoring.incidents.fleet_events import are_in_events, at_once, events_of_fleet
from batch_scoring.incidents.joining import hex_digits
from batch_scoring.incidents.lone_steps import are_steps
from batch_scoring.incidents.long_stays import long_stays
from batch_scoring.incidents.machines import of_machines
from batch_scoring.incidents.other_times import EXPLAINED, explain
from batch_scoring.incidents.renames import Read, find_renames, may_be_renamed, with_renames
from batch_scoring.incidents.silence import Gaps, SilenceRules, find_silences
from batch_scoring.incidents.silent_rows import silent_rows
from batch_scoring.incidents.steps import CHANGE_OF_UNIT
from batch_scoring.incidents.stretches import group_stretches
from batch_scoring.incidents.sums import AMONG_RARE, are_of_unit, sum_up, with_priority
from batch_scoring.incidents.units import end_in_unit, with_units_carried
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
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, FLEET_EVENT, INCIDENTS, OUTLIER, STAYS

_SERIES = ("device", "sensor")
_NO_STAYS = empty_table(STAYS)
BEYOND_A_LIMIT = "beyond a limit"
# A single window is an outlier where windows are shorter.
OUTLIER_BELOW_US = HOUR_US
# A single window of any length is one that is rarer than asked by less than this, decades.
NEAR_THE_THRESHOLD = 1.0
SILENT = ("source_silent", "device_silent", "sensor_silent")


@dataclass(frozen=True)
class RollUpRules:
    """What is one incident to a person.

    Attributes
    ----------
    slack_us : int
        Incidents of a device at most this far apart are one, microseconds; so are silences. Incidents that
        begin within this time, or a window where that is longer, on many devices are an event of the fleet.
    silence : SilenceRules
    outlier_windows : int
        An incident with at most this many windows, shorter than an hour, is an outlier: a wild reading, and
        the step back from it. So is a longer window near the threshold that stands alone, unless this is 0.
    calendar : Calendar
        What it leaves out is no silence.
    devices : Devices
        Which ids are one machine.
    lasting_us : int
        A step to another level that has been there as long may be the new normal, microseconds.
    flapping_us : int
        A sensor that is unusual again within this time flaps: it is one incident, microseconds.
    block_us : int
        Flaps are joined within blocks of this length, counted from the epoch, microseconds: what flaps for
        ever is an incident a block, whose id stays, and not one that loses its first flap every day.
    """

    slack_us: int
    silence: SilenceRules
    outlier_windows: int = 2
    calendar: Calendar = field(default_factory=Calendar)
    devices: Devices = field(default_factory=Devices)
    lasting_us: int = DAY_US
    flapping_us: int = DAY_US
    block_us: int = 30 * DAY_US


def roll_up(
    incidents: pa.Table,
    gaps: pa.Table,
    rules: RollUpRules,
    since: int,
    steps: Mapping[str, str] | None = None,
    read: Read | None = None,
    stays: pa.Table = _NO_STAYS,
) -> pa.Table:
    """Join the incidents of each device that overlap in time, and find silence; ranked.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS, of any sensors and devices, in any order: from the beginning of the block on that
        ``since`` lies in.
    gaps : pyarrow.Table
        Schema GAPS: the last row of each series, and the gaps since weeks before that block.
    rules : RollUpRules
    since : int
        What ended earlier is left out, microseconds since the epoch.
    steps : mapping of str to str, optional
        Advice on some of the incidents, by their id.
    read : callable, optional
        Reads windows, which show whether a silent device was renamed; see
        :func:`~batch_scoring.incidents.level_reading.windows_reader`. Without it that is not looked for.
    stays : pyarrow.Table, optional
        Schema STAYS: the last stay of each series, and the stays that lasted too long.

    Returns
    -------
    pyarrow.Table
        Schema DEVICE_INCIDENTS. Outliers come last, before them what is warming up, and before that changes
        of unit and of names; the others by :func:`~batch_scoring.incidents.evidence.urgency`, then the newest
        first.
    """
    incidents, gaps = of_machines(with_advice(incidents, steps or {}), gaps, rules.devices)
    known, block = Gaps.of(gaps, rules.devices), since // rules.block_us * rules.block_us
    too_long = long_stays(stays, known, rules.devices, rules.calendar, block)
    incidents = pa.concat_tables([incidents, too_long])
    order = [(name, "ascending") for name in ("device", "start", "sensor")]
    incidents = incidents.sort_by(order).combine_chunks() if incidents.num_rows else incidents
    incidents = with_units_carried(incidents, to_numpy(incidents["start"]) // rules.block_us)
    found_silences = find_silences(known, rules.silence, rules.calendar)
    is_over = are_silent_now(incidents, known, found_silences[1:])
    incidents = incidents.set_column(
        incidents.schema.get_field_index("state"),
        INCIDENTS.field("state"),
        pc.if_else(to_arrow(is_over), constant("closed", is_over.size), incidents["state"]),
    )
    slack = at_once(incidents, rules.slack_us)
    is_event = are_in_events(incidents, known, slack)
    source, devices, sensors = (
        silent_rows(kind, silences, known, rules.slack_us, block)
        for kind, silences in zip(SILENT, found_silences, strict=True)
    )
    if read is not None:
        limits = rules.slack_us, rules.silence.device_after_us
        devices = with_renames(devices, find_renames(known, found_silences[1], *limits, read))
    found = [
        _of_devices(incidents.filter(to_arrow(~is_event)), rules),
        events_of_fleet(incidents.filter(to_arrow(is_event)), slack),
        source,
        devices,
        sensors,
    ]
    rows = pa.concat_tables(found)
    if read is not None:
        rows = _explained(rows, explain(incidents, rows, known, read))
    rows = join_adjoining(_identified(rows, rules.devices), rules.slack_us)
    return _ranked(rows.filter(to_arrow(to_numpy(rows["end"]) >= since)).combine_chunks(), known.now)


def _of_devices(incidents: pa.Table, rules: RollUpRules) -> pa.Table:
    if incidents.num_rows == 0:
        return empty_table(DEVICE_INCIDENTS)
    incidents, group, length, last_start = _joined_flaps(incidents, rules)
    rows = sum_up(incidents, group, "anomaly", last_start)
    is_outlier = _are_outliers(incidents, group, rules) | _are_chance(incidents, group, rules)
    is_unit = are_of_unit(incidents)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    of_others = np.maximum.reduceat(np.where(is_unit, 0, to_numpy(incidents["n_windows"])), first)
    is_explained = np.logical_or.reduceat(is_unit, first) & (of_others <= rules.outlier_windows)
    priority = to_numpy(rows["priority"])
    kind = strings(["anomaly", OUTLIER]).take(to_arrow(is_outlier.astype(np.int64)))
    is_little = is_outlier | is_explained
    little, much = outlier_priority(priority), priority * for_how_long(length)
    return with_priority(rows, kind=kind, priority=np.where(is_little, little, much))


def _explained(rows: pa.Table, texts: Mapping[int, str]) -> pa.Table:
    """Add what explains some of the rows, which then count little.

    What goes on stays medium: a machine that stands still as on a Sunday may have tripped.
    """
    if not texts:
        return rows
    advice, priority = rows["advice"].to_pylist(), to_numpy(rows["priority"]).copy()
    least = np.where(are(rows["state"], "open"), LEVEL_FROM[0], 0.0)
    for row, text in texts.items():
        advice[row] = ". ".join(filter(None, [text, advice[row]]))
        priority[row] = max(EXPLAINED * priority[row], least[row])
    return with_priority(rows, advice=strings(advice), priority=priority)


def _joined_flaps(incidents: pa.Table, rules: RollUpRules) -> tuple[pa.Table, Int, Int, Int]:
    """Group the incidents of devices that overlap, or flap.

    Returns
    -------
    incidents : pyarrow.Table
        Those given, sorted by group and start.
    group : array of shape (n,), int64
    length : array of shape (n_groups,), int64
        How long each lasts, without the times in between, microseconds.
    last_start : array of shape (n_groups,), int64
        When the last flap of each begins, microseconds since the epoch.
    """
    names = [distinct(incidents[name]) for name in ("device", "sensor")]
    device, sensor = (positions(incidents[name], some) for name, some in zip(_SERIES, names, strict=True))
    start, end = to_numpy(incidents["start"]), to_numpy(incidents["end"])
    group = group_stretches(device, start, end, rules.slack_us)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    # A change of unit lasts, but counts nothing.
    is_unit = are_of_unit(incidents)
    until = np.where(is_unit, start, end)
    lengths = np.maximum.reduceat(until, first) - start[first]
    # Wild readings of a sensor, day after day, are no incident.
    may_flap = np.flatnonzero(~_are_outliers(incidents, group, rules)[group])
    block = (start[first] // rules.block_us)[group]
    block -= block.min()
    series = ((device * len(names[1]) + sensor) * (block.max() + 1) + block)[may_flap]
    whole = np.arange(lengths.size)
    parts = start[may_flap], end_in_unit(series, start[may_flap], end[may_flap], is_unit[may_flap])
    flaps = join_flaps(group[may_flap], series, *parts, rules.flapping_us)
    whole[: flaps.size] = flaps
    length = np.bincount(whole, lengths, lengths.size).astype(np.int64)
    last_start = start[first]
    np.maximum.at(last_start, whole, start[first])
    order = np.lexsort((start, whole[group]))
    kept, group = np.unique(whole[group][order], return_inverse=True)
    return incidents.take(to_arrow(order)).combine_chunks(), group, length[kept], last_start[kept]


def _are_outliers(incidents: pa.Table, group: Int, rules: RollUpRules) -> Bool:
    """Mark the groups of a few windows among usual ones, shape (n_groups,); groups are in order.

    Of one sensor or of two: where two sensors of a device had a window each at once, it was never a fault of
    the simulated fleets, but a machine that was switched.
    """
    first = np.flatnonzero(np.diff(group, prepend=-1))
    n_windows = np.add.reduceat(to_numpy(incidents["n_windows"]), first)
    is_none = to_numpy(incidents["among_rare"], null=False) | are_steps(incidents)
    is_none = np.logical_or.reduceat(is_none, first)
    length = np.maximum.reduceat(to_numpy(incidents["end"]), first) - to_numpy(incidents["start"])[first]
    # A window of an hour holds more than a wild reading.
    found: Bool = (length < OUTLIER_BELOW_US) & (n_windows <= rules.outlier_windows) & ~is_none
    return found


def _are_chance(incidents: pa.Table, group: Int, rules: RollUpRules) -> Bool:
    """Mark the groups of one window, however long, that the budget may allow, shape (n_groups,).

    Nine in ten false windows lie within a decade of the threshold. What a limit has found is none of them,
    nor is a step, or what lies among rare windows. Severities of the one-class SVM are no decades, they end
    at 1; it expects no value.
    """
    first = np.flatnonzero(np.diff(group, prepend=-1))
    is_one = (np.diff(first, append=group.size) == 1) & (to_numpy(incidents["n_windows"])[first] == 1)
    is_none = to_numpy(incidents["among_rare"], null=False) | to_numpy(incidents["beyond_limits"], null=False)
    is_none |= are_steps(incidents) | ~to_numpy(incidents["expected"].is_valid())
    is_near = (to_numpy(incidents["peak_severity"]) < NEAR_THE_THRESHOLD) & ~is_none
    found: Bool = is_one & is_near[first] & (rules.outlier_windows > 0)
    return found


def with_advice(incidents: pa.Table, steps: Mapping[str, str]) -> pa.Table:
    """Add what is known of each incident beside its numbers, column ``advice``."""
    rows, of_levels = _of_levels(incidents)
    texts = ["", AMONG_RARE, BEYOND_A_LIMIT, *dict.fromkeys([*steps.values(), *of_levels])]
    is_among, is_beyond = (to_numpy(incidents[name], null=False) for name in ("among_rare", "beyond_limits"))
    number = np.where(is_beyond, 2, is_among.astype(np.int64))
    number[rows] = [texts.index(text) for text in of_levels]
    place = positions(incidents["incident_id"], strings(list(steps)))
    of_step = np.array([*(texts.index(text) for text in steps.values()), 0], np.int64)
    return incidents.append_column(
        "advice", strings(texts).take(to_arrow(np.where(place >= 0, of_step[place], number)))
    )


def _of_levels(incidents: pa.Table) -> tuple[Int, list[str]]:
    """Return the closed incidents about whose level something is known, and what."""
    shift, step = (to_numpy(incidents[name], null=np.nan) for name in ("shift", "step"))
    has_unit = ~to_numpy(incidents["unit"].is_null())
    rows = np.flatnonzero(np.isfinite(shift) | np.isfinite(step) | has_unit)
    units = incidents["unit"].take(to_arrow(rows)).to_pylist()
    return rows, [
        f"{CHANGE_OF_UNIT}, {unit}"
        if unit
        else f"level off by {signed(size)}, then back"
        if np.isfinite(size)
        else f"the level steps by {signed(by)}"
        for unit, size, by in zip(units, shift[rows].tolist(), step[rows].tolist(), strict=True)
    ]


def _identified(rows: pa.Table, devices: Devices) -> pa.Table:
    """Set the ids, made of kind, device and start; of a machine's first id, so that they stay."""
    # No two incidents of a device and kind begin at once; an outlier may grow to be another kind.
    anomaly = constant("anomaly", rows.num_rows)
    kind = pc.if_else(to_arrow(are(rows["kind"], OUTLIER)), anomaly, rows["kind"])
    key = pa.table([kind, rows["device"], rows["start"]], ["kind", "device", "start"])
    ids = hex_digits(row_fingerprints(devices.with_oldest(key), key.column_names))
    place = DEVICE_INCIDENTS.get_field_index("incident_id")
    return rows.set_column(place, DEVICE_INCIDENTS.field(place), ids)


def listed_as(rows: pa.Table, now: int) -> Float:
    """Return the number by which incidents are listed, the largest first, shape (n,).

    Parameters
    ----------
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    now : int
        Microseconds since the epoch; or the last end of a row, where that is later.
    """
    priority, end = to_numpy(rows["priority"]), to_numpy(rows["end"])
    # Once an event of the fleet is over, no machine is to be looked at: it counts as its worst devices do. So
    # does a source that sends again: as a sensor.
    is_over = are(rows["state"], "closed")
    n_devices = np.where(are(rows["kind"], FLEET_EVENT) & is_over, to_numpy(rows["n_devices"]), 1)
    is_source = are(rows["kind"], SILENT[0]) & is_over
    counts = priority / for_how_many(n_devices) / np.where(is_source, SILENT_SOURCE, 1)
    # Of a machine that goes on under another name nothing is known to go on.
    goes_on = are(rows["state"], "open") & ~may_be_renamed(rows)
    return urgency(counts, end.max(initial=now) - end, goes_on)


def _ranked(rows: pa.Table, now: int) -> pa.Table:
    if rows.num_rows == 0:
        return rows
    priority = to_numpy(rows["priority"])
    rank = (
        positions(rows["device"], distinct(rows["device"])),
        -to_numpy(rows["start"]),
        -listed_as(rows, now),
        (priority < MOST_OF_AN_OUTLIER).astype(np.int64),
        to_numpy(rows["warming_up"]).astype(np.int64),
        are(rows["kind"], OUTLIER).astype(np.int64),
    )
    return rows.take(to_arrow(np.lexsort(rank))).combine_chunks()
