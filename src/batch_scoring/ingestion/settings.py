"""Settings of the ``ingest`` pipeline, checked before any file is opened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters, require_zone
from batch_scoring.ingestion.interpretation import Interpretation

MIN_TIME = datetime(1990, 1, 1, tzinfo=UTC)

ROLES = ("timestamp", "device", "sensor", "value")

DEFAULT_COLUMNS = {
    "timestamp": ["timestamp", "ts", "time", "datetime"],
    "device": ["device", "device_id", "deviceid"],
    "sensor": ["sensor", "tag", "metric", "sensor_id"],
    "value": ["value", "val", "reading"],
}


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
    memory_limit: str = "1GB"
    temp_directory: str | None = None

    @property
    def digest(self) -> str:
        """Digest of the settings that decide which rows are read and how; 64 hex digits."""
        deciding: dict[str, Any] = {
            "columns": {role: self.column_names(role) for role in ROLES},
            "timezone": self.timezone,
            "max_future": self.max_future.total_seconds(),
            "ranges": {sensor: [float(low), float(high)] for sensor, (low, high) in self.ranges.items()},
        }
        if self.min_time != MIN_TIME:  # sources read by earlier versions need not be read again
            deciding["min_time"] = self.min_time.isoformat()
        return digest_of(deciding | self.deciding())

    def column_names(self, role: str) -> list[str]:
        """Return the possible names of the column with this role."""
        names = self.columns.get(role, DEFAULT_COLUMNS[role])
        return [names] if isinstance(names, str) else list(names)


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
    settings.check()
    return settings


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
