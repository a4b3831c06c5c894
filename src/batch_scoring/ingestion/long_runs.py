"""Read files with a measurement a row that memory does not hold, where nothing is to be decided.

Some row groups at a time are sorted and written to a temporary file, then all of these are read in step, as
:mod:`~batch_scoring.ingestion.sorted_runs` does it. A row takes 24 bytes on the disk, and is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US
from batch_scoring.core.prefetch import prefetched
from batch_scoring.core.progress import watch_progress
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.long_files import LongFile, are_clean
from batch_scoring.ingestion.numbered_ids import Ids, Ranks
from batch_scoring.ingestion.plain_columns import YEAR_US
from batch_scoring.ingestion.plain_rows import READINGS_KEY, PlainRows, holds_one_of
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.sorted_runs import Piece, Run, cut, read_piece, write_run
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrays import Float, Int
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import READINGS

# Rows that are sorted together. With more, the C library would give each array back to the system, and it is
# slow to get fresh memory.
RUN_ROWS = 1_000_000
# Rows that are compared with the table at once, of 16 bytes.
_COMPARED_ROWS = 16_000_000
# A series has one number: that of its sensor, and in the lower bits that of its device.
_DEVICE_BITS = 32
_DEVICE_MASK = (1 << _DEVICE_BITS) - 1


@dataclass(frozen=True)
class Order:
    """The order of series: by sensor, then by device."""

    sensors: Ranks
    devices: Ranks

    def ranks(self, series: Int) -> Int:
        """Return the ranks of some numbers of series, shape (n,)."""
        sensor = self.sensors.of_number[series >> _DEVICE_BITS]
        found: Int = (sensor << _DEVICE_BITS) | self.devices.of_number[series & _DEVICE_MASK]
        return found

    def sort(self, piece: Piece) -> tuple[Int, Int, Float]:
        """Read a piece; returns the ranks of the series, times and values, in order; each of shape (n,)."""
        series, time, value = read_piece(piece)
        rank = self.ranks(series)
        order = np.lexsort((time, rank))
        return rank[order], time[order], value[order]

    def table(self, piece: Piece) -> pa.Table:
        """Read a piece in order; columns of the schema READINGS, with ids as dictionaries."""
        rank, time, value = self.sort(piece)
        columns = {
            "timestamp": to_arrow(time).cast(READINGS.field("timestamp").type),
            "sensor": _dictionary(rank >> _DEVICE_BITS, self.sensors.names),
            "device": _dictionary(rank & _DEVICE_MASK, self.devices.names),
            "value": to_arrow(value),
        }
        return pa.table({name: columns[name] for name in READINGS.names})


@dataclass(frozen=True)
class RunRows(PlainRows):
    """The rows of plain files with a measurement a row, in runs on the disk.

    Attributes
    ----------
    pieces : list of list of Piece
        Of each day or month, in order.
    order : Order
    """

    pieces: list[list[Piece]]
    order: Order

    def parts(self) -> Iterator[Iterator[pa.Table]]:
        """Yield the rows in order, a part a day or month; schema READINGS."""
        done = 0

        def counted(pieces: Iterable[Piece]) -> Iterator[pa.Table]:
            nonlocal done
            for table in prefetched(map(self.order.table, pieces)):
                for rows in _slices(table):
                    yield rows
                    done += rows.num_rows

        with watch_progress("ingest: storing", self.n_readings, "readings", lambda: done):
            for pieces in self.pieces:
                yield counted(pieces)

    def may_be_in(self, table: RowTable) -> bool:
        """Whether a table may hold a reading of the same series and time as one of these rows."""
        if not table.files(self.first, self.last + 1, self.staged_ids("sensor")):
            return False
        pieces = [piece for pieces in self.pieces for piece in pieces]
        return any(self._are_in(table, some) for some in _together(pieces, _COMPARED_ROWS))

    def _are_in(self, table: RowTable, pieces: Sequence[Piece]) -> bool:
        times, mine = [], []
        for rows in map(self.order.table, pieces):
            times.append(to_numpy(rows["timestamp"]).copy())  # without the rest of the rows
            mine += [row_fingerprints(some, READINGS_KEY) for some in _slices(rows)]
        time = np.concatenate(times)
        files = table.files(int(time.min()), int(time.max()) + 1, self.staged_ids("sensor"))
        return bool(files) and holds_one_of(table, files, np.concatenate(mine), time, READINGS_KEY)

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the rows."""
        return set((self.order.devices if kind == "device" else self.order.sensors).names.to_pylist())


