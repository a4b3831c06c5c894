"""Select the windows that a run scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.ids import Selection, path_segment
from batch_scoring.core.moments import microseconds
from batch_scoring.tables.arrays import Bool
from batch_scoring.tables.arrow_arrays import strings, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints


@dataclass(frozen=True)
class Scope:
    """The windows that a run scores.

    Attributes
    ----------
    start, end : datetime or None
        Windows that start in ``[start, end)``, UTC.
    closed_at : datetime
        Windows that end by then are closed, UTC.
    selection : Selection
        Selected sensors and devices.
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
    def part(self) -> str | None:
        """The part of each sensor's devices: ``of 3=1`` or ``device=a``; empty for all, None for others."""
        devices, shard = self.selection.devices, self.selection.shard
        if devices is None:
            return "" if shard is None else f"of {shard.of}={shard.part}"
        return f"device={path_segment(*devices)}" if len(devices) == 1 and shard is None else None

    @property
    def is_standard(self) -> bool:
        """Whether the run scores all that is due in its part, so that it can record how far it came."""
        return self.is_timely and self.part is not None

    @property
    def is_whole(self) -> bool:
        """Whether the run scores all that is due, of all sensors and devices."""
        return self.is_standard and self.part == "" and self.selection.sensors is None

    def claims(self, root: str) -> list[str]:
        """Name what the run may change; see :func:`~batch_scoring.storage.table_log.are_apart`."""
        sensors = self.selection.sensors
        return [root] if sensors is None else [path_of(root, one, self.part or "") for one in sorted(sensors)]

    def has_sensor(self, sensor: str) -> bool:
        """Whether a sensor is selected."""
        return self.selection.has_sensor(sensor)

    def mask(self, windows: pa.Table) -> Bool:
        """Mark the windows in scope, shape (n,)."""
        return self.has_time(windows) & self.has_series(windows)

    def has_time(self, windows: pa.Table) -> Bool:
        """Mark the closed windows of the range that is asked for, shape (n,)."""
        inside: Bool = to_numpy(windows["window_end"]) <= microseconds(self.closed_at)
        start = to_numpy(windows["window_start"])
        if self.start is not None:
            inside = inside & (start >= microseconds(self.start))
        if self.end is not None:
            inside = inside & (start < microseconds(self.end))
        return inside

    def has_series(self, rows: pa.Table) -> Bool:
        """Mark the rows of the run's devices, shape (n,)."""
        mine = np.ones(rows.num_rows, bool)
        if self.selection.devices is not None:
            wanted = strings(sorted(self.selection.devices))
            mine &= to_numpy(pc.is_in(rows["device"], value_set=wanted))
        if self.selection.shard is not None:
            part, of = self.selection.shard
            mine &= row_fingerprints(rows, ["device"]) % np.uint64(of) == part - 1
        return mine


def path_of(root: str, sensor: str | None = None, part: str = "") -> str:
    """Name a sensor or a part of it below a root.

    Examples
    --------
    >>> path_of("scores", "a/b", "of 3=1")
    'scores/sensor=a%2Fb/of 3=1'
    """
    below = [] if sensor is None else [f"sensor={path_segment(sensor)}"]
    return "/".join([root, *below, *([part] if part else [])])
