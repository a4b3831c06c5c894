"""The name of a partition, made of what it holds: a sensor and a day (UTC)."""

from __future__ import annotations

from datetime import date

from batch_scoring.ids import from_path_segment, path_segment


def partition_key(sensor: str, day: date) -> str:
    """Name the partition of a sensor's rows of one day.

    Examples
    --------
    >>> partition_key("air/flow", date(2026, 1, 5))
    'air%2Fflow/2026-01-05'
    """
    return f"{path_segment(sensor)}/{day.isoformat()}"


def split_partition_key(key: str) -> tuple[str, date]:
    """The sensor and the day of a partition's name.

    Examples
    --------
    >>> split_partition_key("air%2Fflow/2026-01-05")
    ('air/flow', datetime.date(2026, 1, 5))
    """
    segment, _, day = key.rpartition("/")
    return from_path_segment(segment), date.fromisoformat(day)
