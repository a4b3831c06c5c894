"""Decide what the columns of a file are: a measurement a row (long), or a column a sensor (wide)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache

from batch_scoring.ingestion.column_errors import missing_columns, no_sensors
from batch_scoring.ingestion.columns import match_columns, template_parts
from batch_scoring.ingestion.path_ids import FileIds
from batch_scoring.ingestion.settings import ROLES, IngestSettings
from batch_scoring.ingestion.sql import literal

logger = logging.getLogger(__name__)

# When a hub got an event, and a service read it.
_OF_ARRIVAL = frozenset(("eventenqueuedutctime", "eventprocessedutctime", "enqueuedtime", "_ts"))
_SAID: set[tuple[str, tuple[str, ...]]] = set()
# A role that the file itself does not state: its path or a setting does.
FIXED = -1
# Moments in parts, where there is no column of whole ones.
_PARTS = (
    "{year}-{month}-{day} {hour}:{minute}:{second}",
    "{year}-{month}-{day} {hour}:{minute}",
    "{year}-{month}-{day} {hour}:00",
    "{year}-{month}-{day}",
)


@dataclass(frozen=True)
class Shape:
    """Where the records of a file have time, device, sensor and value.

    Attributes
    ----------
    time : list of int or str
        Columns, by position, and text between them, one after the other the time.
    device : int
        A position, or ``FIXED``.
    sensor, value : int
        Positions; the sensor may be ``FIXED``, too. Of no meaning where ``sensors`` is not empty.
    sensors : dict of int to str
        Of a wide file: the sensor that each of its columns is, by position.
    quality : int
        The position of ``ingest.quality.column``; ``FIXED`` without it.
    """

    time: list[int | str]
    device: int
    sensor: int = FIXED
    value: int = FIXED
    sensors: dict[int, str] = field(default_factory=dict)
    quality: int = FIXED

    @property
    def is_fixed(self) -> bool:
        """Whether device or sensor are those of the file."""
        return self.device == FIXED or (self.sensor == FIXED and not self.sensors)

    @property
    def has_quality(self) -> bool:
        """Whether a column says how good a reading is."""
        return self.quality != FIXED

    @property
    def roles(self) -> dict[str, int]:
        """The positions of roles that are one column each."""
        positions = {"device": self.device, "sensor": self.sensor, "value": self.value}
        if len(self.time) == 1 and isinstance(self.time[0], int):
            positions["timestamp"] = self.time[0]
        return {role: positions[role] for role in ROLES if positions.get(role, FIXED) != FIXED}


def find_shape(
    names: Sequence[str],
    settings: IngestSettings,
    file: str,
    kinds: Callable[[], Sequence[str]],
    ids: FileIds,
    match: Callable[[Sequence[str], IngestSettings], dict[str, int]] = match_columns,
) -> Shape:
    """Decide what the columns of a file are.

    Parameters
    ----------
    names : sequence of str
    settings : IngestSettings
    file : str
        For messages.
    kinds : callable
        Returns what each column holds, as :func:`~batch_scoring.ingestion.column_kinds.kind_of` names it;
        called where names do not decide.
    ids : FileIds
    match : callable, optional
        Finds the position of each role among the names.

    Raises
    ------
    InputError
        Naming all that is missing.
    """
    shape = _find_shape(names, settings, file, cache(kinds), ids, match)
    return replace(shape, quality=quality_column(names, settings))


def quality_column(names: Sequence[str], settings: IngestSettings) -> int:
    """Return the position of the column that states the quality, by its name or the last key of its path."""
    wanted = (settings.quality.column or "").strip().casefold()
    found = [at for at, name in enumerate(names) if wanted in _names_of(name)] if wanted else []
    return found[0] if found else FIXED


def _find_shape(
    names: Sequence[str],
    settings: IngestSettings,
    file: str,
    kinds: Callable[[], Sequence[str]],
    ids: FileIds,
    match: Callable[[Sequence[str], IngestSettings], dict[str, int]],
) -> Shape:
    found = dict.fromkeys(ids.spare, FIXED) | match(names, settings) | dict.fromkeys(ids.given, FIXED)
    time = _time_parts(names, settings, found, kinds)
    if time is not None and not settings.is_named("timestamp"):
        _warn_of_arrival([names[at] for at in time if isinstance(at, int)], names, kinds, file)
    is_long = "sensor" in found and "value" in found
    if settings.shape != "wide" and is_long and "device" in found and time is not None:
        return Shape(time, found["device"], found["sensor"], found["value"])
    if time is None or settings.shape == "long":
        raise missing_columns(names, _with_time(found, time), file)
    if settings.shape == "auto" and found.get("sensor") == FIXED and "value" not in found:
        only = _numbers(names, settings, found, time, kinds())
        if len(only) == 1 and "device" in found:
            return Shape(time, found["device"], FIXED, next(iter(only)))
    claims = {"sensor", "value"} & found.keys()
    if settings.shape == "auto" and (claims or _is_doubtful(names, settings, found, time, kinds())):
        raise missing_columns(names, _with_time(found, time), file)
    roles = {role: at for role, at in found.items() if role in ("timestamp", "device")}
    sensors = wide_sensors(names, settings, roles, time, kinds)
    if not sensors:
        raise no_sensors(names, settings, file)
    if "device" not in found:
        raise missing_columns(names, found | dict.fromkeys(("timestamp", "sensor", "value"), FIXED), file)
    return Shape(time, found["device"], sensors=of_part(_unique(sensors), ids))


def is_arrival(name: str) -> bool:
    """Whether a column says when a hub got an event, which is not when something was measured."""
    return _names_of(name)[1] in _OF_ARRIVAL


def _warn_of_arrival(
    time: Sequence[str], names: Sequence[str], kinds: Callable[[], Sequence[str]], file: str
) -> None:
    """Say it where times of arrival are taken, and another column has times."""
    if not any(map(is_arrival, time)):
        return
    others = [name for name, kind in zip(names, kinds(), strict=True) if kind == "time"]
    measured = tuple(name for name in others if name not in time and not is_arrival(name))
    if measured and (time[0], measured) not in _SAID:  # once for files of one form
        _SAID.add((time[0], measured))
        logger.warning(
            "%s: the times are taken from %s, when a hub got each event; if they were measured at %s, set "
            "ingest.columns.timestamp=%s",
            file,
            time[0],
            " or ".join(measured),
            measured[0],
        )


def of_part(sensors: dict[int, str], ids: FileIds) -> dict[int, str]:
    """Put the sensor that the path of a wide file names before those of its columns: a part of the machine.

    Examples
    --------
    >>> of_part({1: "temp"}, FileIds({"device": "pump-1", "sensor": "motor"}))
    {1: 'motor temp'}
    """
    part = ids.given.get("sensor")
    return sensors if part is None else {at: f"{part} {name}" for at, name in sensors.items()}


def _with_time(found: dict[str, int], time: list[int | str] | None) -> dict[str, int]:
    places = [part for part in time or [] if isinstance(part, int)]
    return {**found, **({"timestamp": places[0]} if places else {})}


def _time_parts(
    names: Sequence[str],
    settings: IngestSettings,
    found: Mapping[str, int],
    kinds: Callable[[], Sequence[str]],
) -> list[int | str] | None:
    """Return the columns of the time; a column of dates joins one that has only clocks."""
    if "timestamp" in found:
        at = found["timestamp"]
        date = template_parts("{date} ", names)
        clock = template_parts("{time}", names)
        if (
            date
            and not settings.is_named("timestamp")
            and clock
            and at in (date[0], clock[0])
            and kinds()[int(clock[0])] == "clock"
        ):
            return [*date, *clock]
        return [at]
    for template in (*settings.column_names("timestamp"), *_PARTS):
        parts = template_parts(template, names)
        if parts:
            return parts
    if settings.is_named("timestamp"):
        return None
    # As pandas writes an index of times.
    unnamed = [at for at, name in enumerate(names) if not name.strip()]
    times = [at for at in unnamed if kinds()[at] == "time"]
    return [times[0]] if len(times) == 1 else None


def _is_doubtful(
    names: Sequence[str],
    settings: IngestSettings,
    found: Mapping[str, int],
    time: Sequence[int | str],
    kinds: Sequence[str],
) -> bool:
    """Whether a file of one column of numbers may be long: a column of text may name the sensors."""
    taken = {*found.values(), *time, quality_column(names, settings)}
    texts = [at for at, kind in enumerate(kinds) if kind == "text" and at not in taken and names[at].strip()]
    return bool(texts) and len(_numbers(names, settings, found, time, kinds)) == 1


def wide_sensors(
    names: Sequence[str],
    settings: IngestSettings,
    found: Mapping[str, int],
    time: Sequence[int | str],
    kinds: Callable[[], Sequence[str]],
) -> dict[int, str]:
    """Return the sensor of each column that is one, by position."""
    patterns = settings.wide.sensors
    if patterns == ["*"]:
        return _numbers(names, settings, found, time, kinds())
    candidates = _candidates(names, settings, found, time)
    return {
        at: name
        for at, name in candidates.items()
        if any(name == pattern or fnmatchcase(name, _escaped(pattern)) for pattern in patterns)
    }


def _numbers(
    names: Sequence[str],
    settings: IngestSettings,
    found: Mapping[str, int],
    time: Sequence[int | str],
    kinds: Sequence[str],
) -> dict[int, str]:
    candidates = _candidates(names, settings, found, time)
    return {at: name for at, name in candidates.items() if kinds[at] in ("number", "empty")}


def _candidates(
    names: Sequence[str], settings: IngestSettings, found: Mapping[str, int], time: Sequence[int | str]
) -> dict[int, str]:
    """Return the named columns that have no other role."""
    taken = {*found.values(), *time, quality_column(names, settings)}
    others = [_escaped(pattern.casefold()) for pattern in settings.wide.not_sensors]
    return {
        at: name.strip()
        for at, name in enumerate(names)
        if at not in taken
        and name.strip()
        and not any(fnmatchcase(one, pattern) for one in _names_of(name) for pattern in others)
    }


def _names_of(name: str) -> tuple[str, str]:
    """Return a name, and the last key of a path, in lower case."""
    folded = name.strip().casefold()
    return folded, folded.rpartition(".")[2]


def _escaped(pattern: str) -> str:
    """Leave brackets their own meaning: units stand in them."""
    return pattern.replace("[", "[[]")


def _unique(sensors: dict[int, str]) -> dict[int, str]:
    """Number the names that are there twice, as spreadsheets do."""
    seen: dict[str, int] = {}
    made = {}
    for at, name in sensors.items():
        seen[name] = seen.get(name, 0) + 1
        made[at] = name if seen[name] == 1 else f"{name}.{seen[name] - 1}"
    return made


def select_records(
    shape: Shape,
    column: Callable[[int], str],
    records: str,
    *,
    malformed: str = "CAST(NULL AS VARCHAR)",
    row: str = "row",
    number: str = "VARCHAR",
    timestamp: str | None = None,
) -> str:
    """Return the query of a file's readings, from one of its records.

    Parameters
    ----------
    shape : Shape
    column : callable
        The SQL expression of the column at a position; NULL in a malformed record.
    records : str
        A query with ``source`` and what the expressions read.
    malformed : str
        The text of a record that cannot be read, else NULL.
    row : str
        The number of the record, from 1; of a wide file, rows are numbered ``width`` to a record.
    number : str
        The type that the columns of sensors are brought to.
    timestamp : str, optional
        Of a wide file: an expression of ``raw_timestamp`` that becomes the column ``timestamp``. A record has
        one time and may have thousands of cells.
    """
    origin = f"({records})" + (" JOIN file_ids USING (source)" if shape.is_fixed else "")
    time = _joined(shape.time, column)
    device = _text(shape.device, "device", column)
    quality = f"{column(shape.quality)} AS raw_quality, " if shape.has_quality else ""
    if not shape.sensors:
        return (
            f"SELECT source, {row} AS row, {time} AS raw_timestamp, {device} AS device, "
            f"{_text(shape.sensor, 'sensor', column)} AS sensor, {column(shape.value)} AS raw_value, "
            f"{quality}{malformed} AS malformed FROM {origin}"
        )
    listed = ", ".join(map(literal, shape.sensors.values()))
    cells = ", ".join(f"CAST({column(at)} AS {number})" for at in shape.sensors)
    width = len(shape.sensors)
    origin = f"(SELECT *, {time} AS raw_timestamp, {device} AS raw_device FROM {origin})"
    parsed = ""
    if timestamp is not None:
        origin, parsed = f"(SELECT *, {timestamp} AS timestamp FROM {origin})", "timestamp, "
    # A cell without anything is no reading; a malformed record is one row.
    empty = "raw_value IS NOT NULL" + (" AND trim(raw_value) <> ''" if number == "VARCHAR" else "")
    spread = (
        f"SELECT source, ({row} - 1) * {width} + unnest(range(1, {width + 1})) AS row, "
        f"raw_timestamp, {parsed}raw_device AS device, unnest([{listed}]) AS name, "
        f"unnest([{cells}]) AS raw_value, {quality}{malformed} AS malformed FROM {origin}"
    )
    return (
        "SELECT source, row, raw_timestamp, device, CASE WHEN malformed IS NULL THEN name END AS sensor, "
        f"raw_value, {parsed}{'raw_quality, ' if quality else ''}malformed FROM ({spread}) "
        f"WHERE ({empty}) OR (malformed IS NOT NULL AND (row - 1) % {width} = 0)"
    )


def _text(position: int, role: str, column: Callable[[int], str]) -> str:
    return f"file_ids.{role}" if position == FIXED else f"CAST({column(position)} AS VARCHAR)"


def _joined(parts: Sequence[int | str], column: Callable[[int], str]) -> str:
    if len(parts) == 1 and isinstance(parts[0], int):
        return column(parts[0])
    texts = [literal(part) if isinstance(part, str) else _two_digits(column(part)) for part in parts]
    # Milliseconds, other than the year of {day}.{month}.{year}.
    if parts[-2:-1] == ["."] and parts.count(".") == 1 and isinstance(parts[-1], int):
        texts[-1] = rf"regexp_replace({texts[-1]}, '^(\d\d)$', '0\1')"
    return " || ".join(texts)


def _two_digits(text: str) -> str:
    """Write 7 as 07: the parts of a time are often numbers."""
    one = f"trim(CAST({text} AS VARCHAR))"
    return rf"regexp_replace({one}, '^(\d)$', '0\1')"
