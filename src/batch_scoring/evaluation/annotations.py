"""Read what people write: labels (known faults), feedback on alarms, calendars, devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import suggestion
from batch_scoring.evaluation.annotation_files import BEGIN, END, WrittenRow, read_table
from batch_scoring.incidents.calendar import PERIODS
from batch_scoring.plant.devices import ALL, check_devices
from batch_scoring.tables.schemas import (
    ACCEPTED,
    CALENDAR,
    DEVICES,
    FALSE_ALARM,
    FEEDBACK,
    LABELS,
    TRUE_EVENT,
)

_SERIES = [("device",), ("sensor",), BEGIN, END]
# Columns of other calendars that repeat an entry. Left out, the entry would come once, or for ever.
_AGAIN = ("until", "repeat", "repeats", "rrule", "recurrence", "frequency", "days")


def read_labels(path: Path | str, name: str | None = None, zone: str = "UTC") -> pa.Table:
    """Read a file of labels: CSV, JSON lines or Parquet.

    Its columns are ``device``, ``sensor`` (empty or ``*`` for all of the device), when it began (``start``
    or ``first``, the same), when it ended (``end``, the first moment after it, or ``last``, the last moment
    or the last day in it) and, if there is one, ``kind``. Other columns are left alone;
    without ``sensor``, which may be missing, they are an error: one of them may name it.
    A CSV file without a header has ``start`` and ``end`` only, see :func:`.read_rows`.

    Parameters
    ----------
    name : str, optional
        The path or URL by which people know the file, where ``path`` is a copy of it.
    zone : str
        The IANA time zone of times without an offset.

    Returns
    -------
    pyarrow.Table
        Schema ``LABELS``: intervals ``[start, end)``, in the order of the file.

    Raises
    ------
    InputError
        Naming the file, the row and the column.
    """
    return read_table(Path(path), LABELS, [("device",), BEGIN, END], _label, name, zone)


def read_feedback(path: Path | str, name: str | None = None, zone: str = "UTC") -> pa.Table:
    """Read a file of feedback: as :func:`read_labels` does, into the schema ``FEEDBACK``.

    In the place of ``kind`` it has ``verdict`` (``false_alarm``, ``true_event`` or ``accepted``) and, if
    there is one, ``note``.
    """
    return read_table(Path(path), FEEDBACK, [*_SERIES, ("verdict",)], _finding, name, zone)


def read_calendar(path: Path | str, name: str | None = None, zone: str = "UTC") -> pa.Table:
    """Read a file of times in which nothing is judged: as :func:`read_labels` does, into ``CALENDAR``.

    ``device`` and ``sensor`` may be patterns, empty or missing for all. ``every`` is ``day``, ``week`` or
    empty: it comes again by the clocks of ``zone``. ``reason`` is free text. Without ``device`` or
    ``sensor`` another column than these is an error: a calendar with its devices under another name would
    leave out the whole fleet.
    """
    return read_table(Path(path), CALENDAR, [BEGIN, END], _unjudged, name, zone)


def read_devices(path: Path | str, name: str | None = None, zone: str = "UTC") -> pa.Table:
    """Read a file of devices that were renamed, replaced or retired, into the schema ``DEVICES``.

    ``replaces``, ``retired`` and ``group`` may be empty or missing; other columns are an error.
    """
    where: list[str] = []

    def device(row: WrittenRow) -> tuple[Any, ...]:
        _require_known(row, DEVICES.names)
        where.append(row.where)
        names = (row.text("id"), row.optional_text("replaces"))
        return *names, row.optional_time("retired"), row.optional_text("group")

    rows = read_table(Path(path), DEVICES, [("id",)], device, name, zone)
    check_devices(rows, where)
    return rows


def _require_known(row: WrittenRow, known: Sequence[str]) -> None:
    for column in row.values:
        if column not in known:
            hint = suggestion(column, known) or f"known are {', '.join(dict.fromkeys(known))}"
            raise InputError(f"{row.where}: there is no column {column!r}; {hint}")


def _unjudged(row: WrittenRow) -> tuple[Any, ...]:
    if not {"device", "sensor"} <= row.values.keys():
        _require_known(row, [*CALENDAR.names[:-1], *BEGIN, *END])
    for column in _AGAIN:
        if row.optional_text(column) is not None:
            raise InputError(
                f"{row.where}, column {column!r}: {row.values[column]!r} is not read; expected the column "
                "'every' with day or week, or a row for each time"
            )
    start, end = row.interval()
    every = row.optional_text("every")
    every = every if every is None else every.strip().lower()
    if every is not None and every not in PERIODS:
        known = " or ".join(PERIODS)
        raise InputError(f"{row.where}, column 'every': {every!r} is not valid; expected {known}, or nothing")
    if every is not None and end - start > PERIODS[every] * MICROSECOND:
        raise InputError(
            f"{row.where}, column 'end': it lasts longer than a {every}, after which it comes again"
        )
    names = (row.optional_text(name) or ALL for name in ("device", "sensor"))
    zone = row.zone if every is not None and row.zone != "UTC" else None
    return *names, start, end, every, row.optional_text("reason"), zone


def _label(row: WrittenRow) -> tuple[Any, ...]:
    if "sensor" not in row.values:
        _require_known(row, [*LABELS.names, *BEGIN, *END])
    sensor = row.optional_text("sensor") or ALL
    return row.text("device"), sensor, row.optional_text("kind"), *row.interval()


def _finding(row: WrittenRow) -> tuple[Any, ...]:
    series, verdict = (row.text("device"), row.text("sensor"), *row.interval()), row.text("verdict")
    if verdict.strip().lower() not in (FALSE_ALARM, TRUE_EVENT, ACCEPTED):
        raise InputError(
            f"{row.where}, column 'verdict': {row.values['verdict']!r} is not one of "
            f"{FALSE_ALARM!r}, {TRUE_EVENT!r}, {ACCEPTED!r}"
        )
    return *series, verdict.strip().lower(), row.optional_text("note")
