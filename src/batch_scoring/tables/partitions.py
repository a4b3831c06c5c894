"""Partitions of a stored table: one file a sensor and day (UTC), named after both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

import pyarrow.parquet as pq

from batch_scoring.core.ids import from_path_segment, path_segment

# Name of a partition, such as "vibration/2026-01-05", to a function that opens its file.
Partitions = Mapping[str, Callable[[], pq.ParquetFile]]


def partition_key(sensor: str, day: date) -> str:
    """Name the partition of a sensor and day.

    Examples
    --------
    >>> partition_key("air/flow", date(2026, 1, 5))
    'air%2Fflow/2026-01-05'
    """
    return f"{path_segment(sensor)}/{day.isoformat()}"


def split_partition_key(key: str) -> tuple[str, date]:
    """Split a partition's name into sensor and day.

    Examples
    --------
    >>> split_partition_key("air%2Fflow/2026-01-05")
    ('air/flow', datetime.date(2026, 1, 5))
    """
    segment, _, day = key.rpartition("/")
    return from_path_segment(segment), date.fromisoformat(day)


def by_sensor(keys: Iterable[str]) -> dict[str, dict[date, str]]:
    """Group partitions by sensor and day, both in order.

    Examples
    --------
    >>> by_sensor(["b/2026-01-06", "b/2026-01-05", "a/2026-01-05"])["b"]
    {datetime.date(2026, 1, 5): 'b/2026-01-05', datetime.date(2026, 1, 6): 'b/2026-01-06'}
    """
    named = sorted((*split_partition_key(key), key) for key in keys)
    sensors: dict[str, dict[date, str]] = {}
    for sensor, day, key in named:
        sensors.setdefault(sensor, {})[day] = key
    return sensors
