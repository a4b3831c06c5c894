"""Convert between UTC and what clocks in a time zone show, both as microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from batch_scoring.core.moments import EPOCH, HOUR_US, microseconds
from batch_scoring.tables.arrays import Int

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# Time zones change their offset on a quarter of an hour.
_QUARTER_US = HOUR_US // 4


def local_us(time_us: Int, zone: str) -> Int:
    """Return what clocks in a zone show at some times, shape (n,), int64.

    Parameters
    ----------
    time_us : array of shape (n,), int64
        UTC.
    zone : str
        IANA name.

    Examples
    --------
    >>> local_us(np.array([0]), "Europe/Berlin").tolist()
    [3600000000]
    """
    if zone == "UTC":
        return time_us
    quarters, place = np.unique(time_us // _QUARTER_US, return_inverse=True)
    local: Int = time_us + np.array([_offset_us(zone, one) for one in quarters.tolist()], np.int64)[place]
    return local


def utc_us(local: int, zone: str, *, is_later: bool = False) -> int:
    """Return when clocks in a zone show a time, the first or the later time of an hour that comes twice.

    Of an hour that is left out, it is the moment when clocks change.
    """
    if zone == "UTC":
        return local
    moment = (EPOCH + timedelta(microseconds=local)).replace(tzinfo=_zone(zone))
    first, second = (microseconds(moment.replace(fold=fold).astimezone(UTC)) for fold in (0, 1))
    if first <= second:
        return second if is_later else first
    quarters = range(second // _QUARTER_US, first // _QUARTER_US + 1)
    summer = _offset_us(zone, quarters[-1])
    return next(one * _QUARTER_US for one in quarters if _offset_us(zone, one) == summer)


@lru_cache(maxsize=100_000)
def _offset_us(zone: str, quarter: int) -> int:
    """Return the offset of a zone from UTC in a quarter of an hour since the epoch, microseconds."""
    offset = datetime.fromtimestamp(quarter * (_QUARTER_US // 1_000_000), UTC).astimezone(_zone(zone))
    return round(offset.utcoffset().total_seconds() * 1e6)  # type: ignore[union-attr]


@lru_cache
def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
