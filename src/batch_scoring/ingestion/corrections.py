"""Take stored readings back: of a device or a range, for good or for those of a file.

What was made of them goes as well: windows and predictions of windows without a reading. The others are made
again by the next run, as those of late readings are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import DAY_US, EPOCH
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable, Update
from batch_scoring.storage.upsert import rows_without
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import are, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import READINGS

_READING = ("sensor", "device", "timestamp")
_FOREVER = 2**61
# No window is longer.
_LONG = 400 * DAY_US
_WINDOW = ("sensor", "device", "window_start", "window_end")


@dataclass(frozen=True)
class ReadingRange:
    """Readings of a device, of one sensor or all, with times in ``[start, end)``.

    Attributes
    ----------
    device : str
    sensor : str or None
    start, end : int or None
        Microseconds since the epoch; None is all time.
    """

    device: str
    sensor: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Corrected(ReadingRange):
    """Readings to take back.

    Attributes
    ----------
    removed : dict of str to int
        Rows that each table has lost, by the name that was given.
    """

    removed: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the device."""
        return self.sensor is None and self.start is None and self.end is None

    def erased(self, name: str) -> Update:
        """Return the update of the readings that removes these."""
        return lambda table: self._without(name, table, self._files(table), _READING, self._has, "ingest")

    def replaced(self, name: str, new: NewReadings) -> Update:
        """Return the update of the readings that stores new ones in place of these.

        Parameters
        ----------
        name : str
        new : NewReadings
            Of this device and sensor and these times only; equal ones stay as they are.
        """

        def update(table: RowTable) -> Change:
            def rewritten() -> Iterator[tuple[DataFile, Iterable[pa.Table]]]:
                kept = row_fingerprints(new.kept(), _READING)

                def is_old(rows: pa.Table) -> Bool:
                    return self._has(rows) & ~np.isin(row_fingerprints(rows, _READING), kept)

                yield from self._rewritten(name, table, self._files(table), _READING, is_old)

            rows = new.rows_not_in(table)
            return Change(READINGS, rows, guard="ingest", rewritten=rewritten, by_month=new.rows.by_month)

        return update

    def unfounded(self, name: str, readings: RowTable, guard: str) -> Update:
        """Return the update of windows, or predictions, that removes those without a reading.

        Parameters
        ----------
        name : str
        readings : RowTable
            After these readings were removed or replaced.
        guard : str
            What the step that writes the table claims.
        """

        def update(table: RowTable) -> Change | None:
            times = self._times(readings)

            def is_unfounded(rows: pa.Table) -> Bool:
                start, end = to_numpy(rows["window_start"]), to_numpy(rows["window_end"])
                low, high = self._limits()
                found = self._of_device(rows) & (end > low) & (start < high)
                for sensor, its_times in times.items():
                    n = np.searchsorted(its_times, end) - np.searchsorted(its_times, start)
                    found &= ~(are(rows["sensor"], sensor) & (n > 0))
                return found

            return self._without(name, table, self._files(table, _LONG), _WINDOW, is_unfounded, guard)

        return update

    def erased_device(self, name: str) -> Update:
        """Return the update of any table that removes the rows of the device."""

        def update(table: RowTable) -> Change | None:
            if "device" in table.schema.names:
                files = [file for file in table.files() if file.may_have("device", {self.device})]
                return self._without(name, table, files, ("device",), self._of_device)
            if "devices" in table.schema.names:
                return self._without(name, table, table.files(), ("devices",), self._names_device)
            return None

        return update

    def _without(
        self,
        name: str,
        table: RowTable,
        files: Iterable[DataFile],
        columns: tuple[str, ...],
        is_gone: Callable[[pa.Table], Bool],
        guard: str = "",
    ) -> Change | None:
        rewritten = list(self._rewritten(name, table, files, columns, is_gone))
        if not rewritten:
            return None
        days = {day for file, _ in rewritten for day in _days(file)} if table.time else set()
        return Change(table.schema, (), guard=guard or (), rewritten=lambda: rewritten, days=days)

    def _rewritten(
        self,
        name: str,
        table: RowTable,
        files: Iterable[DataFile],
        columns: tuple[str, ...],
        is_gone: Callable[[pa.Table], Bool],
    ) -> Iterator[tuple[DataFile, Iterable[pa.Table]]]:
        """Yield the files that lose rows, each with the rows that stay, and count what they lose."""
        self.removed[name] = 0
        for file in files:
            mask = np.concatenate([np.zeros(0, bool), *map(is_gone, table.batches(file, columns))])
            if mask.any():
                self.removed[name] += int(mask.sum())
                yield file, rows_without(table, file, mask)

    def _limits(self) -> tuple[int, int]:
        return -_FOREVER if self.start is None else self.start, _FOREVER if self.end is None else self.end

    def _files(self, table: RowTable, around: int = 0) -> list[DataFile]:
        """List the files that may hold such rows, or rows as near as that many microseconds."""
        low, high = self._limits()
        sensors = None if self.sensor is None else {self.sensor}
        return table.files(low - around, high + around, sensors, {self.device})

    def _of_device(self, rows: pa.Table) -> Bool:
        found = are(rows["device"], self.device)
        return found if self.sensor is None else found & are(rows["sensor"], self.sensor)

    def _names_device(self, rows: pa.Table) -> Bool:
        lists = rows["devices"].combine_chunks()
        found = np.zeros(rows.num_rows, bool)
        found[to_numpy(pc.list_parent_indices(lists))[are(lists.flatten(), self.device)]] = True
        return found

    def _has(self, rows: pa.Table) -> Bool:
        time, (low, high) = to_numpy(rows["timestamp"]), self._limits()
        return self._of_device(rows) & (time >= low) & (time < high)

    def _times(self, readings: RowTable) -> dict[str, Int]:
        """Return the times of readings that windows of these times may hold, by sensor, sorted."""
        found: dict[str, list[Int]] = {}
        for file in self._files(readings, _LONG):
            for rows in readings.batches(file, _READING):
                its_own = rows.filter(to_arrow(self._of_device(rows)))
                for sensor in its_own["sensor"].unique().to_pylist():
                    of_sensor = its_own.filter(to_arrow(are(its_own["sensor"], sensor)))
                    found.setdefault(sensor, []).append(to_numpy(of_sensor["timestamp"]))
        return {sensor: np.sort(np.concatenate(times)) for sensor, times in found.items()}


def _days(file: DataFile) -> Iterator[date]:
    for day in range(file.first // DAY_US, file.last // DAY_US + 1):
        yield (EPOCH + timedelta(days=day)).date()
