"""Compute when machines work, and how hard: shifts, pauses and weekends in local time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from batch_scoring.simulation.physics import WEEK_HOURS
from batch_scoring.tables.arrays import Float

PAUSE_LOAD = 0.3
RAMP_HOURS = 0.4

WEEKDAYS = range(5)
EVERY_DAY = range(7)


@dataclass(frozen=True)
class Shift:
    """A shift of some weekdays, with a pause in its middle.

    Attributes
    ----------
    begins, ends : float
        Hours of the local day; beyond 24 on the day after.
    days : sequence of int
        Monday is 0.
    pause_hours : float
        How long the machine idles in the middle of the shift.
    """

    begins: float
    ends: float
    days: Sequence[int] = WEEKDAYS
    pause_hours: float = 0.5

    def load(self, hour_of_week: Float) -> Float:
        """Compute the load, in shares of full load, of the same shape."""
        begins = np.array([24 * day + self.begins for day in self.days])
        into = ((hour_of_week[:, None] - begins) % WEEK_HOURS).min(axis=1)
        length = self.ends - self.begins
        pause = np.abs(into - length / 2) < self.pause_hours / 2
        return np.where(into < length, np.where(pause, PAUSE_LOAD, 1.0), 0.0)


def local_hour_of_week(start: datetime, n: int, interval_hours: float, zone: str) -> Float:
    """Compute the hours since Monday 00:00 by the clocks of a zone.

    Parameters
    ----------
    start : datetime
        UTC, on a full hour.
    n : int
        How many times, ``interval_hours`` apart.
    zone : str
        IANA name. Clocks change on a full hour of UTC.

    Returns
    -------
    array of shape (n,), float64
        From 0 to 168. An hour is left out in spring and comes twice in autumn.

    Examples
    --------
    >>> from datetime import UTC
    >>> local_hour_of_week(datetime(2026, 3, 29, tzinfo=UTC), 3, 1.0, "Europe/Berlin").tolist()
    [145.0, 147.0, 148.0]
    """
    since = np.arange(n) * interval_hours
    hours = [start + timedelta(hours=one) for one in range(int(since[-1]) + 1)]
    local = [one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for one in hours]
    at_hour = np.array([one.weekday() * 24 + one.hour + one.minute / 60 for one in local])
    whole = since.astype(np.int64)
    week: Float = (at_hour[whole] + since - whole) % WEEK_HOURS
    return week


def shift_load(shifts: Sequence[Shift], hour_of_week: Float, interval_hours: float) -> Float:
    """Compute the load of a machine that works these shifts, with ramps between them.

    Returns
    -------
    array of the shape of ``hour_of_week``, float64
        In shares of full load.
    """
    load = np.max([shift.load(hour_of_week) for shift in shifts], axis=0)
    width = max(1, round(RAMP_HOURS / interval_hours))
    padded = np.concatenate([np.repeat(load[:1], width), load])
    ramped: Float = np.convolve(padded, np.full(width, 1 / width))[width : width + len(load)]
    return ramped
