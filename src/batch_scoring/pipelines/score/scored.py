"""What of a partition is scored already: pure bookkeeping over fingerprints, one pair a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch_scoring.fleet.arrow_arrays import to_arrow, to_numpy
from batch_scoring.fleet.fingerprints import row_fingerprints
from batch_scoring.fleet.tables import PREDICTIONS, WINDOW_KEYS

Bool = NDArray[np.bool_]
UInt = NDArray[np.uint64]

# A prediction is of a window (its key); it is out of date when the window's content has changed.
KEY = ("device", "window_start", "window_end")

SCORED = pa.schema([pa.field("window", pa.uint64()), pa.field("content", pa.uint64())])


@dataclass(frozen=True)
class Scored:
    """Which windows of a partition have a prediction, and of what content.

    Attributes
    ----------
    windows, contents : arrays of shape (n,), uint64
        Fingerprints, sorted by window.
    """

    windows: UInt
    contents: UInt

    @classmethod
    def read(cls, table: pa.Table | None) -> Scored:
        """From a stored table of schema SCORED, or from nothing."""
        if table is None:
            return cls(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        return cls(to_numpy(table["window"]), to_numpy(table["content"]))

    @classmethod
    def of(cls, keys: UInt, contents: UInt) -> Scored:
        """Of windows' fingerprints, sorted here."""
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], contents[order])

    def table(self) -> pa.Table:
        """As a table of schema SCORED."""
        return pa.Table.from_arrays([to_arrow(self.windows), to_arrow(self.contents)], schema=SCORED)

    def holds(self, keys: UInt, contents: UInt) -> Bool:
        """Which of these windows are scored with just this content, shape (n,)."""
        if self.windows.size == 0:
            return np.zeros(keys.size, bool)
        place = np.minimum(np.searchsorted(self.windows, keys), self.windows.size - 1)
        same: Bool = (self.windows[place] == keys) & (self.contents[place] == contents)
        return same


def window_fingerprints(windows: pa.Table) -> tuple[UInt, UInt]:
    """Fingerprints of the windows' keys and of all they hold, each of shape (n,)."""
    features = [name for name in windows.column_names if name not in WINDOW_KEYS.names]
    return row_fingerprints(windows, KEY), row_fingerprints(windows, [*KEY, "count", *features])


def merge_predictions(old: pa.Table, new: pa.Table, standing: UInt) -> pa.Table:
    """The predictions of a partition: the new ones, and the old ones that still stand.

    Parameters
    ----------
    old, new : pyarrow.Table
        Schema PREDICTIONS; of a window in both, the new one counts.
    standing : array of uint64
        Fingerprints of the keys of the windows whose old prediction is still right.

    Returns
    -------
    pyarrow.Table
        Schema PREDICTIONS, sorted by device, then window_start; each window once.
    """
    keys = row_fingerprints(old, KEY)
    keep = np.isin(keys, standing) & ~np.isin(keys, row_fingerprints(new, KEY))
    merged = pa.concat_tables([old.filter(to_arrow(keep)).cast(PREDICTIONS), new])
    return merged.sort_by([("device", "ascending"), ("window_start", "ascending")]).combine_chunks()
