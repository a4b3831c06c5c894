"""Draw outages of devices: gaps, whose readings are lost, and broken links, whose readings come late."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from batch_scoring.simulation.faults import Faults, schedule_faults
from batch_scoring.simulation.settings import Simulation

GAP_HOURS = (5 / 60, 6.0)  # shortest and longest; drawn evenly on a logarithmic scale
LATE_BEGINS_BEFORE_MIDNIGHT_HOURS = 4
LATE_ENDS_AFTER_MIDNIGHT_HOURS = 1

_GAPS, _LATE = 3, 4  # the purposes of the random numbers drawn here; see Simulation.generator


@dataclass(frozen=True)
class Outages:
    """Times when devices could not send, at most one a device and day.

    Attributes
    ----------
    device : int64 array
        Positions among all devices of the fleet, ascending.
    first, last : int64 arrays
        Grid cells, half-open: ``[first, last)``.
    """

    device: np.ndarray
    first: np.ndarray
    last: np.ndarray


_NONE = Outages(*np.zeros((3, 0), np.int64))


@lru_cache(maxsize=8)
def gaps_of_day(simulation: Simulation, day: int) -> Outages:
    """Draw the gaps that begin on this day (from 0); none before the first day.

    A gap that begins late in the day goes on after midnight.
    """
    if day < 0:
        return _NONE
    u = simulation.generator(_GAPS, day).random((simulation.devices, 3))
    device = np.flatnonzero(u[:, 0] < simulation.gaps_per_device_day)
    first = ((day + u[device, 1]) * simulation.readings_per_day).astype(np.int64)
    shortest, longest = map(math.log, GAP_HOURS)
    hours = np.exp(shortest + (longest - shortest) * u[device, 2])
    length = np.ceil(hours / simulation.interval_hours).astype(np.int64)
    return Outages(device, first, first + length)


@lru_cache(maxsize=8)
def late_of_day(simulation: Simulation, day: int) -> Outages:
    """Draw the links that break on the evening of this day (from 0) and recover after midnight.

    What the device measured meanwhile, ``[first, last)``, arrives when the link is back, at the
    grid cell ``last``. None on the last day, which no file follows.
    """
    if not 0 <= day < simulation.days - 1:
        return _NONE
    per_hour = 1 / simulation.interval_hours
    midnight = (day + 1) * simulation.readings_per_day
    u = simulation.generator(_LATE, day).random((simulation.devices, 3))
    device = np.flatnonzero(u[:, 0] < simulation.late_per_device_day)
    first = midnight - (u[device, 1] * LATE_BEGINS_BEFORE_MIDNIGHT_HOURS * per_hour).astype(np.int64)
    last = midnight + (u[device, 2] * LATE_ENDS_AFTER_MIDNIGHT_HOURS * per_hour).astype(np.int64)
    return Outages(device, first, last)


def late_slices(simulation: Simulation) -> int:
    """Return how many slices of a day, from its end, a broken link may cover."""
    return min(simulation.slices_per_day, LATE_BEGINS_BEFORE_MIDNIGHT_HOURS)


def gap_mask(simulation: Simulation, day: int, devices: np.ndarray, first: int, last: int) -> np.ndarray:
    """Mark gaps of devices in grid cells ``[first, last)`` of a day; see :func:`outage_mask`."""
    # No gap is longer than a day, so those of yesterday and today are all.
    faults = schedule_faults(simulation)
    gaps = [away_from_faults(gaps_of_day(simulation, one), faults) for one in (day - 1, day)]
    mask: np.ndarray = np.logical_or(*(outage_mask(one, devices, first, last) for one in gaps))
    return mask


def away_from_faults(gaps: Outages, faults: Faults) -> Outages:
    """Drop the gaps of a device during its faults: an unobserved fault tests nothing."""
    keep = np.ones(len(gaps.device), bool)
    # Gaps of one day against the faults of as many days as there are: small, and sorted by device.
    begin, end = (np.searchsorted(faults.device, gaps.device, side) for side in ("left", "right"))
    gap = np.repeat(np.arange(len(keep)), end - begin)
    offset = np.cumsum(end - begin) - (end - begin)
    fault = np.arange(len(gap)) - np.repeat(offset, end - begin) + np.repeat(begin, end - begin)
    hidden = (gaps.first[gap] < faults.last[fault]) & (faults.first[fault] < gaps.last[gap])
    keep[gap[hidden]] = False
    return Outages(gaps.device[keep], gaps.first[keep], gaps.last[keep])


def outage_mask(outages: Outages, devices: np.ndarray, first: int, last: int) -> np.ndarray:
    """Mark outages of devices.

    Parameters
    ----------
    outages : Outages
        At most one a device.
    devices : int64 array of length n
        Positions in the fleet, ascending.
    first, last : int
        Grid cells, half-open.

    Returns
    -------
    bool array of shape (n, last - first)
    """
    known = np.isin(outages.device, devices)
    row = np.searchsorted(devices, outages.device[known])
    begin, end = (np.full(len(devices), first) for _ in range(2))
    begin[row], end[row] = outages.first[known], outages.last[known]
    cell = np.arange(first, last)
    return (cell >= begin[:, None]) & (cell < end[:, None])
