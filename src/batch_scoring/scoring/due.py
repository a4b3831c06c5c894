"""Find the windows that are due: new, closed since the last run, or changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.moments import microseconds
from batch_scoring.scoring.marks import NEVER, Mark
from batch_scoring.scoring.scope import Scope
from batch_scoring.storage.row_table import DataFile, RowTable
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges
from batch_scoring.tables.pieces import day_pieces

_ORDER = [(name, "ascending") for name in ("sensor", "device", "window_start")]


@dataclass(frozen=True)
class DueWindows:
    """The windows that some sensors with the same mark lack scores for; they may have some already.

    Attributes
    ----------
    windows : RowTable
    sensors : tuple of str or None
        None for all.
    mark : Mark
    scope : Scope
    """

    windows: RowTable
    sensors: tuple[str, ...] | None
    mark: Mark
    scope: Scope

    def files(self) -> tuple[list[DataFile], frozenset[str]]:
        """List the files that may hold due windows, and the names of those added since the mark."""
        closed_at = microseconds(self.scope.closed_at)
        start, end = (
            None if one is None else microseconds(one) for one in (self.scope.start, self.scope.end)
        )
        version = None if self.mark.version < 0 else self.mark.version
        added = frozenset(file.name for file in self.windows.added_since(version))
        files = [
            file
            for file in self.windows.files(start, end, self.sensors, self.scope.selection.devices)
            if (file.name in added or _ends(file)[1] > self.mark.until) and _ends(file)[0] <= closed_at
        ]
        return files, added

    def pieces(self) -> Iterator[tuple[tuple[int, int], Iterator[pa.Table]]]:
        """Yield pieces of time ``[start, end)`` and their due windows, sorted by sensor, device and start."""
        files, added = self.files()
        for piece in day_pieces([(file.first, file.last, file.rows) for file in files]):
            yield piece, self._piece([file for file in files if file.overlaps(*piece)], added, piece)

    def _piece(
        self, files: Sequence[DataFile], added: frozenset[str], piece: tuple[int, int]
    ) -> Iterator[pa.Table]:
        schema = self.windows.schema
        sources = [(schema, self._due(file, file.name in added, piece)) for file in files]
        for parts in device_ranges(sources, key=("sensor", "device")):
            with_rows = [part for part in parts if part.num_rows]
            yield with_rows[0] if len(with_rows) == 1 else pa.concat_tables(with_rows).sort_by(_ORDER)

    def _due(self, file: DataFile, is_added: bool, piece: tuple[int, int]) -> Iterator[pa.Table]:
        wanted = strings(sorted(self.sensors or ()))
        low, high = file.bounds.get("sensor", ("", None))
        is_sure = self.sensors is None or low == high
        for rows in self.windows.batches(file, None, self.sensors):
            start, end = to_numpy(rows["window_start"]), to_numpy(rows["window_end"])
            due = self.scope.mask(rows) & (start >= piece[0]) & (start < piece[1])
            if not is_added:
                due &= end > self.mark.until
            if not is_sure:
                due &= to_numpy(pc.is_in(rows["sensor"], value_set=wanted))
            yield rows if due.all() else rows.filter(to_arrow(due))


def latest_end(windows: RowTable) -> int:
    """Return when the last window ends, microseconds since the epoch."""
    return max((_ends(file)[1] for file in windows.files()), default=NEVER)


def _ends(file: DataFile) -> tuple[int, int]:
    low, high = file.bounds.get("window_end", (-np.inf, np.inf))
    return low, high