def rows_in_runs(
    files: Sequence[LongFile], settings: IngestSettings, latest: datetime, most: int, stack: ExitStack
) -> RunRows | None:
    """Sort the rows of files in runs on the disk.

    Parameters
    ----------
    files : sequence of LongFile
    settings : IngestSettings
    latest : datetime
        Readings after it are in the future.
    most : int
        Rows that may be held in memory.
    stack : ExitStack
        Until it is closed, the runs are there.

    Returns
    -------
    RunRows or None
        None where a row may be refused or is stated twice, a row group is too large for memory, or the rows
        are of more than a year: a time may be that of a clock that was not set.
    """
    if max(n for file in files for n in file.groups) > most:
        return None
    days = _days(files)
    if days is None:
        return None
    n_rows = {number: file.n_rows for number, file in enumerate(files)}
    by_month = has_sparse_days(len(days), sum(n_rows.values()))
    with ExitStack() as until_found:
        folder = until_found.enter_context(scratch_folder(settings.temp_directory))
        sensors, devices = Ids(), Ids()
        runs: list[Run] = []
        done = 0
        with watch_progress("ingest: reading", sum(n_rows.values()), "readings", lambda: done):
            as_texts = all(file.has_many_devices for file in files)
            for rows in prefetched(_read(some, as_texts) for some in _row_groups(files)):
                run = _write_run(
                    folder / f"{len(runs)}", rows, settings, latest, by_month, (sensors, devices)
                )
                if run is None:
                    return None
                runs.append(run)
                done += rows.num_rows
        order = Order(Ranks(sensors), Ranks(devices))
        pieces = cut(runs, order.ranks, RUN_ROWS)
        if not _are_apart(runs) and any(_has_repeated(order, piece) for some in pieces for piece in some):
            return None
        stack.push(until_found.pop_all())
    return RunRows(
        n_rows=n_rows,
        n_missing={},
        first=min(run.first for run in runs),
        last=max(run.last for run in runs),
        by_month=by_month,
        pieces=pieces,
        order=order,
    )


def _days(files: Sequence[LongFile]) -> set[int] | None:
    """Return the days of all rows, since 1970; None where a time is missing, or they are of over a year."""
    days: set[int] = set()
    for file in files:
        for group, n in enumerate(file.groups):
            time = file.times(group)
            if time.null_count:
                return None
            if n:
                day = to_numpy(time) // DAY_US
                first = int(day.min())
                if (int(day.max()) - first) * DAY_US >= YEAR_US:
                    return None
                days |= {first + one for one in np.flatnonzero(np.bincount(day - first)).tolist()}
    return days if (max(days) - min(days)) * DAY_US < YEAR_US else None


def _row_groups(files: Sequence[LongFile]) -> Iterator[list[tuple[LongFile, list[int]]]]:
    """Yield row groups that are sorted together, file by file."""
    held: list[tuple[LongFile, list[int]]] = []
    n_held = 0
    for file in files:
        for group, n in enumerate(file.groups):
            if n_held and n_held + n > RUN_ROWS:
                yield held
                held, n_held = [], 0
            if held and held[-1][0] is file:
                held[-1][1].append(group)
            elif n:
                held.append((file, [group]))
            n_held += n
    if n_held:
        yield held


def _read(groups: Sequence[tuple[LongFile, list[int]]], as_texts: bool) -> pa.Table:
    tables = [file.read(some, as_texts) for file, some in groups]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _write_run(
    path: Path,
    rows: pa.Table,
    settings: IngestSettings,
    latest: datetime,
    by_month: bool,
    ids: tuple[Ids, Ids],
) -> Run | None:
    """Sort rows and write them to the disk; None where one may be refused or is stated twice."""
    sensor, device = (one.look_up(rows[name]) for one, name in zip(ids, ("sensor", "device"), strict=True))
    if sensor is None or device is None or not are_clean(rows, settings, latest):
        return None
    series, rank = ((major << _DEVICE_BITS) | minor for major, minor in zip(sensor, device, strict=True))
    time = to_numpy(rows["timestamp"])
    period = time.astype("M8[us]").astype("M8[M]").astype(np.int64) if by_month else time // DAY_US
    order = np.lexsort((time, rank, period) if np.ptp(period) else (time, rank))
    rank, time = rank[order], time[order]
    if ((rank[1:] == rank[:-1]) & (time[1:] == time[:-1])).any():
        return None
    return write_run(path, series[order], time, to_numpy(rows["value"])[order], period[order])


def _are_apart(runs: Sequence[Run]) -> bool:
    """Whether no two runs have rows of one time."""
    in_turn = sorted((run.first, run.last) for run in runs)
    return all(last < first for (_, last), (first, _) in pairwise(in_turn))


def _has_repeated(order: Order, piece: Piece) -> bool:
    """Whether two rows of a piece are of one series and time."""
    rank, time, _ = order.sort(piece)
    return bool(((rank[1:] == rank[:-1]) & (time[1:] == time[:-1])).any())


def _together(pieces: Sequence[Piece], most: int) -> Iterator[list[Piece]]:
    """Yield pieces of about ``most`` rows in all."""
    held: list[Piece] = []
    for piece in pieces:
        held.append(piece)
        if sum(part.n_rows for one in held for part in one) >= most:
            yield held
            held = []
    if held:
        yield held


def _slices(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, ROW_GROUP_ROWS):
        yield rows.slice(start, ROW_GROUP_ROWS).cast(READINGS)


def _dictionary(places: Int, names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(to_arrow(places.astype(np.int32)), names)
