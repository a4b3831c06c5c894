"""Select the windows that a run scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import microseconds
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import strings, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints


@dataclass(frozen=True)
class Scope:
    """The windows that a run scores; sensors are selected by the caller.

    Attributes
    ----------
    start, end : datetime or None
        Windows that start in ``[start, end)``, UTC.
    closed_at : datetime
        Windows that end by then are closed, UTC.
    selection : Selection
        Selected devices.
    rescore : bool
        Whether windows with a prediction are scored again.
    """

    start: datetime | None
    end: datetime | None
    closed_at: datetime
    selection: Selection
    rescore: bool = False

    def has_day(self, day: date) -> bool:
        """Whether a window that starts on this day (UTC) may be in scope."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        after_end = self.end is not None and midnight >= self.end
        before_start = self.start is not None and midnight + timedelta(days=1) <= self.start
        return not after_end and not before_start and midnight < self.closed_at

    def has_closed(self, windows: pq.ParquetFile) -> bool:
        """Whether a window of the file may be closed; reads the footer only."""
        column = windows.schema_arrow.get_field_index("window_end")
        groups = (windows.metadata.row_group(i) for i in range(windows.num_row_groups))
        statistics = [group.column(column).statistics for group in groups]
        closed_at = microseconds(self.closed_at)
        return any(one is None or not one.has_min_max or one.min_raw <= closed_at for one in statistics)

    def closed(self, windows: pa.Table) -> Bool:
        """Mark the closed windows, shape (n,)."""
        return to_numpy(windows["window_end"]) <= microseconds(self.closed_at)

    def mask(self, windows: pa.Table) -> Bool:
        """Mark the windows in scope, shape (n,)."""
        inside = self.closed(windows)
        start = to_numpy(windows["window_start"])
        if self.start is not None:
            inside = inside & (start >= microseconds(self.start))
        if self.end is not None:
            inside = inside & (start < microseconds(self.end))
        if self.selection.devices is not None:
            devices = strings(sorted(self.selection.devices))
            inside = inside & to_numpy(pc.is_in(windows["device"], value_set=devices))
        if self.selection.shard is not None:
            part, of = self.selection.shard
            inside = inside & (row_fingerprints(windows, ["device"]) % np.uint64(of) == part - 1)
        return inside
