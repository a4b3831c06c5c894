"""Choose which column plays which role, and the shape of a table, with the reason of each choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from batch_scoring.ingestion.inspection.columns import ROLE_WORDS, Column, best_for
from batch_scoring.ingestion.inspection.times import ISO
from batch_scoring.ingestion.inspection.unnamed import unnamed_counters, unnamed_ids
from batch_scoring.ingestion.interpretation import EPOCHS, EXCEL
from batch_scoring.ingestion.json_paths import match_leaves
from batch_scoring.ingestion.settings import DEFAULT_COLUMNS, ROLES, IngestSettings
from batch_scoring.ingestion.shapes import is_arrival
from batch_scoring.ingestion.time_formats import formats_of
from batch_scoring.ingestion.time_spelling import OFFSETS

# Words that say more than that something has a name.
_TELLING = frozenset([*ROLE_WORDS["device"], *ROLE_WORDS["sensor"]]) - {"name", "id", "type", "kind", "unit"}
# The least share of rows that a name of devices or sensors is in.
_LEAST = 0.1
# What columns that state a zone are named after, and how they do.
_OF_ZONES = frozenset(("tz", "zone", "timezone", "utcoffset", "offset"))
_MILLISECONDS = frozenset(("ms", "msec", "millis", "millisecond", "milliseconds", "millitm"))
_OFFSET = re.compile(r"UTC|GMT|[+-]\d\d:?\d\d")
# Columns that make a time together, by the words of their names, largest unit first.
_PARTS = (
    ("%Y", ("year", "jahr")),
    ("%m", ("month", "monat", "mo")),
    ("%d", ("day", "tag", "dy")),
    ("%H", ("hour", "stunde", "hr")),
    ("%M", ("minute", "mn")),
    ("%S", ("second", "sekunde")),
)


@dataclass(frozen=True)
class Roles:
    """The columns of the roles.

    Attributes
    ----------
    shape : str
        ``"long"``, ``"wide"`` or ``"series"`` (a time and a value, without device and sensor).
    time : list of Column
        One column, or several that together make a time; empty without a time.
    time_marks : list of str
        What stands between these columns when they are joined.
    time_format : str
        Of the columns of ``time`` joined; empty where one column says it itself.
    device, sensor, value : Column or None
    sensors : list of Column
        The sensors of a wide table.
    left_out : list of Column
        Columns with numbers that are no sensors.
    reasons : dict of str to str
        Why a column has its role, by its name.
    """

    shape: str
    time: list[Column]
    time_marks: list[str]
    time_format: str
    device: Column | None
    sensor: Column | None
    value: Column | None
    sensors: list[Column] = field(default_factory=list)
    left_out: list[Column] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


# How well a name such as "id" speaks for a sensor.
_WEAK = 4


def choose_roles(columns: Sequence[Column]) -> Roles:
    """Choose the columns of the roles.

    Parameters
    ----------
    columns : sequence of Column
        In the order of the file.
    """
    time, marks, time_format = _time(columns)
    reasons = {column.name: _time_reason(column, time) for column in time}
    rest = [column for column in columns if column not in time and column.texts]
    parts = parts_of_values(rest)
    numbers = _beside(time, [column for column in rest if column.is_number and column not in parts])
    unnamed = unnamed_ids(time, numbers)
    are_numbers = set(numbers)
    ids = [
        column
        for column in rest
        if (column.is_id and column not in parts)
        or column in unnamed
        or (column in are_numbers and _is_numeric_id(column))
    ]
    are_ids = set(ids)
    numbers = [column for column in numbers if column not in are_ids]
    # A constant text, as the name of a result or a unit, is an id only by its name.
    # What nearly all rows leave empty names no rows, such as the events of a logger.
    n_rows: dict[str, int] = {}
    for one in columns:
        listed = one.name.rpartition("[]")[0]
        n_rows[listed] = max(n_rows.get(listed, 0), len(one.texts) + one.n_empty)
    telling = [
        column
        for column in ids
        if len(column.texts) >= _LEAST * n_rows[column.name.rpartition("[]")[0]]
        and (column.distinct > 1 or column.fit("device") or column.fit("sensor"))
        and not any(_numbers_names(column, other) for other in ids)
    ]
    value = best_for("value", numbers)
    if value is not None and _has_twin(value, numbers):
        value = None
    counters = unnamed_counters(unnamed, numbers)
    measured = [
        column for column in numbers if column.name and not column.is_no_sensor and column not in counters
    ]
    if value is None and len(measured) == 1:
        value = measured[0]
    sensor = _sensor(telling, numbers, value)
    if sensor is not None and value is not None:
        device = _best_device(
            [column for column in telling if column is not sensor and not _describes(column, sensor)]
        )
        for column, role in ((device, "device"), (sensor, "sensor"), (value, "value")):
            if column is not None:
                reasons[column.name] = _reason(column, role)
        return Roles("long", time, marks, time_format, device, sensor, value, reasons=reasons)
    device = _device_of_wide(telling, is_sure=bool(unnamed) or _is_repeated(time))
    if device is not None:
        reasons[device.name] = _reason(device, "device")
    reasons |= {column.name: "a sensor: its numbers vary" for column in measured}
    taken = {*measured, device}
    # Of a column without a name ingestion itself makes no sensor.
    left_out = [
        column
        for column in rest
        if (column.is_number or (column.is_clearly_time and column.number)) and column.name
        if column not in taken
    ]
    shape = "series" if len(measured) == 1 and measured[0].fit("value") and device is None else "wide"
    only = measured[0] if shape == "series" else None
    return Roles(shape, time, marks, time_format, device, None, only, measured, left_out, reasons)


def roles_as_read(columns: Sequence[Column], settings: IngestSettings) -> Roles | None:
    """Return the roles that settings give to the columns of a long table; None where they do not name all."""
    found = match_leaves([column.name for column in columns], settings)
    if len(found) < len(ROLES):
        return None
    time, device, sensor, value = (columns[found[role]] for role in ROLES)
    return Roles("long", [time], [], "", device, sensor, value)


def _time(columns: Sequence[Column]) -> tuple[list[Column], list[str], str]:
    """Return the columns that make the times, what stands between them, and their joined format."""
    time, marks, form = _time_of_seconds(columns)
    look = time[-1].time if time else None
    fractions = [one for one in columns if set(one.words[-1:]) & _MILLISECONDS and _counts_to(999, one)]
    if not fractions or look is None or look.holds == "date":
        return time, marks, form
    of_iso = [one for listed in formats_of(time[-1].texts[0]).values() for one in listed]
    known = form or (of_iso[0] if look.formats[0] == ISO and of_iso else look.formats[0])
    if not known.endswith("%S"):
        return time, marks, form
    return [*time, fractions[0]], [*marks, "."], f"{known}.%f"


def _counts_to(most: int, column: Column) -> bool:
    return bool(column.texts) and all(text.isdigit() and int(text) <= most for text in set(column.texts))


def _time_of_seconds(columns: Sequence[Column]) -> tuple[list[Column], list[str], str]:
    """Return what :func:`_time` does, without a column of milliseconds."""
    # A name such as "index" speaks against numbers only: dates written out are no counter.
    clear = [one for one in columns if one.is_clearly_time and not (one.is_no_sensor and one.number)]
    moments = [column for column in clear if column.time and column.time.holds == "moment"]
    if moments:
        best = max(moments, key=_telling_time)
        return _with_zone(best, columns) or ([best], [], "")
    dates = [column for column in clear if column.time and column.time.holds == "date"]
    clocks = [column for column in columns if column.time and column.time.holds == "clock"]
    if dates and clocks:
        date, clock = dates[0], clocks[0]
        assert date.time is not None and clock.time is not None
        return [date, clock], [" "], f"{_strptime(date.time.formats[0])} {clock.time.formats[0]}"
    if dates:
        return [max(dates, key=_telling_time)], [], ""
    parts = [_part(columns, words) for _, words in _PARTS]
    found = parts[: parts.index(None)] if None in parts else parts
    if len(found) >= 3:
        marks = list("-- ::"[: len(found) - 1])
        codes = [code for code, _ in _PARTS[: len(found)]]
        form = "".join(code + mark for code, mark in zip(codes, [*marks, ""], strict=True))
        return [column for column in found if column is not None], marks, form
    # A number that could be days of a spreadsheet or seconds since 1970, without a name that says so.
    numeric = [c for c in columns if c.time and c.time.formats[0] in (*EPOCHS, EXCEL) and _varies(c)]
    return numeric[:1], [], ""


def _with_zone(moment: Column, columns: Sequence[Column]) -> tuple[list[Column], list[str], str] | None:
    """Join the times that have no zone and the column that states it; None without such a column."""
    zones = [one for one in columns if one.texts and set(one.words) & _OF_ZONES and _are_zones(one.texts)]
    if not zones or moment.time is None or moment.time.has_zone or moment.n_empty != zones[0].n_empty:
        return None
    formats = formats_of(f"{moment.texts[0]} {zones[0].texts[0]}")
    known = moment.time.formats[0]
    fitting = [one for listed in formats.values() for one in listed if known == ISO or one.startswith(known)]
    return ([moment, zones[0]], [" "], fitting[0]) if fitting else None


def _are_zones(texts: Sequence[str]) -> bool:
    return all(text in OFFSETS or _OFFSET.fullmatch(text) for text in set(texts))


def _telling_time(column: Column) -> tuple[int, bool, bool, bool, bool, int]:
    """Order columns of times: one that varies first, none of arrival, one with a zone or of UTC, by name."""
    is_usual = column.name.casefold() in DEFAULT_COLUMNS["timestamp"]
    has_zone = column.time is not None and column.time.has_zone
    is_of_utc = "utc" in column.words
    is_measured = not is_arrival(column.name)
    return min(column.distinct, 2), is_measured, has_zone, is_of_utc, is_usual, column.fit("timestamp")


def _beside(time: Sequence[Column], numbers: list[Column]) -> list[Column]:
    """Return the numbers in the list that the time is in; all of them where it is in none."""
    listed = time[0].name.rpartition("[]")[0] if time else ""
    inner = [one for one in numbers if listed and one.name.startswith(f"{listed}[]")]
    return inner or numbers


def _has_twin(value: Column, numbers: Sequence[Column]) -> bool:
    """Whether objects beside each other have a value each, as ``temp.value`` and ``hum.value``."""
    last = value.name.rpartition(".")[2]
    return last != value.name and any(
        one is not value and one.name.rpartition(".")[2] == last for one in numbers
    )


def parts_of_values(columns: Sequence[Column]) -> set[Column]:
    """Return what says more of a value that is mostly a number, as objects in place of bad ones do."""
    # A row number without a name is no object.
    values = {column.name for column in columns if column.is_number} - {""}
    return {column for column in columns if column.name.rpartition(".")[0] in values}


def _varies(column: Column) -> bool:
    return column.distinct > 1 or len(column.texts) == 1


def _strptime(form: str) -> str:
    return "%Y-%m-%d" if form == ISO else form


def _part(columns: Sequence[Column], words: Sequence[str]) -> Column | None:
    found = [column for column in columns if column.words and column.words[-1] in words and column.is_number]
    return found[0] if found else None


def _time_reason(column: Column, time: Sequence[Column]) -> str:
    return "the time" if len(time) == 1 else f"part {time.index(column) + 1} of the time"


def _is_numeric_id(column: Column) -> bool:
    """Whether whole numbers name devices or sensors: by the name of the column, and because they repeat."""
    is_device = column.fit("device") > 0 and (not column.fit("value") or "id" in column.words)
    is_named = is_device or (
        column.fit("sensor") > 0 and column.words[-1].endswith(("id", "index", "register"))
    )
    repeats = column.distinct <= max(1, len(column.texts) // 2)
    # An id that is the same everywhere is one of the message.
    is_of_message = column.words == ["id"] and column.distinct == 1
    is_of_message |= "partition" in column.words
    return is_named and repeats and not is_of_message and all(text.isdigit() for text in column.texts)


def _numbers_names(column: Column, other: Column) -> bool:
    """Whether numbers stand for the names in another column one by one, as keys of a database do."""
    pairs = len(set(zip(column.texts, other.texts, strict=False)))
    return (
        column.number is not None
        and other.number is None
        and bool(_TELLING & set(other.words))
        and 1 < column.distinct == other.distinct == pairs
    )


def _sensor(ids: Sequence[Column], numbers: Sequence[Column], value: Column | None) -> Column | None:
    """Return the column with the names of sensors; None where sensors are columns of their own."""
    if value is None:
        return None
    device = best_for("device", ids) or (ids[0] if ids else None)
    # What is of each device, or the same for all, as the path and the id of a tag are, names no sensor.
    descriptions = {
        one for one in ids if device is not None and device.distinct > 1 and _describes(one, device)
    }
    weak = {one for one in descriptions if one.fit("sensor") <= _WEAK}
    named = [one for one in ids if one.fit("sensor") > max(one.fit("device"), 2) and one not in weak]
    if named:
        return best_for("sensor", named)
    others = [column for column in numbers if column is not value and not column.is_no_sensor]
    if device is None or len(ids) < 2 or (others and not value.fit("value")):
        return None
    left = [column for column in ids if column is not device]
    if descriptions >= set(left):
        alike = [one for one in ids if one.distinct > 1]
        return max(alike, key=lambda one: ("id" not in one.words, one.fit("sensor")))
    return best_for("sensor", left) or left[0]


def _device_of_wide(ids: Sequence[Column], is_sure: bool) -> Column | None:
    """Return the column of the devices of a wide table, in which the id of a sensor is one of a device."""
    device = _best_device(ids, is_sure)
    of_sensors = [column for column in ids if "".join(column.words) in ("sensor", "sensorid")]
    is_said = device is not None and "device" in "".join(device.words)
    # What a machine publishes as one object has one topic.
    of_topics = [column for column in ids if column.words[-1:] == ["topic"] and column.distinct > 1]
    if device is None and of_topics:
        return of_topics[0]
    return of_sensors[0] if of_sensors and not is_said else device


def _describes(column: Column, sensor: Column) -> bool:
    """Whether each sensor has one text in the column, which then describes it, such as a unit."""
    if len(column.texts) != len(sensor.texts):  # not of the same rows
        return False
    pairs = len(set(zip(column.texts, sensor.texts, strict=True)))
    return 1 < pairs == sensor.distinct


def _best_device(ids: Sequence[Column], is_sure: bool = True) -> Column | None:
    """Return the column with the names of devices: by its name, or where times alone are not unique."""
    named = best_for("device", ids)
    if named is not None:
        return named
    varying = [column for column in ids if column.distinct > 1]
    return varying[0] if varying and is_sure else None


def _is_repeated(time: Sequence[Column]) -> bool:
    rows = zip(*(column.texts for column in time), strict=False)
    listed = list(rows)
    return len(set(listed)) < len(listed)


def _reason(column: Column, role: str) -> str:
    by = "by its name" if column.fit(role) else "the one that is left"
    if role == "value":
        return f"the value, {by}"
    return f"the {role}, {by}: {column.distinct} different texts"
