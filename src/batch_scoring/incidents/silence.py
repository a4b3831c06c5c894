"""Find silence: sensors, devices and sources that send nothing for longer than their rhythm explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.stretches import (
    deepest_stretches,
    expand,
    join_stretches,
    overlap,
    usual_length,
)
from batch_scoring.plant.devices import NOTHING_KNOWN, Devices
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, distinct, positions, to_arrow, to_numpy

# A gap is usual that is at most twice as long as the third longest of the last four weeks: what happens at
# night, or at weekends, is so after the third time, and a single outage never.
MEMORY_US, RANK, LAGS, TIMES_USUAL = 28 * DAY_US, 3, 60, 2
# A weekend is usual from the second on: where this share was silent a week before, too, it is no news. Nights
# that an outage holds are less.
WEEK_US, AS_A_WEEK_BEFORE = 7 * DAY_US, 0.75
# A series that is younger has not shown its rhythm.
YOUNG_US = 3 * DAY_US
# The source is silent when this share of three devices or more is.
SHARE_OF_SOURCE, MIN_DEVICES = 0.6, 3


# Owner, start and end.
_Stretches = tuple[Int, Int, Int]


@dataclass(frozen=True)
class SilenceRules:
    """When something that sends nothing is silent.

    Attributes
    ----------
    after_us : int
        A sensor is silent no earlier, while other sensors of its device send, microseconds; the source, too.
    device_after_us : int
        A device is silent no earlier, microseconds.
    """

    after_us: int
    device_after_us: int


@dataclass(frozen=True)
class Silences:
    """The silences of sensors, of devices or of the source.

    Attributes
    ----------
    sensor, device : array of shape (n,), int64
        Positions among the names; -1 for all.
    start, end : array of shape (n,), int64
        Microseconds since the epoch.
    is_open : array of shape (n,), bool
        Whether it lasts until now.
    decades : array of shape (n,), float64
        log10 of its length by the longest that would be usual; above 0.
    """

    sensor: Int
    device: Int
    start: Int
    end: Int
    is_open: Bool
    decades: Float


@dataclass(frozen=True)
class Gaps:
    """The gaps of a fleet, as arrays sorted by series and start.

    Attributes
    ----------
    sensors, devices : pyarrow.Array of string
        Names, sorted.
    sensor, device : array of shape (n,), int64
        Positions among the names.
    start, end : array of shape (n,), int64
        Microseconds since the epoch; ``end`` is ``now`` where nothing has come since.
    is_last : array of shape (n,), bool
    first : array of shape (n,), int64
        Start of the first window of the series.
    until : array of shape (n,), int64
        When the device of the series was retired, and ``now`` where it is in use.
    now : int
        End of the newest window of the fleet.
    """

    sensors: pa.Array
    devices: pa.Array
    sensor: Int
    device: Int
    start: Int
    end: Int
    is_last: Bool
    first: Int
    until: Int
    now: int

    @classmethod
    def of(cls, rows: pa.Table, known: Devices = NOTHING_KNOWN) -> Gaps:
        """Read rows of the schema GAPS, in any order; of each series one is the last."""
        sensors, devices = (distinct(rows[name]) for name in ("sensor", "device"))
        sensor, device = positions(rows["sensor"], sensors), positions(rows["device"], devices)
        start = to_numpy(rows["start"])
        order = np.lexsort((start, sensor, device))
        is_last = are(rows["state"], "last")[order]
        sensor, device, start = sensor[order], device[order], start[order]
        now = int(start[is_last].max(initial=0))
        until = np.minimum(known.gone_at(devices), now)[device]
        end = to_numpy(rows["end"], null=now)[order]
        end = np.where(is_last, np.maximum(np.minimum(end, until), start), end)
        # The last row of each series knows since when there is one.
        place = np.minimum(np.searchsorted(np.flatnonzero(is_last), np.arange(start.size)), is_last.sum() - 1)
        first = to_numpy(rows["first_start"], null=now)[order][is_last][place] if start.size else start
        return cls(sensors, devices, sensor, device, start, end, is_last, first, until, now)


def find_silences(gaps: Gaps, rules: SilenceRules, calendar: Calendar) -> list[Silences]:
    """Find the silences of the source, of devices and of sensors, in this order.

    A silence of the source is none of its devices, and one of a device is none of its sensors: what counts is
    the time in which others go on. Nor does the time count that the calendar leaves out.

    Parameters
    ----------
    gaps : Gaps
    rules : SilenceRules
    calendar : Calendar
    """
    series = gaps.device * max(len(gaps.sensors), 1) + gaps.sensor
    last = gaps.is_last
    lasting = gaps.end > gaps.start
    of_sensors = (series[lasting], gaps.start[lasting], gaps.end[lasting])
    born = gaps.device[last], np.minimum(gaps.first[last], gaps.until[last])
    of_devices = deepest_stretches(gaps.device[lasting], *of_sensors[1:], born, gaps.until[last], 1.0)
    first, until = np.full(len(gaps.devices), gaps.now), np.full(len(gaps.devices), gaps.now)
    np.minimum.at(first, born[0], born[1])
    until[gaps.device] = gaps.until
    first = np.minimum(first, until)
    none = (born[0][:0], born[0][:0], born[0][:0])
    of_source = none
    if first.size >= MIN_DEVICES:
        nobody = np.zeros(of_devices[0].size, np.int64), np.zeros(first.size, np.int64)
        of_source = deepest_stretches(nobody[0], *of_devices[1:], (nobody[1], first), until, SHARE_OF_SOURCE)
    oldest = np.full(of_source[0].size, first.min(initial=gaps.now))
    explained = _explained(gaps, of_source, of_devices, calendar)
    source = _judged(of_source, none, oldest, rules.after_us, gaps.now)
    devices = _judged(of_devices, explained[0], first[of_devices[0]], rules.device_after_us, gaps.now)
    sensors = _judged(of_sensors, explained[1], gaps.first[lasting], rules.after_us, gaps.now)
    everybody, found = np.full(1, -1), []
    for (keep, decades), stretches, sensor, device in (
        (source, of_source, everybody, everybody),
        (devices, of_devices, everybody, of_devices[0]),
        (sensors, of_sensors, gaps.sensor[lasting], gaps.device[lasting]),
    ):
        _, start, end = stretches
        of_sensor, of_device = (np.broadcast_to(one, start.shape)[keep] for one in (sensor, device))
        is_open = end[keep] >= gaps.now
        found.append(Silences(of_sensor, of_device, start[keep], end[keep], is_open, decades[keep]))
    return found


def _explained(
    gaps: Gaps, of_source: _Stretches, of_devices: _Stretches, calendar: Calendar
) -> tuple[_Stretches, _Stretches]:
    """Return when the silence of each device, and of each series, is another's or in the calendar."""
    since, n = int(gaps.start.min(initial=gaps.now)), len(gaps.devices)
    # Of a silent source, every device.
    everyone = np.repeat(np.arange(n), of_source[0].size), np.tile(of_source[1], n), np.tile(of_source[2], n)
    unjudged = calendar.stretches(gaps.devices, None, since, gaps.now)
    devices = _union(everyone, unjudged)
    # Of a silent device, every series.
    device, sensor = gaps.device[gaps.is_last], gaps.sensor[gaps.is_last]
    series = device * max(len(gaps.sensors), 1) + sensor
    first, until = (np.searchsorted(of_devices[0], device, side) for side in ("left", "right"))
    of, row = expand(first, until)
    silent = series[of], of_devices[1][row], of_devices[2][row]
    names = gaps.devices.take(to_arrow(device)), gaps.sensors.take(to_arrow(sensor))
    place, start, end = calendar.stretches(*names, since, gaps.now)
    of_series = (series[place], start, end)
    return devices, _union(silent, of_series)


