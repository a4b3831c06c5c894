"""Build the query of the Stream Analytics job: the windows of ``aggregate`` in the service's SQL, as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.deploy.settings import read_settings as read_deploy_settings
from batch_scoring.ingestion.settings import ROLES, read_settings
from batch_scoring.windows.features import feature_function
from batch_scoring.windows.settings import AggregateParameters

INPUT, OUTPUT = "readings", "windows"

# The device that an IoT Hub states of an event that it sends on.
_SENDER = f"GetMetadataPropertyValue({INPUT}, '[EventHub].[IoTConnectionDeviceId]')"
# What is computed of a window's readings, whose columns are ``value`` and ``measured``.
_AGGREGATES = {
    "mean": "AVG(value)",
    # For one reading it is 0 by definition, whatever the service computes.
    "std": "CASE WHEN COUNT(*) > 1 THEN STDEVP(value) ELSE 0.0 END",
    "min": "MIN(value)",
    "max": "MAX(value)",
    "sum": "SUM(value)",
    "first": "TopOne(value) OVER (ORDER BY measured ASC)",
    "last": "TopOne(value) OVER (ORDER BY measured DESC)",
}
# Derived features: from which, and how.
_DERIVED = {
    "range": (("min", "max"), "[max] - [min]"),
    "change": (("first", "last"), "[last] - [first]"),
    "diff_mean": (("mean",), "CASE WHEN previous_end = {start} THEN [mean] - previous_mean ELSE 0.0 END"),
}
_KNOWN = (*_AGGREGATES, *_DERIVED, "count")
_PERCENTILE = re.compile(r"p(\d{1,2})")
_UNITS = {"hour": timedelta(hours=1), "minute": timedelta(minutes=1), "second": timedelta(seconds=1)}

_QUERY = """\
-- The windows of `kedro run --pipelines=aggregate`, made of a stream by Azure Stream Analytics.
WITH reading AS (
    -- A reading that came more than once counts once, as it came first: rows of one device, sensor and
    -- time are a snapshot window. OVER gives each device and sensor a clock of its own: what one sends
    -- late is not late because of the others.
    SELECT
        {device_named}, {sensor}, PartitionId,
        System.Timestamp() AS measured,
        TopOne(TRY_CAST({value} AS float)) OVER (ORDER BY EventEnqueuedUtcTime ASC) AS value,
        TopOne(EventProcessedUtcTime) OVER (ORDER BY EventProcessedUtcTime DESC) AS processed_time
    FROM {input}
        TIMESTAMP BY {timestamp} OVER {device_sent}, {sensor}, PartitionId
        PARTITION BY PartitionId
    WHERE CAST({device_sent} AS nvarchar(max)) <> ''
        AND CAST({sensor} AS nvarchar(max)) <> ''
        AND ABS(TRY_CAST({value} AS float)) <= 1.7976931348623157E+308{in_range}
    GROUP BY {device_sent}, {sensor}, PartitionId, System.Timestamp()
),
summary AS (
    -- A tumbling window is (start, end] unless its offset says otherwise. Times have whole microseconds,
    -- so a microsecond earlier it is [start, end); its timestamp is then a microsecond before its end.
    SELECT
        {device}, {sensor}, PartitionId,
        DATEADD(microsecond, 1, System.Timestamp()) AS window_end,
        TopOne(processed_time) OVER (ORDER BY processed_time DESC) AS processed_time,
        COUNT(*) AS [count]{aggregates}
    FROM reading
        PARTITION BY PartitionId
    GROUP BY {device}, {sensor}, PartitionId,
        TumblingWindow({duration}, Offset(microsecond, -1))
    HAVING COUNT(*) >= {min_readings}
){followed}
SELECT
    {start} AS window_start,
    window_end,
    CAST({device} AS nvarchar(max)) AS device,
    CAST({sensor} AS nvarchar(max)) AS sensor,
    [count]{features},
    processed_time,
    CONCAT(
        CAST({sensor} AS nvarchar(max)), '/', SUBSTRING(CAST({start} AS nvarchar(max)), 1, 10)
    ) AS sensor_day
INTO {output}
FROM {last_step}
    PARTITION BY PartitionId
