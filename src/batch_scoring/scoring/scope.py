"""Select the windows that a run scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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

    @property
    def is_timely(self) -> bool:
        """Whether the run scores what is due, of any devices, and not a range that is asked for."""
        return not self.rescore and (self.start, self.end) == (None, None)

    @property
    def is_standard(self) -> bool:
        """Whether the run scores all that is due, of all devices of its shard."""
        return self.is_timely and self.selection.devices is None

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
        return inside & self.has_devices(windows) & self.has_part(windows)

    def has_devices(self, rows: pa.Table) -> Bool:
        """Mark the rows of the run's devices, shape (n,)."""
        if self.selection.devices is None:
            return np.ones(rows.num_rows, bool)
        return to_numpy(pc.is_in(rows["device"], value_set=strings(sorted(self.selection.devices))))

    def has_part(self, rows: pa.Table) -> Bool:
        """Mark the rows whose devices are in the run's shard, shape (n,)."""
        if self.selection.shard is None:
            return np.ones(rows.num_rows, bool)
        part, of = self.selection.shard
        mine: Bool = row_fingerprints(rows, ["device"]) % np.uint64(of) == part - 1
        return mine