def _union(some: _Stretches, others: _Stretches) -> _Stretches:
    owner, start, end = (np.concatenate([some[i], others[i]]) for i in range(3))
    return join_stretches(owner, start, end, 0)


def _judged(
    stretches: _Stretches, explained: _Stretches, first: Int, after_us: int, now: int
) -> tuple[Bool, Float]:
    """Mark the stretches that are silences; and log10 of their length by the longest usual one.

    What others explain of a stretch does not count: ``explained``, of the same owners. What was a silence
    stays one while it lasts: a weekend that follows does not explain it.
    """
    owner, start, end = stretches
    length = end - start - overlap(owner, start, end, explained)
    usual = usual_length(owner, start, end, length, MEMORY_US, RANK, LAGS)
    longest = np.maximum(after_us, TIMES_USUAL * usual)
    # What is longer than a week would explain itself.
    rows = end - start < WEEK_US
    before = owner[rows], start[rows] + WEEK_US, end[rows] + WEEK_US
    both = _union(explained, before)

    def are_silent(row: Int, until: Int) -> Bool:
        of_row = owner[row], start[row], until
        by_others = overlap(*of_row, explained)
        length = until - start[row] - by_others
        is_news = overlap(*of_row, both) - by_others < AS_A_WEEK_BEFORE * length
        found: Bool = (length > longest[row]) & (start - first >= YOUNG_US)[row] & is_news
        return found

    is_silent = are_silent(np.arange(owner.size), end)
    # The last stretch of an owner may last. Least of it is explained where a silence of a week before begins.
    lasts = np.flatnonzero(end >= now)
    row = np.append(lasts, -1)[np.searchsorted(owner[lasts], before[0])]
    is_inside = (row >= 0) & (owner[row] == before[0]) & (start[row] < before[1]) & (before[1] < now)
    row = row[is_inside]
    is_silent[row[are_silent(row, before[1][is_inside])]] = True
    return is_silent, np.log10(np.maximum(length, 1) / np.maximum(longest, 1))
