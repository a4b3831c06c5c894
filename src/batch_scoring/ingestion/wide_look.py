"""Look through Parquet files with a column a sensor: is there anything to decide, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, microseconds
from batch_scoring.ingestion.plain_columns import YEAR_US
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.sql import TOO_LARGE
from batch_scoring.ingestion.wide_pieces import Layout, Piece, numbers, read_cells, read_keys
from batch_scoring.tables.arrays import Bool, Int


@dataclass(frozen=True)
class Chunk:
    """Rows that are sorted together, and their first and last time."""

    pieces: list[Piece]
    first: int
    last: int


class Look:
    """What a look through all chunks finds; each is read once for it."""

    def __init__(self, layout: Layout, settings: IngestSettings, latest: datetime, most: int) -> None:
        self._layout, self._ranges, self._most = layout, settings.ranges, most
        self._earliest, self._latest = microseconds(settings.min_time), microseconds(latest)
        self.n_rows: dict[int, int] = {}
        self.n_missing: dict[int, int] = {}
        self.sensors: set[str] = set()
        self.devices: dict[str, int] = {}
        self.days: set[int] = set()
        self.first, self.last = self._latest, self._earliest
        self._has_empty = self._has_gap = False
        self._series: list[tuple[Int, Int, Int]] = []

    def chunk(self, pieces: Sequence[tuple[Piece, int]]) -> Chunk | None:
        """Look through row groups, with the rows of each; None where they are not plain."""
        some = [piece for piece, _ in pieces]
        keys = read_keys(some, self._layout)
        if keys.time.min() < self._earliest or keys.time.max() > self._latest:
            return None
        order = np.lexsort((keys.time, keys.device))
        time, device = keys.time[order], keys.device[order]
        is_next = device[1:] == device[:-1]
        if (is_next & (time[1:] == time[:-1])).any():
            return None
        self._has_gap |= bool((is_next & (np.diff(time) > YEAR_US)).any())
        begins = np.flatnonzero(np.append(True, ~is_next))
        ends = np.append(begins[1:], time.size) - 1
        codes = np.array([self.devices.setdefault(name, len(self.devices)) for name in keys.names])
        self._series.append((codes[device[begins]], time[begins], time[ends]))
        is_used = self._cells(pieces)
        if is_used is None:
            return None
        if is_used.any():
            used = keys.time[is_used]
            self.days |= set(np.unique(used // DAY_US).tolist())
            self.first, self.last = min(self.first, int(used.min())), max(self.last, int(used.max()))
        return Chunk(some, int(keys.time.min()), int(keys.time.max()))

    def _cells(self, pieces: Sequence[tuple[Piece, int]]) -> Bool | None:
        """Return which rows have a value, shape (n,); None where a value is to be refused."""
        bounds = np.cumsum([0, *(n for _, n in pieces)])
        is_used = np.zeros(bounds[-1], np.bool_)
        names = list(self._layout.sensors)
        at_once = max(1, self._most // max(is_used.size, 1))
        for place in range(0, len(names), at_once):
            some = names[place : place + at_once]
            cells = read_cells([piece for piece, _ in pieces], [self._layout.sensors[name] for name in some])
            for name in some:
                column = cells[self._layout.sensors[name]]
                values = numbers(column)
                low, high = self._ranges.get(name, (-np.inf, np.inf))
                is_number = np.abs(values) < TOO_LARGE
                if not is_number.all():
                    if not np.isnan(values[~is_number]).all():
                        return None
                    self._has_empty = True
                within = values[is_number] if self._ranges else values[:0]
                if ((within < low) | (within > high)).any():
                    return None
                is_used |= is_number
                if is_number.any():
                    self.sensors.add(name)
                self._count(pieces, bounds, column, is_number)
        return is_used

    def _count(
        self, pieces: Sequence[tuple[Piece, int]], bounds: Int, column: pa.ChunkedArray, is_number: Bool
    ) -> None:
        """Count the cells of a column by file: an empty one is no row, NaN is a row without a value."""
        for (piece, n), start in zip(pieces, bounds[:-1].tolist(), strict=True):
            stated = n - column.slice(start, n).null_count
            missing = stated - int(np.count_nonzero(is_number[start : start + n]))
            self.n_rows[piece.number] = self.n_rows.get(piece.number, 0) + stated
            self.n_missing[piece.number] = self.n_missing.get(piece.number, 0) + missing

    def is_settled(self) -> bool:
        """Whether no two chunks may have one reading, and no time may be that of a clock that was not set."""
        device, low, high = (np.concatenate(part) for part in zip(*self._series, strict=True))
        order = np.lexsort((low, device))
        device, low, high = device[order], low[order], high[order]
        is_next = device[1:] == device[:-1]
        if (is_next & (low[1:] <= high[:-1])).any():
            return False
        if self.last - self.first <= YEAR_US:
            return True
        begins = low[np.append(True, ~is_next)]
        has_gap = self._has_gap or bool((is_next & (low[1:] - high[:-1] > YEAR_US)).any())
        # A device may have gaps of its own where it has no value, which staging looks at.
        return not (has_gap or self._has_empty or begins.max() - begins.min() > YEAR_US)
