"""Find what begins on many devices of a sensor at once: one event of the fleet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from batch_scoring.incidents.evidence import for_how_long, for_how_many
from batch_scoring.incidents.silence import Gaps
from batch_scoring.incidents.sums import sum_up, with_priority
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import constant, distinct, empty_table, positions, to_numpy
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, FLEET_EVENT

# An event of the fleet is one that begins on this share of a sensor's devices, and on five of them; or on
# half of a small fleet, and on three of them.
SHARE_OF_FLEET, MIN_DEVICES = 0.2, 5
SHARE_OF_SMALL_FLEET, MIN_OF_SMALL_FLEET = 0.5, 3


def at_once(incidents: pa.Table, slack_us: int) -> int:
    """Return how far apart the starts of what begins at once may be, microseconds.

    Of windows longer than the slack, one may see in the window before what the others see in the next.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS: the shortest by its windows shows how long these are.
    slack_us : int
        The least that is returned.
    """
    n_windows = to_numpy(incidents["n_windows"], null=0)
    lengths = (to_numpy(incidents["end"]) - to_numpy(incidents["start"]))[n_windows > 0]
    return max(slack_us, int((lengths // n_windows[n_windows > 0]).min())) if lengths.size else slack_us


def are_in_events(incidents: pa.Table, known: Gaps, slack_us: int) -> Bool:
    """Mark the incidents that begin on many devices of a sensor within the slack, shape (n,).

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS; those of a series begin further apart than the slack.
    known : Gaps
        Show how many devices a sensor has.
    slack_us : int
        Microseconds.
    """
    n = incidents.num_rows
    if n == 0:
        return np.zeros(0, bool)
    sensors = distinct(incidents["sensor"])
    sensor, start = positions(incidents["sensor"], sensors), to_numpy(incidents["start"])
    order = np.lexsort((start, sensor))
    sensor, start = sensor[order], start[order]
    n_devices = _count_there(positions(sensors, known.sensors)[sensor], start, known)
    of_large = np.maximum(np.ceil(SHARE_OF_FLEET * n_devices), MIN_DEVICES)
    of_small = np.maximum(np.ceil(SHARE_OF_SMALL_FLEET * n_devices), MIN_OF_SMALL_FLEET)
    # Where nothing is known of the devices, the fleet is not taken for a small one.
    least = np.where(n_devices > 0, np.minimum(of_large, of_small), of_large)
    # An incident of a device begins later after its last one than the slack: so each counts a device.
    places = np.arange(n)
    ends = _count_until(sensor, start, slack_us)
    is_dense = ends - places >= least
    change = np.zeros(n + 1, np.int64)
    np.add.at(change, places[is_dense], 1)
    np.add.at(change, ends[is_dense], -1)
    is_in = np.zeros(n, bool)
    is_in[order] = np.cumsum(change)[:-1] > 0
    return is_in


def events_of_fleet(incidents: pa.Table, slack_us: int) -> pa.Table:
    """Join the incidents of each event, of all sensors; schema DEVICE_INCIDENTS.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS with ``advice``: the members of an event.
    slack_us : int
        Those that begin at most this much after another one are of one event, microseconds.
    """
    if incidents.num_rows == 0:
        return empty_table(DEVICE_INCIDENTS)
    incidents = incidents.sort_by([("start", "ascending"), ("device", "ascending"), ("sensor", "ascending")])
    start = to_numpy(incidents["start"])
    group = np.cumsum(np.append(False, np.diff(start) > slack_us))
    rows = sum_up(incidents, group, FLEET_EVENT)
    many = for_how_many(to_numpy(rows["n_devices"]))
    long = for_how_long(to_numpy(rows["end"]) - to_numpy(rows["start"]))
    nobody = constant("", rows.num_rows)
    return with_priority(rows, device=nobody, priority=to_numpy(rows["priority"]) * many * long)


def _count_until(sensor: Int, start: Int, slack_us: int) -> Int:
    """Return the first row of each sensor that begins later than the slack after each row."""
    times = np.unique(np.concatenate([start, start + slack_us]), return_inverse=True)[1]
    begin, until = times[: start.size] + sensor * times.size, times[start.size :] + sensor * times.size
    ends: Int = np.searchsorted(begin, until, "right")
    return ends


def _count_there(sensor: Int, start: Int, known: Gaps) -> Int:
    """Count the devices of a sensor of ``known`` that had a window by then, shape (n,): new ones are none."""
    of, first = known.sensor[known.is_last], known.first[known.is_last]
    times, place = np.unique(np.concatenate([first, start]), return_inverse=True)
    begin = np.sort(of * times.size + place[: first.size])
    low = sensor * times.size
    found: Int = np.searchsorted(begin, low + place[first.size :], "right") - np.searchsorted(begin, low)
    return np.where(sensor >= 0, found, 0)
