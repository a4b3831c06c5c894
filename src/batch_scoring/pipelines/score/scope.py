"""Which windows a run is to score."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch_scoring.fleet.tables import TIMESTAMP
from batch_scoring.ids import Selection

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Scope:
    """Which windows a run is to score; the sensors are chosen elsewhere.

    Attributes
    ----------
    start, end : datetime or None
        Windows that start in ``[start, end)``, UTC.
    closed_at : datetime
        Windows that end by then are closed, UTC.
    selection : Selection
        Whose devices.
    rescore : bool
        Whether windows that have a prediction get a new one.
    """

    start: datetime | None
    end: datetime | None
    closed_at: datetime
    selection: Selection
    rescore: bool = False

    @property
    def is_all(self) -> bool:
        """Whether every closed window is in it."""
        return self.start is None and self.end is None and self.selection.devices is None

    def has_day(self, day: date) -> bool:
        """Whether a window that starts on this day (UTC) may be in it."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        after_end = self.end is not None and midnight >= self.end
        before_start = self.start is not None and midnight + timedelta(days=1) <= self.start
        return not after_end and not before_start and midnight < self.closed_at

    def closed(self, windows: pa.Table) -> Bool:
        """Which windows are closed, shape (n,)."""
        ended = pc.less_equal(windows["window_end"], pa.scalar(self.closed_at, TIMESTAMP))
        return np.asarray(ended.to_numpy())

    def mask(self, windows: pa.Table) -> Bool:
        """Which windows are in it, shape (n,)."""
        inside = self.closed(windows)
        start = windows["window_start"]
        if self.start is not None:
            inside = inside & pc.greater_equal(start, pa.scalar(self.start, TIMESTAMP)).to_numpy()
        if self.end is not None:
            inside = inside & pc.less(start, pa.scalar(self.end, TIMESTAMP)).to_numpy()
        if self.selection.devices is not None:
            devices = pa.array(sorted(self.selection.devices), pa.string())
            inside = inside & pc.is_in(windows["device"], value_set=devices).to_numpy()
        return inside