"""

_FOLLOWED = """,
followed AS (
    -- The window before, if there is one: LAG looks back two windows, and the last step looks at its end.
    SELECT
        {device}, {sensor}, PartitionId,
        window_end,
        processed_time,
        [count]{aggregated},
        LAG(window_end)
            OVER (PARTITION BY {device}, {sensor}, PartitionId LIMIT {two_durations}) AS previous_end,
        LAG([mean])
            OVER (PARTITION BY {device}, {sensor}, PartitionId LIMIT {two_durations}) AS previous_mean
    FROM summary
        PARTITION BY PartitionId
)"""


@dataclass(frozen=True)
class WindowsQuery:
    """Query for windows; ``str()`` of it is the query's text.

    Attributes
    ----------
    window : timedelta
        Whole seconds that divide a day: then it does not matter where the service counts from.
    features : tuple of str
        Of :func:`~batch_scoring.windows.features.feature_function`; not ``slope``, nor features added
        to the project.
    min_readings : int
        Windows with fewer readings are left out.
    columns : mapping of str to str
        The names of the payload's fields with the roles ``timestamp device sensor value``; a role
        that is not named has its own name.
    ranges : mapping of str to (float, float)
        The lowest and highest possible value of a sensor; readings outside are left out.
    from_iot_hub : bool
        Whether the events come by an IoT Hub: a reading without a device is of the device that sent it.

    Raises
    ------
    InputError
        On a window or a feature that the service cannot compute, or a name that cannot be quoted.

    Examples
    --------
    >>> "TumblingWindow(Duration(minute, 5), Offset(microsecond, -1))" in str(WindowsQuery())
    True
    >>> WindowsQuery(features=("mean", "slope"))
    Traceback (most recent call last):
    batch_scoring.core.errors.InputError: aggregate.features: Stream Analytics cannot compute 'slope'; ...
    """

    window: timedelta = timedelta(minutes=5)
    features: tuple[str, ...] = AggregateParameters().of_stream.features
    min_readings: int = 1
    columns: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    from_iot_hub: bool = False

    def __post_init__(self) -> None:
        second, day = timedelta(seconds=1), timedelta(days=1)
        if self.window < second or self.window % second or day % self.window:
            raise InputError(
                f"aggregate.window: Stream Analytics cannot cut windows of {self.window}; choose whole "
                "seconds that divide a day, or make the windows of readings with `aggregate`"
            )
        for name in self.features:
            feature_function(name)
            if name not in _KNOWN and not _PERCENTILE.fullmatch(name):
                raise InputError(
                    f"aggregate.features: Stream Analytics cannot compute {name!r}; its query knows "
                    f"{', '.join(_KNOWN)} and p01 … p99: leave the feature out, or make the windows of "
                    "readings with `aggregate`"
                )
        for role, name in self.columns.items():
            if role not in ROLES or not name or "]" in name:
                raise InputError(
                    f"ingest.columns.{role}: {name!r} cannot name a field in the query; "
                    f"name the fields of {', '.join(ROLES)}, without brackets"
                )

    def __str__(self) -> str:
        """The text of the query."""
        unit, number = _unit_and_number(self.window)
        fields = {role: f"[{self.columns.get(role, role)}]" for role in ROLES}
        device = sent = fields["device"]
        if self.from_iot_hub:
            sent = f"COALESCE({device}, {_SENDER})"
        start = f"DATEADD({unit}, -{number}, window_end)"
        needs_previous = "diff_mean" in self.features
        followed = _FOLLOWED.format(
            **fields,
            aggregated=_listed((f"[{name}]" for name in self._aggregated), 8),
            two_durations=f"DURATION({unit}, {2 * number})",
        )
        return _QUERY.format(
            **fields,
            device_sent=sent,
            device_named=sent if sent == device else f"{sent} AS {device}",
            input=INPUT,
            output=OUTPUT,
            in_range=_in_range(fields["sensor"], fields["value"], self.ranges),
            aggregates=_listed((f"{_aggregate(name)} AS [{name}]" for name in self._aggregated), 8),
            duration=f"Duration({unit}, {number})",
            min_readings=self.min_readings,
            followed=followed if needs_previous else "",
            start=start,
            features=_listed((_feature(name, start) for name in self._columns), 4),
            last_step="followed" if needs_previous else "summary",
        )

    @property
    def _columns(self) -> list[str]:
        """The features that are columns of their own; ``count`` is one anyway."""
        return [name for name in dict.fromkeys(self.features) if name != "count"]

    @property
    def _aggregated(self) -> list[str]:
        """What to compute from the readings, each once."""
        parts = (_DERIVED[name][0] if name in _DERIVED else (name,) for name in self._columns)
        return list(dict.fromkeys(part for made_of in parts for part in made_of))


# Settings of what files say, which a stream does not.
_OF_FILES = {"on_conflict", "rounding"}


def configured_query(parameters: Mapping[str, Any]) -> WindowsQuery:
    """Build the query of ``params:aggregate``, with the ranges and first column names of ``ingest``.

    With ``deploy.iot_hub`` a reading without a device is of the device that sent it.

    Raises
    ------
    InputError
        When a setting is not valid, or the service cannot compute it.
    """
    aggregate = read_parameters(AggregateParameters, parameters.get("aggregate"), "aggregate").of_stream
    ingest = read_settings(parameters.get("ingest"))
    for name in sorted(ingest.deciding().keys() - _OF_FILES):
        raise InputError(
            f"ingest.{name}: {getattr(ingest, name)!r} is not valid with Stream Analytics, which takes times "
            "and values as they are; leave it out, or set deploy.stream_analytics.enabled to false"
        )
    return WindowsQuery(
        window=aggregate.length,
        features=aggregate.features,
        min_readings=aggregate.min_readings,
        columns={role: ingest.column_names(role)[0] for role in ROLES},
        ranges=ingest.ranges,
        from_iot_hub=read_deploy_settings(parameters).iot_hub.enabled,
    )


def _aggregate(name: str) -> str:
    if match := _PERCENTILE.fullmatch(name):
        return f"PERCENTILE_CONT({int(match[1]) / 100!r}) OVER (ORDER BY value)"
    return _AGGREGATES[name]


def _feature(name: str, start: str) -> str:
    return f"{_DERIVED[name][1].format(start=start)} AS [{name}]" if name in _DERIVED else f"[{name}]"


def _in_range(sensor: str, value: str, ranges: Mapping[str, tuple[float, float]]) -> str:
    number = f"TRY_CAST({value} AS float)"
    return "".join(
        f"\n        AND NOT (CAST({sensor} AS nvarchar(max)) = {_literal(name)} "
        f"AND ({number} < {float(low)!r} OR {number} > {float(high)!r}))"
        for name, (low, high) in sorted(ranges.items())
    )


def _listed(parts: Iterable[str], indent: int) -> str:
    return "".join(f",\n{' ' * indent}{part}" for part in parts)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unit_and_number(length: timedelta) -> tuple[str, int]:
    """Find the largest unit that divides a duration."""
    unit = next(unit for unit, one in _UNITS.items() if not length % one)
    return unit, length // _UNITS[unit]
