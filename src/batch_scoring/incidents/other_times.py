"""Tell what is unusual for the time from what the machine never did: it read the same at another time.

A machine that stands still on a Tuesday, or whose shifts moved with the clocks, is unusual at that hour, and
reads in all its sensors as it did some other time of the week before. A fault does not: one sensor leaves the
others. And where a counter begins again, somebody was at the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, EPOCH, HOUR_US, MICROSECOND, microseconds
from batch_scoring.incidents.evidence import LEVEL_FROM
from batch_scoring.incidents.renames import Read, rises_only
from batch_scoring.incidents.silence import Gaps
from batch_scoring.incidents.sums import are_of_unit
from batch_scoring.tables.arrays import Bool, Float, Int
from batch_scoring.tables.arrow_arrays import are, as_rows, distinct, positions, to_arrow, to_numpy
from batch_scoring.tables.schemas import FLEET_EVENT, STAY

# What is explained counts a tenth: below anything unexplained of the same order of magnitude.
EXPLAINED = 0.1
_WEEK_US = 7 * DAY_US
# A window reads like another one where the mean and the spread of every sensor differ by a tenth of the range
# of that week at most; and so does more than half of an incident, of a hundred of its windows at most.
_ALIKE, _MAX_COMPARED = 0.1, 100
# What the machine does shows in the others: fewer that vary say nothing. The week has days of windows.
_LEAST_SENSORS, _LEAST_KNOWN_US = 3, 5 * DAY_US
# The worst rows are looked at, and the worst devices of an event: a person sees no more at once, and each
# costs the windows of a week.
MAX_EXPLAINED, MAX_DEVICES = 20, 5
# A value that does not change is not seen in its mean and spread.
_STUCK = "equal_run"
_RANGE = (0.01, 0.99)
# A counter that falls below this share of what it was begins again.
_AGAIN = 0.5


def explain(incidents: pa.Table, rows: pa.Table, gaps: Gaps, read: Read) -> dict[int, str]:
    """Return what explains rows of the list, by their number; of the worst only.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS with ``advice``.
    rows : pyarrow.Table
        Schema DEVICE_INCIDENTS.
    gaps : Gaps
        Of each series one is the last.
    read : callable
        See :func:`~batch_scoring.incidents.level_reading.windows_reader`.
    """
    chosen = _may_be_explained(rows)
    if not chosen.size:
        return {}
    some = list(as_rows(rows.take(to_arrow(chosen))))
    devices = [one["devices"][:MAX_DEVICES] for one in some]
    row = np.repeat(chosen, [len(names) for names in devices])
    names = pa.array([name for names in devices for name in names], pa.string())
    has_others = _has_others(names, gaps)
    if not has_others.any():
        return {}
    start, end = (to_numpy(rows[name])[row[has_others]] for name in ("start", "end"))
    windows = read(names.filter(to_arrow(has_others)).to_pylist(), start - _WEEK_US, end + HOUR_US)
    read_devices = distinct(windows["device"])
    of_windows = positions(windows["device"], read_devices)
    known = _Known.of(incidents)
    machines = {
        name: _Machine.of(windows.filter(to_arrow(of_windows == number)))
        for number, name in enumerate(read_devices.to_pylist())
    }
    found = {}
    for number, one, names in zip(chosen.tolist(), some, devices, strict=True):
        text = _explanation(one, names, known, machines)
        if text:
            found[number] = text
    return found


def _has_others(devices: pa.Array, gaps: Gaps) -> Bool:
    """Mark the devices with more than one sensor; no window of the others is read."""
    n_sensors = np.bincount(gaps.device[gaps.is_last], minlength=len(gaps.devices))
    place = positions(devices, gaps.devices)
    return (place >= 0) & (np.append(n_sensors, 0)[place] > 1)


def _explanation(
    row: dict[str, Any], devices: list[str], known: _Known, machines: dict[str, _Machine]
) -> str:
    """Return what explains more than half of the devices of a row of the list; empty where nothing does."""
    texts = []
    for device in devices:
        mine = known.within(row, device)
        # Of an event, one that sends another unit says nothing.
        if len(devices) > 1 and known.is_unit[mine].all():
            continue
        if known.is_never_usual[mine].any():
            return ""
        machine, spans = machines.get(device), known.spans[:, mine]
        text = machine.twin(spans, known.spans[:, known.device == device]) if machine else ""
        if machine and not text and row["kind"] == "anomaly" and row["state"] != "open":
            text = machine.restart(spans)
        texts.append(text)
    found = [text for text in texts if text]
    return found[0] if 2 * len(found) > len(texts) else ""


def _may_be_explained(rows: pa.Table) -> Int:
    """Return the rows to look at, the worst first."""
    priority = to_numpy(rows["priority"])
    may_be = (priority >= LEVEL_FROM[0]) & ~to_numpy(rows["warming_up"], null=False)
    may_be &= are(rows["kind"], "anomaly") | are(rows["kind"], FLEET_EVENT)
    chosen = np.flatnonzero(may_be & ~are(rows["top_feature"], _STUCK))
    return chosen[np.argsort(-priority[chosen], kind="stable")][:MAX_EXPLAINED]


@dataclass(frozen=True)
class _Known:
    """The incidents of all series, as arrays.

    Attributes
    ----------
    device, sensor : array of shape (n,), str
    spans : array of shape (2, n), int64
        Start and end, microseconds since the epoch.
    is_never_usual : array of shape (n,), bool
        Beyond a limit, or a stay that lasts too long: each of its windows was usual at another time.
    is_unit : array of shape (n,), bool
    """

    device: Any
    sensor: Any
    spans: Int
    is_never_usual: Bool
    is_unit: Bool

    @classmethod
    def of(cls, incidents: pa.Table) -> _Known:
        device, sensor = (np.array(incidents[name].to_pylist(), object) for name in ("device", "sensor"))
        spans = np.stack([to_numpy(incidents[name]) for name in ("start", "end")])
        is_beyond = to_numpy(incidents["beyond_limits"], null=False)
        is_never_usual = is_beyond | are(incidents["top_feature"], STAY)
        return cls(device, sensor, spans, is_never_usual, are_of_unit(incidents))

    def within(self, row: dict[str, Any], device: str) -> Int:
        """Return the incidents of a device that a row of the list was made of."""
        begin, end = (microseconds(row[name]) for name in ("start", "end"))
        inside = (self.spans[0] >= begin) & (self.spans[1] <= end) & (self.device == device)
        return np.flatnonzero(inside & np.isin(self.sensor, row["sensors"]))


@dataclass(frozen=True)
class _Machine:
    """The windows of a device, all sensors at once.

    Attributes
    ----------
    start : array of shape (n,), int64
        Sorted, microseconds since the epoch.
    values : array of shape (2, n, m), float64
        Mean and spread of each sensor; NaN where there is none.
    sensors : list of str, m
    """

    start: Int
    values: Float
    sensors: list[str]

    @classmethod
    def of(cls, windows: pa.Table) -> _Machine:
        """Read rows of the schema COMPARED of one device."""
        sensors = distinct(windows["sensor"])
        start, row = np.unique(to_numpy(windows["window_start"]), return_inverse=True)
        values = np.full((2, start.size, len(sensors)), np.nan)
        for number, name in enumerate(("mean", "std")):
            values[number, row, positions(windows["sensor"], sensors)] = to_numpy(windows[name], null=np.nan)
        return cls(start, values, sensors.to_pylist())

    def twin(self, spans: Int, known: Int) -> str:
        """Say when the machine read the same in the week before; empty where it did not.

        Parameters
        ----------
        spans : array of shape (2, k), int64
            From when to when it was unusual.
        known : array of shape (2, j), int64
            The same of all its incidents: a fault that comes again is none that was usual before.
        """
        begin = int(spans[0].min())
        is_before = (self.start >= begin - _WEEK_US) & (self.start < begin)
        before = np.flatnonzero(is_before & ~_within(self.start, known))
        now = np.flatnonzero(_within(self.start, spans))
        if not (before.size and now.size) or begin - self.start[before[0]] < _LEAST_KNOWN_US:
            return ""
        is_level = ~self._counters(before)
        if np.count_nonzero(is_level) < _LEAST_SENSORS:
            return ""
        if now.size > _MAX_COMPARED:
            now = now[np.linspace(0, now.size - 1, _MAX_COMPARED).astype(np.int64)]
        found = _alike(self.values[:, :, is_level], before, now)
        # Most incidents end here: what a sensor shows by itself takes longer.
        if 2 * found.size <= now.size:
            return ""
        if np.count_nonzero(is_level & _shows_more_than_noise(self.values[:, before])) < _LEAST_SENSORS:
            return ""
        moment = EPOCH + int(self.start[before[found[found.size // 2]]]) * MICROSECOND
        return f"unusual for the time only: all sensors read as on {moment:%Y-%m-%d %H:%M} UTC"

    def restart(self, spans: Int) -> str:
        """Say which counter begins again while it was unusual, or within an hour; empty where none does.

        One that did so in the week before, as every midnight, says nothing.
        """
        begin, end = int(spans[0].min()) - HOUR_US, int(spans[1].max()) + HOUR_US
        before = np.flatnonzero(self.start < begin)
        here = np.flatnonzero((self.start >= begin) & (self.start < end))
        falls = self._begins_again(here) & ~self._begins_again(before) & self._counters(before)
        names = [self.sensors[place] for place in np.flatnonzero(falls)]
        return f"{names[0]} begins again: somebody was at the machine" if names else ""

    def _begins_again(self, rows: Int) -> Bool:
        """Mark the sensors that fall below a share of what they were, shape (m,)."""
        level = self.values[0][rows]
        found: Bool = np.any(level[1:] < _AGAIN * level[:-1], 0)
        return found

    def _counters(self, rows: Int) -> Bool:
        """Mark the sensors that only rise, shape (m,)."""
        steps = np.diff(self.values[0][rows], axis=0)
        return rises_only(np.sum(steps > 0, 0), np.sum(steps < 0, 0))


def _within(time: Int, spans: Int) -> Bool:
    found = np.zeros(time.size, bool)
    for begin, end in spans.T.tolist():
        found[np.searchsorted(time, begin) : np.searchsorted(time, end)] = True
    return found


def _shows_more_than_noise(values: Float) -> Bool:
    """Mark the sensors that vary by more than from one window to the next, in mean or spread; shape (m,).

    A constant, and a value that only jitters, are the same whatever the machine does.
    """
    with np.errstate(all="ignore"):
        center = np.nansum(values, 1, keepdims=True) / np.isfinite(values).sum(1, keepdims=True)
        by_itself = np.nansum((values - center) ** 2, 1)
        found: Bool = np.any(np.nansum(np.diff(values, axis=1) ** 2, 1) < by_itself, 0)
    return found


def _quantiles(values: Float) -> Float:
    """Return the usual extremes of each row, shape (2, m); NaN without values."""
    order = np.sort(values, axis=1)
    last = np.maximum(np.isfinite(order).sum(1) - 1, 0)
    places = np.rint(np.multiply.outer(_RANGE, last)).astype(np.int64)
    return np.take_along_axis(order, places.T, 1).T


def _alike(values: Float, before: Int, now: Int) -> Int:
    """Find for each window the last earlier one that reads alike; none unless most windows have one.

    Parameters
    ----------
    values : array of shape (2, n, m), float64
        Mean and spread of each sensor.
    before, now : array of shape (k,) and (j,), int64
        Windows; what is returned are places in ``before``.
    """
    # Mean and spread of each sensor, one after the other; of a sensor in one piece.
    columns = np.ascontiguousarray(values[:, before].transpose(2, 0, 1)).reshape(-1, before.size)
    wanted = values[:, now].transpose(2, 0, 1).reshape(-1, now.size)
    found: list[int] = []
    with np.errstate(all="ignore"):
        low, high = _quantiles(columns)
        margin = _ALIKE * (high - low)
        for n, one in enumerate(wanted.T):
            # The rest would not make it most of them.
            if 2 * (len(found) + now.size - n) <= now.size:
                return np.zeros(0, np.int64)
            rows = np.arange(before.size)
            for column, value, most in zip(columns, one, margin, strict=True):
                there = column[rows]
                # What is missing is like what is missing.
                is_like = np.isnan(there) if np.isnan(value) else np.abs(there - value) <= most
                rows = rows[is_like]
                if not rows.size:
                    break
            found += rows[-1:].tolist()
    return np.array(found, np.int64)
