"""Settings of the ``ingest`` pipeline, checked before any file is opened."""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import Check, read_parameters, require, require_zone
from batch_scoring.ingestion.interpretation import Interpretation

MIN_TIME = datetime(1990, 1, 1, tzinfo=UTC)

ROLES = ("timestamp", "device", "sensor", "value")
# fmt: off
Envelope = Literal[
    "iothub", "senml", "telegraf", "ttn", "prometheus", "sitewise", "columns", "rows", "series", "nested",
    "json_text",
]
# fmt: on

DEFAULT_COLUMNS = {
    "timestamp": [
        "timestamp",
        "ts",
        "time",
        "datetime",
        "_time",
        "date",
        "created_at",
        "eventenqueuedutctime",
    ],
    "device": ["device", "device_id", "deviceid"],
    "sensor": ["sensor", "tag", "metric", "sensor_id", "_field"],
    "value": ["value", "val", "reading", "_value"],
}
# Names of rows and places.
_NOT_SENSORS = (
    "id",
    "index",
    "row",
    "#",
    "no",
    "no.",
    "nr",
    "nr.",
    "entry_id",
    "lat",
    "lon",
    "lng",
    "latitude",
    "longitude",
    "unnamed: *",
    "fcnt",
    "fport",
)
# What brokers of MQTT say of a message.
_OF_MESSAGES = ("qos", "retain", "retained", "dup", "topic")
# Of Stream Analytics and ChirpStack.
_OF_SERVICES = ("partitionid", "iothub.*", "rxinfo*", "txinfo*")
# Names known since the first version; a source read by them need not be read again by the others.
_FIRST_KNOWN = {"timestamp": 4, "device": 3, "sensor": 4, "value": 3}


@dataclass(frozen=True)
class WideSettings:
    """Which columns of a file with a column a sensor are sensors.

    Attributes
    ----------
    sensors : list of str
        Names or patterns with ``*``, as spelled in the file. ``*`` alone is each column of numbers.
    not_sensors : list of str
        Columns that are none, in upper or lower case.
    """

    sensors: list = field(default_factory=lambda: ["*"])  # type: ignore[type-arg]
    not_sensors: list = field(default_factory=lambda: [*_NOT_SENSORS, *_OF_MESSAGES, *_OF_SERVICES])  # type: ignore[type-arg]


@dataclass(frozen=True)
class QualitySettings:
    """Which readings are refused for the quality that their file states, as exports of OPC UA do.

    Attributes
    ----------
    column : str or None
        Its name, in upper or lower case. None: all are taken. Files without it are read as they are.
    good : list of str or float
        The words, in upper or lower case, and numbers of readings that are taken.
    """

    column: Any = None
    good: list = field(default_factory=lambda: ["good", 192])  # type: ignore[type-arg]

    @property
    def words(self) -> list[str]:
        """What ``good`` lists, in lower case."""
        return sorted(str(one).strip().lower() for one in self.good)


