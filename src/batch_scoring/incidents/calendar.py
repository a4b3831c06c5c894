"""Times in which nothing is judged: maintenance and holidays, once or again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US
from batch_scoring.plant.devices import ALL, Devices, are_like
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import as_rows, empty_table, positions, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.local_time import local_us, utc_us
from batch_scoring.tables.schemas import CALENDAR, TIMESTAMP

_LONG_AGO = -(2**62)
PERIODS = {"day": DAY_US, "week": 7 * DAY_US}


@dataclass(frozen=True)
class Entry:
    """A row of the calendar; times in microseconds since the epoch, ``period`` 0 for once.

    One that comes again does so by the clocks of the zone: a day in which they change is longer or shorter.
    """

    device: str
    sensor: str
    start: int
    end: int
    period: int
    zone: str = "UTC"

    @cached_property
    def _local(self) -> tuple[int, int]:
        """When it begins by the clocks of the zone, and how long it lasts by them."""
        start, end = local_us(np.array([self.start, self.end]), self.zone).tolist()
        return start, end - start

    def mask(self, start: Int, end: Int) -> Bool:
        """Mark the windows that overlap it, shape (n,)."""
        if not self.period:
            return (start < self.end) & (end > self.start)
        begin, length = self._local
        phase = (local_us(start, self.zone) - begin) % self.period
        overlaps = (phase < length) | (phase + (end - start) > self.period)
        return overlaps & (end > self.start)

    def stretches(self, since: int, until: int) -> Iterator[tuple[int, int]]:
        """Yield its intervals that overlap ``[since, until)``."""
        if not self.period:
            if self.start < until and self.end > since:
                yield self.start, self.end
            return
        begin, length = self._local
        # A day more on either side: which clocks it is by is seen below.
        first, last = (
            -(-(time - begin) // self.period) for time in (since - length - DAY_US, until + DAY_US)
        )
        for n in range(max(first, 0), max(last, 0) + 1):
            local = begin + n * self.period
            start, end = utc_us(local, self.zone), utc_us(local + length, self.zone, is_later=True)
            if start < until and end > since:
                yield start, end


class _Times:
    """The entries of one pattern of devices and sensors: those of once together, since there may be many."""

    def __init__(self, entries: list[Entry]) -> None:
        self._again = [one for one in entries if one.period]
        once = sorted((one.start, one.end) for one in entries if not one.period)
        self._starts, ends = np.array(once, np.int64).reshape(-1, 2).T
        self._latest = np.maximum.accumulate(ends)

    def mask(self, start: Int, end: Int) -> Bool:
        """Mark the windows that overlap one of them, shape (n,)."""
        # Of the entries that begin before a window ends, one must end after it starts.
        n_begun = np.searchsorted(self._starts, end)
        found: Bool = np.append(_LONG_AGO, self._latest)[n_begun] > start
        for entry in self._again:
            found |= entry.mask(start, end)
        return found


class Calendar:
    """The entries of a calendar.

    Parameters
    ----------
    rows : pyarrow.Table, optional
        Schema CALENDAR.
    devices : Devices, optional
        A pattern of devices matches their other ids and their groups, too.
    """

    def __init__(self, rows: pa.Table | None = None, devices: Devices | None = None) -> None:
        rows = empty_table(CALENDAR) if rows is None else rows
        self._devices = devices or Devices()
        # Incidents that were joined by a calendar of UTC stay as they are.
        names = [one for one in CALENDAR.names if one != "zone" or rows["zone"].null_count < rows.num_rows]
        self.fingerprint: list[int] = sorted(row_fingerprints(rows, names).tolist())
        if self.fingerprint:
            self.fingerprint += self._devices.fingerprint
        moments = (to_numpy(rows[name]).tolist() for name in ("start", "end"))
        self.entries = [
            Entry(
                row["device"],
                row["sensor"],
                start,
                end,
                PERIODS.get(row["every"] or "", 0),
                row["zone"] or "UTC",
            )
            for row, start, end in zip(as_rows(rows), *moments, strict=True)
        ]
        by_names: dict[tuple[str, str], list[Entry]] = {}
        for entry in self.entries:
            by_names.setdefault((entry.device, entry.sensor), []).append(entry)
        self._times = {names: _Times(entries) for names, entries in by_names.items()}

    def mask(self, windows: pa.Table) -> Bool:
        """Mark the windows that are not judged, shape (n,); columns sensor, device, window_start and -end."""
        found = np.zeros(windows.num_rows, bool)
        if not self.entries or not windows.num_rows:
            return found
        start, end = to_numpy(windows["window_start"]), to_numpy(windows["window_end"])
        for times, rows in self._matches(windows):
            found[rows] |= times.mask(start[rows], end[rows])
        return found

    def without_windows(self, series: pa.Table) -> list[tuple[str, str]]:
        """List the pairs of names, device and sensor, that match none of some series."""
        matches = zip(self._times, self._matches(series), strict=True)
        return [names for names, (_, rows) in matches if not rows.size]

    def _matches(self, rows: pa.Table) -> Iterator[tuple[_Times, Int]]:
        """Yield the entries of each pair of names, and the rows that match, columns device and sensor."""
        names = {name: pc.unique(rows[name]) for name in ("device", "sensor")}
        number = {name: positions(rows[name], names[name]) for name in names}
        for (device, sensor), times in self._times.items():
            mine = self._devices.are_like(names["device"], device)[number["device"]]
            mine &= are_like(names["sensor"], sensor)[number["sensor"]]
            yield times, np.flatnonzero(mine)

    def mask_before(self, windows: pa.Table) -> Bool:
        """Mark the windows whose window before is not judged: what is a step from it says nothing."""
        start, end = to_numpy(windows["window_start"]), to_numpy(windows["window_end"])
        before = pa.table(
            {
                "device": windows["device"],
                "sensor": windows["sensor"],
                "window_start": to_arrow(2 * start - end).cast(TIMESTAMP),
                "window_end": windows["window_start"],
            }
        )
        return self.mask(before)

    def stretches(
        self, devices: pa.Array, sensors: pa.Array | None, since: int, until: int
    ) -> tuple[Int, Int, Int]:
        """Return the times of some devices, or of some series, in which nothing is judged.

        Parameters
        ----------
        devices : pyarrow.Array of string
        sensors : pyarrow.Array of string, optional
            As many; without them only entries of all sensors count.
        since, until : int

        Returns
        -------
        row, start, end : array of shape (n,), int64
            They may overlap.
        """
        found: list[tuple[Int, Int, Int]] = []
        for entry in self.entries:
            times = list(entry.stretches(since, until))
            if not times or (sensors is None and entry.sensor != ALL):
                continue
            mine = self._devices.are_like(devices, entry.device)
            if sensors is not None:
                mine &= are_like(sensors, entry.sensor)
            rows = np.flatnonzero(mine)
            for start, end in times:
                found.append((rows, np.full(rows.size, start), np.full(rows.size, end)))
        nothing = np.zeros(0, np.int64)
        rows, starts, ends = (np.concatenate([nothing, *(one[i] for one in found)]) for i in range(3))
        return rows, starts, ends
