"""Of which devices and sensors no alert is sent, and when: silences that people set and revoke."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import MICROSECOND, as_text, microseconds
from batch_scoring.incidents.calendar import PERIODS, Entry
from batch_scoring.operations.actions import check_writer, in_order
from batch_scoring.plant.devices import ALL, NOTHING_KNOWN, Devices, are_like
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import as_rows, from_rows, positions, strings, to_arrow, to_numpy
from batch_scoring.tables.schemas import SILENCES

SET, REVOKED = "set", "revoked"
_LONGEST_PATTERN = 1000


def silence(
    who: str,
    at: datetime,
    start: datetime,
    end: datetime,
    *,
    device: str = ALL,
    sensor: str = ALL,
    group: str = ALL,
    every: str | None = None,
    until: datetime | None = None,
    comment: str | None = None,
) -> pa.Table:
    """Make the row that sets a silence, to be appended to the table.

    Parameters
    ----------
    who : str
        Who sets it.
    at : datetime
        When, UTC.
    start, end : datetime
        UTC; no alert is sent in ``[start, end)``.
    device, sensor, group : str
        Names, or patterns with ``*`` and ``?``; all three must match.
    every : str, optional
        ``day`` or ``week``: it comes again.
    until : datetime, optional
        UTC, of one that comes again: from then on it does not.
    comment : str, optional
        Why.

    Returns
    -------
    pyarrow.Table
        Schema SILENCES, one row.

    Raises
    ------
    InputError
        When it ends before it starts, lasts longer than the period after which it comes again, or a text is
        not valid.
    """
    comment = (comment or "").strip() or None
    check_writer(who, comment, "silence")
    patterns = {"device": device, "sensor": sensor, "group": group}
    times = {"start": start, "end": end, "every": every, "until": until}
    _check_patterns(patterns)
    _check_times(start, end, every, until)
    row = {"silence_id": uuid.uuid4().hex, "at": at, "who": who.strip(), "change": SET, **patterns}
    return from_rows([row | times | {"comment": comment}], SILENCES)


def _check_patterns(patterns: Mapping[str, str]) -> None:
    for name, pattern in patterns.items():
        if not pattern or len(pattern) > _LONGEST_PATTERN:
            raise InputError(
                f"silence: {name} {pattern[:50]!r} is not valid; expected a pattern, such as '*'"
            )


def _check_times(start: datetime, end: datetime, every: str | None, until: datetime | None) -> None:
    if end <= start:
        raise InputError(f"silence: end {as_text(end)} is not valid; expected later than {as_text(start)}")
    if every is not None and every not in PERIODS:
        raise InputError(f"silence: every {every!r} is not valid; expected {' or '.join(PERIODS)}, or none")
    if every is not None and (end - start) // MICROSECOND > PERIODS[every]:
        raise InputError(
            f"silence: end is not valid; it lasts longer than a {every}, after which it comes again"
        )
    if until is not None and (every is None or until <= start):
        raise InputError(
            "silence: until is not valid; expected a time after start, of a silence that comes again"
        )


def revoke(row: Mapping[str, Any], who: str, at: datetime) -> pa.Table:
    """Make the row that revokes a silence, given the row that set it; schema SILENCES."""
    check_writer(who, None, "silence")
    change = {"at": at, "who": who.strip(), "change": REVOKED, "comment": None}
    return from_rows([{**row, **change}], SILENCES)


def in_force(silences: pa.Table, at: datetime) -> pa.Table:
    """Return the silences that nobody has revoked and that are not over for good, in the order of ``at``.

    Parameters
    ----------
    silences : pyarrow.Table
        Schema SILENCES, in any order.
    at : datetime
        UTC; rows that were written after it do not count.

    Returns
    -------
    pyarrow.Table
        Schema SILENCES, a row a silence; silences that have yet to start, too.
    """
    rows = list(as_rows(in_order(silences, "silence_id", at)))
    revoked = {row["silence_id"] for row in rows if row["change"] == REVOKED}
    return from_rows(
        [row for row in rows if row["silence_id"] not in revoked and not _is_over(row, at)], SILENCES
    )


def silenced(
    devices: pa.Array,
    sensors: pa.Array,
    at: datetime,
    silences: pa.Table,
    known: Devices = NOTHING_KNOWN,
) -> pa.Array:
    """Find the silence of each series.

    Parameters
    ----------
    devices, sensors : pyarrow.Array of string, n each
        One series each.
    at : datetime
        UTC.
    silences : pyarrow.Table
        Schema SILENCES, in any order.
    known : Devices, optional
        Groups; and a pattern of devices matches their other ids and their groups, too.

    Returns
    -------
    pyarrow.Array of string, n
        The id of the first silence that is in force and matches; ``""`` where alerts are sent.
    """
    names = pc.unique(devices), pc.unique(sensors)
    device, sensor = positions(devices, names[0]), positions(sensors, names[1])
    ids, found = [""], np.zeros(len(devices), np.int64)
    for row in _at(silences, at):
        mine: Bool = known.are_like(names[0], row["device"])
        mine &= known.are_in_group_like(names[0], row["group"])
        matches = mine[device] & are_like(names[1], row["sensor"])[sensor]
        found[matches & (found == 0)] = len(ids)
        ids.append(row["silence_id"])
    return strings(ids).take(to_arrow(found))


def silenced_incidents(
    incidents: pa.Table, at: datetime, silences: pa.Table, known: Devices = NOTHING_KNOWN
) -> pa.Array:
    """Find the silence of each incident: one that is silenced on all its devices and sensors.

    Parameters
    ----------
    incidents : pyarrow.Table
        The columns ``devices`` and ``sensors`` of DEVICE_INCIDENTS.
    at, silences, known
        See :func:`silenced`.

    Returns
    -------
    pyarrow.Array of string, one an incident
        The id of the silence of its first device and sensor; ``""`` where alerts are sent.
    """
    if not silences.num_rows or not incidents.num_rows:
        return strings([""] * incidents.num_rows)
    pairs = [
        (row, device, sensor)
        for row, (devices, sensors) in enumerate(
            zip(incidents["devices"].to_pylist(), incidents["sensors"].to_pylist(), strict=True)
        )
        for device in devices
        for sensor in sensors
    ]
    rows, devices, sensors = zip(*pairs, strict=True) if pairs else ((), (), ())
    ids = silenced(strings(devices), strings(sensors), at, silences, known)
    row = np.array(rows, np.int64)
    first = np.append(True, row[1:] != row[:-1])[: row.size]
    is_loud = to_numpy(pc.is_in(ids, value_set=strings([""])))
    n = incidents.num_rows
    is_whole = (np.bincount(row, minlength=n) > 0) & (np.bincount(row, is_loud, n) == 0)
    place = np.full(n, row.size)
    place[row[first]] = np.flatnonzero(first)
    place[~is_whole] = row.size
    return pa.concat_arrays([ids, strings([""])]).take(to_arrow(place))


def _at(silences: pa.Table, at: datetime) -> Iterable[dict[str, Any]]:
    """Yield the silences that are in force at a time."""
    moment = np.array([microseconds(at)])
    for row in as_rows(in_force(silences, at)):
        period = PERIODS.get(row["every"] or "", 0)
        entry = Entry(ALL, ALL, microseconds(row["start"]), microseconds(row["end"]), period)
        if entry.mask(moment, moment + 1)[0]:
            yield row


def _is_over(row: Mapping[str, Any], at: datetime) -> bool:
    last = row["until"] if row["every"] else row["end"]
    return last is not None and last <= at
