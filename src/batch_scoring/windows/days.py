"""Find the windows that start on a day, and the daily files with their readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from batch_scoring.core.moments import EPOCH, MICROSECOND, microseconds

DAY = timedelta(days=1)
_FIRST_US = microseconds(datetime.min.replace(tzinfo=UTC))  # of the calendar: year 1


@dataclass(frozen=True)
class WindowDay:
    """The windows that start on one day (UTC).

    Attributes
    ----------
    first_us, end_us : int
        The start of the first window and the end of the last one, microseconds since the epoch.
    read_from_us : int
        Start of the readings needed: ``first_us``, or the window before it when its mean is needed.
    """

    first_us: int
    end_us: int
    read_from_us: int

    @classmethod
    def of(cls, day: date, window: timedelta, features: Iterable[str]) -> WindowDay:
        """Return the windows of a day; some features also need the readings of the window before."""
        window_us = window // MICROSECOND
        midnight = microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
        first = -(-midnight // window_us) * window_us
        end = -(-(midnight + DAY // MICROSECOND) // window_us) * window_us
        return cls(first, end, first - window_us if "diff_mean" in features else first)

    def sources(self, days: Mapping[date, str]) -> list[str]:
        """Select the partitions, given by day, that may hold readings of these windows, in order."""
        from_day = (EPOCH + max(self.read_from_us, _FIRST_US) * MICROSECOND).date()
        to_day = (EPOCH + (self.end_us - 1) * MICROSECOND).date()
        return [key for day, key in sorted(days.items()) if from_day <= day <= to_day]


def window_days(days: Iterable[date], window: timedelta) -> list[date]:
    """Return the days on which windows of these readings start; earlier ones for windows across midnight."""
    reach = -(-window // DAY) if DAY % window else 0
    return sorted({day - n * DAY for day in days for n in range(reach + 1) if day - date.min >= n * DAY})
