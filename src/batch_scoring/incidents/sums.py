"""Sum up groups of incidents: their times, their worst series, and the names of who is part of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.incidents.evidence import WORST_SENSORS, levels_of
from batch_scoring.incidents.steps import CHANGE_OF_UNIT
from batch_scoring.incidents.stretches import expand
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, constant, distinct, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import (
    DEVICE_INCIDENTS,
    LEVEL_FEATURE,
    OF_LEVEL_PEAK,
    OF_PEAK,
    TIMESTAMP,
)

MAX_DEVICES_LISTED, MAX_ADVICE = 100, 3
AMONG_RARE = "the hour before or after it is unusual, too"


def sum_up(incidents: pa.Table, group: Int, kind: str, last_start: Int | None = None) -> pa.Table:
    """Sum up each group of incidents; schema DEVICE_INCIDENTS, still without ids.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS with ``advice``.
    group : array of shape (n,), int64
        Groups are numbered in the order of the rows.
    kind : str
    last_start : array of shape (n_groups,), int64, optional
        When the last flap of each begins, microseconds since the epoch; else when the group begins.
    """
    first = np.flatnonzero(np.diff(group, prepend=-1))
    severity, evidence = to_numpy(incidents["peak_severity"]), to_numpy(incidents["evidence"])
    worst = np.lexsort((-severity, group))[first]
    names = {name: distinct(incidents[name]) for name in ("device", "sensor")}
    number = {name: positions(incidents[name], names[name]) for name in names}
    devices, sensors = (names_of_groups(names[name], group, number[name], evidence) for name in names)
    # Nobody needs to look at the machine for a change of unit.
    weight = np.where(are_of_unit(incidents), 0.0, evidence)
    longest = np.lexsort((-severity, -evidence, -weight, group))[first]
    groups, peaks, leads = (incidents.take(to_arrow(rows)) for rows in (first, worst, longest))
    columns = {
        "kind": constant(kind, first.size),
        "device": groups["device"],
        "start": groups["start"],
        "end": times(np.maximum.reduceat(to_numpy(incidents["end"]), first)),
        "last_start": groups["start"] if last_start is None else times(last_start),
        "state": states(np.logical_or.reduceat(are(incidents["state"], "open"), first)),
        "n_devices": to_arrow(devices[1]),
        "devices": devices[0],
        "n_sensors": to_arrow(sensors[1]),
        "sensors": sensors[0],
        "n_incidents": to_arrow(np.diff(first, append=group.size)),
        "n_windows": to_arrow(np.add.reduceat(to_numpy(incidents["n_windows"]), first)),
        **{name: peaks[name] for name in ("peak_severity", "peak_at")},
        **_leads(leads),
        "peak_sensor": leads["sensor"],
        "warming_up": to_arrow(np.logical_and.reduceat(to_numpy(incidents["warming_up"], null=False), first)),
        "advice": strings(_advice(incidents, group, first.size)),
    }
    return with_priority(columns, priority=_worst_of(group, number["sensor"], weight))


def _leads(incidents: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the feature that leads each incident, what it was, and what would have been usual.

    The worst window is often that of the step to another level, in which the spread is farther out than the
    mean. Where the mean leads more than half of the windows, the level is what an incident is about.
    """
    n_level, n_windows = (to_numpy(incidents[name], null=0) for name in ("n_level", "n_windows"))
    is_level = to_arrow(2 * n_level > n_windows)
    both = dict(zip(OF_PEAK, OF_LEVEL_PEAK, strict=True))
    found = {name: pc.if_else(is_level, incidents[own], incidents[name]) for name, own in both.items()}
    level = constant(LEVEL_FEATURE, incidents.num_rows)
    return {"top_feature": pc.if_else(is_level, level, incidents["top_feature"]), **found}


def are_of_unit(incidents: pa.Table) -> Bool:
    """Mark the incidents that look like a change of unit: nobody needs to look at the machine."""
    found: Bool = to_numpy(pc.starts_with(incidents["advice"], CHANGE_OF_UNIT))
    return found


def with_priority(columns: pa.Table | dict[str, pa.Array], **more: pa.Array | Float) -> pa.Table:
    """Complete the columns by priority and level; the ids come last."""
    names = columns.column_names if isinstance(columns, pa.Table) else list(columns)
    found = {name: columns[name] for name in names} | {
        name: to_arrow(value) if isinstance(value, np.ndarray) else value for name, value in more.items()
    }
    found["level"] = levels_of(to_numpy(found["priority"]))
    found["incident_id"] = constant("", len(found["kind"]))
    return pa.Table.from_arrays([found[name] for name in DEVICE_INCIDENTS.names], schema=DEVICE_INCIDENTS)


def names_of_groups(names: pa.Array, group: Int, member: Int, weight: Float) -> tuple[pa.Array, Int]:
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


def names_of_owners(names: pa.Array, wanted: Int, owner: Int, member: Int) -> tuple[pa.Array, Int]:
    """Return the names of all members of each wanted owner, and their number."""
    order = np.argsort(owner, kind="stable")
    first, until = (np.searchsorted(owner[order], wanted, side) for side in ("left", "right"))
    group, row = expand(first, until)
    members = member[order][row]
    return names_of_groups(names, group, members, np.zeros(members.size))


def states(is_open: Bool) -> pa.Array:
    """Say which incidents are open and which closed."""
    return strings(["closed", "open"]).take(to_arrow(is_open.astype(np.int64)))


def times(microseconds: Int) -> pa.Array:
    """Return microseconds since the epoch as moments, UTC."""
    return to_arrow(np.ascontiguousarray(microseconds)).view(TIMESTAMP)


def _advice(incidents: pa.Table, group: Int, n: int) -> list[str]:
    """Return what is known of each group, sensor by sensor; the first ones, if there are many."""
    found: list[list[str]] = [[] for _ in range(n)]
    # Beside other incidents it goes without saying.
    is_alone = np.bincount(group, minlength=n)[group] == 1
    rows = np.flatnonzero(~are(incidents["advice"], "") & (is_alone | ~are(incidents["advice"], AMONG_RARE)))
    some = incidents.select(["sensor", "advice"]).take(to_arrow(rows)).to_pylist()
    for place, row in zip(group[rows].tolist(), some, strict=True):
        text = f"{row['sensor']}: {row['advice']}"
        if text not in found[place] and len(found[place]) < MAX_ADVICE:
            found[place].append(text)
    return [". ".join(texts) for texts in found]


def _worst_of(group: Int, sensor: Int, evidence: Float) -> Float:
    """Sum the evidence of each group's worst sensors, of each the most."""
    row, of = _most_of_each(group, sensor, evidence)
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