@dataclass(frozen=True)
class IngestSettings(Interpretation):
    """How files of raw readings are read; how their fields are understood is inherited.

    Attributes
    ----------
    columns : dict of str to (str or list of str)
        The possible names of each of the four columns, best first.
    timezone : str
        The IANA time zone of times without an offset.
    min_time : datetime
        Readings before it have an implausible time: a clock that was never set. UTC.
    max_future : timedelta
        How much later than the run's time a reading may be.
    ranges : dict of str to [float, float]
        The lowest and highest possible value of a sensor, both possible.
    shape : str
        ``"long"``: a row is one measurement; ``"wide"``: a column is a sensor; ``"auto"``: found by names.
    wide : WideSettings
    quality : QualitySettings
    path : str or None
        Where a file's path names device and sensor, such as ``"{device}/{sensor}.csv"``.
    device, sensor : str or None
        The device, or sensor, of all files.
    delimiter : str
        One character, ``"space"`` (any white space), ``"tab"`` or ``"auto"``.
    header : str or int
        ``"auto"``, ``"none"`` (columns are ``column_1``, ``column_2`` …), or how many lines it has.
    comment : str
        What a line above the header begins with that is left out; empty: no line is.
    skip_lines : int
        Lines to leave out before anything else.
    encoding : str
        ``"auto"`` is UTF-8, or UTF-16 with a byte order mark; or a name such as ``"latin-1"``.
    sheet : str or None
        The sheet of a workbook; None is the first, a pattern all that have the same columns.
    envelope : str or None
        The form of JSON that readings are wrapped in.
    memory_limit : str
        What DuckDB may hold in memory, such as ``"1GB"``.
    temp_directory : str or None
        Where staged rows lie; None is the system's place.
    """

    columns: dict[str, Any] = field(default_factory=lambda: dict(DEFAULT_COLUMNS))
    timezone: str = "UTC"
    min_time: datetime = MIN_TIME
    max_future: timedelta = timedelta(hours=1)
    ranges: dict[str, Any] = field(default_factory=dict)
    shape: Literal["auto", "long", "wide"] = "auto"
    wide: WideSettings = field(default_factory=WideSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    path: Any = None
    device: Any = None
    sensor: Any = None
    delimiter: str = "auto"
    header: Any = "auto"
    comment: str = "#"
    skip_lines: int = 0
    encoding: str = "auto"
    sheet: str | None = None
    envelope: Envelope | None = None
    memory_limit: str = "1GB"
    temp_directory: str | None = None

    @property
    def digest(self) -> str:
        """Digest of the settings that decide which rows are read and how; 64 hex digits."""
        deciding: dict[str, Any] = {
            "columns": {role: _known_names(role, self.column_names(role)) for role in ROLES},
            "timezone": self.timezone,
            "max_future": self.max_future.total_seconds(),
            "ranges": {sensor: [float(low), float(high)] for sensor, (low, high) in self.ranges.items()},
        }
        if self.min_time != MIN_TIME:  # sources read by earlier versions need not be read again
            deciding["min_time"] = self.min_time.isoformat()
        usual = IngestSettings()
        deciding |= {
            name: getattr(self, name) for name in _OF_FORM if getattr(self, name) != getattr(usual, name)
        }
        # Sources read by the names of earlier versions need not be read again.
        earlier = ([*_NOT_SENSORS, *_OF_MESSAGES], list(_NOT_SENSORS))
        if self.wide not in (usual.wide, *(WideSettings(not_sensors=names) for names in earlier)):
            deciding["wide"] = [self.wide.sensors, self.wide.not_sensors]
        if self.quality.column is not None:
            deciding["quality"] = [self.quality.column, self.quality.words]
        return digest_of(deciding | self.deciding())

    def zone_of(self, digest: str) -> str | None:
        """Return the time zone that makes the digest of these settings this one; None where none does."""
        from zoneinfo import available_timezones

        zones = sorted(available_timezones(), key=lambda zone: (zone != "UTC", zone))
        return next((zone for zone in zones if replace(self, timezone=zone).digest == digest), None)

    def column_names(self, role: str) -> list[str]:
        """Return the possible names of the column with this role."""
        names = self.columns.get(role, DEFAULT_COLUMNS[role])
        return [names] if isinstance(names, str) else list(names)

    def is_named(self, role: str) -> bool:
        """Whether the column of a role has been named, rather than left to the usual names."""
        return not _are_usual(role, self.column_names(role))


_OF_FORM = (
    "shape",
    "path",
    "device",
    "sensor",
    "delimiter",
    "header",
    "comment",
    "skip_lines",
    "encoding",
    "sheet",
    "envelope",
)


def read_settings(values: Mapping[str, Any] | None) -> IngestSettings:
    """Read ``params:ingest``.

    Raises
    ------
    InputError
        On an unknown key, an unknown time zone, a range that is not two numbers in order, or another setting
        that is not valid.
    """
    settings = read_parameters(IngestSettings, values, "ingest")
    _check_columns(settings.columns)
    require_zone("ingest.timezone", settings.timezone)
    # YAML reads the sensor 7 as a number, but ids are text.
    ranges = {str(sensor): _read_range(str(sensor), limits) for sensor, limits in settings.ranges.items()}
    object.__setattr__(settings, "ranges", ranges)
    for name in ("device", "sensor", "path"):
        object.__setattr__(settings, name, _read_text(name, getattr(settings, name)))
    _check_form(settings)
    _check_quality(settings.quality)
    settings.check()
    return settings


def _known_names(role: str, names: list[str]) -> list[str]:
    return names[: _FIRST_KNOWN[role]] if _are_usual(role, names) else names


def _are_usual(role: str, names: list[str]) -> bool:
    """Whether names are those of this version or of an earlier one, which had fewer."""
    return len(names) >= _FIRST_KNOWN[role] and names == DEFAULT_COLUMNS[role][: len(names)]


def _read_text(name: str, value: Any) -> str | None:
    """Read an id, or a path; YAML reads ``7`` as a number and ``{device}`` as a mapping."""
    if isinstance(value, Mapping) and list(value.values()) == [None]:
        return f"{{{next(iter(value))}}}"
    if value is None or (isinstance(value, (str, int, float)) and str(value).strip()):
        return None if value is None else str(value)
    raise InputError(f"ingest.{name}: {value!r} is not valid; expected text, such as 'unit-a'")


def _check_form(settings: IngestSettings) -> None:
    lines = settings.header
    has_number = isinstance(lines, int) and not isinstance(lines, bool)
    checks: dict[str, Check] = {
        "delimiter": (
            settings.delimiter in ("auto", "space", "tab") or len(settings.delimiter) == 1,
            "auto, space, tab or one character, such as ';'",
        ),
        "header": (
            lines in ("auto", "none") or (has_number and 1 <= lines <= 20),
            "auto, none, or the number of its lines, 1 to 20",
        ),
        "skip_lines": (0 <= settings.skip_lines <= 1000, "0 to 1000"),
        "encoding": (
            settings.encoding == "auto" or _is_encoding(settings.encoding),
            "auto or the name of an encoding, such as latin-1 or cp1252",
        ),
        "path": (
            settings.path is None or "{device}" in settings.path or "{sensor}" in settings.path,
            "a path with {device} or {sensor}, such as '{device}/{sensor}.csv'",
        ),
    }
    require(settings, "ingest", checks)
    for name in ("sensors", "not_sensors"):
        if not all(isinstance(one, str) and one for one in getattr(settings.wide, name)):
            raise InputError(f"ingest.wide.{name}: expected names or patterns, such as ['temp*']")


def _check_quality(quality: QualitySettings) -> None:
    column = quality.column
    if column is not None and not (isinstance(column, str) and column.strip()):
        raise InputError(
            f"ingest.quality.column: {column!r} is not valid; expected a column's name, such as Quality"
        )
    if not quality.good or not all(isinstance(one, (str, int, float)) for one in quality.good):
        raise InputError(
            f"ingest.quality.good: {quality.good!r} is not valid; expected words and numbers, such as "
            "[good, 192]"
        )


def _is_encoding(name: str) -> bool:
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except (LookupError, ValueError):
        return False


def _check_columns(columns: Mapping[str, Any]) -> None:
    for role, names in columns.items():
        if role not in ROLES:
            raise InputError(f"ingest.columns.{role}: there is no such column; known are: {', '.join(ROLES)}")
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not listed or not all(isinstance(n, str) and n for n in listed):
            raise InputError(
                f"ingest.columns.{role}: {names!r} is not a column name; expected a name or a list of names"
            )


def _read_range(sensor: str, limits: Any) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not low <= high:
        raise InputError(
            f"ingest.ranges.{sensor}: expected [lowest, highest], got {limits!r}; "
            "write limits such as [-40, 150]"
        )
    return low, high
