"""The levels of series around their incidents, held against the same time a week before, or a day before.

Where there is no week, a day before is looked at; but not on a Saturday and a Monday, which follow another
kind of day.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import DAY_US, HOUR_US
from batch_scoring.incidents.evidence import window_evidence
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.tables.arrays import Float
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import PREDICTIONS

LEVELS = pa.schema(
    [
        PREDICTIONS.field(name)
        for name in (
            *("sensor", "device", "window_start", "window_end"),
            *("value", "severity", "evidence", "rule", "may_stay"),
        )
    ]
)
VALUES = pa.schema([LEVELS.field(n) for n in range(5)])
LAGS_US = (7 * DAY_US, DAY_US)
# 1970-01-01 was a Thursday, three days after a Monday; the first days of the week and of the weekend.
_WEEKDAY_OF_EPOCH, _FIRST_DAYS = 3, (0, 5)
_SERIES = ("sensor", "device")


def seen_after(rules: JoinRules) -> int:
    """Return how much is known to come after an incident that is over, microseconds; an hour at most."""
    return min(HOUR_US, rules.cool_down_us)


class Levels:
    """The values of series over time, in rows by series and start.

    Parameters
    ----------
    windows : pyarrow.Table
        Schema LEVELS, in any order.
    """

    def __init__(self, windows: pa.Table) -> None:
        value = to_numpy(windows["value"], null=np.nan)
        windows = windows.filter(to_arrow(np.isfinite(value))).combine_chunks()
        key, start = row_fingerprints(windows, _SERIES), to_numpy(windows["window_start"])
        order = np.lexsort((start, key))
        windows = windows.take(to_arrow(order))
        self._key, self.start = key[order], start[order]
        self.length = to_numpy(windows["window_end"]) - self.start
        self.value, self.counted = to_numpy(windows["value"]), window_evidence(windows)
        self.is_turn = to_numpy(windows["may_stay"].is_valid())

    def series(self, key: int) -> slice:
        """Return the rows of a series, by its fingerprint."""
        return slice(np.searchsorted(self._key, key), np.searchsorted(self._key, key, "right"))

    def away(self, mine: slice, moment: int) -> Iterator[Float]:
        """Yield how far the values of a series are from those of the same time before, lag by lag.

        Parameters
        ----------
        mine : slice
        moment : int
            Microseconds since the epoch: its day of the week decides which lags there are.

        Yields
        ------
        array of shape (n,), float64
            NaN where there is no window before.
        """
        start, value = self.start[mine], self.value[mine]
        weekday = (moment // DAY_US + _WEEKDAY_OF_EPOCH) % 7
        for lag in LAGS_US[: 1 if weekday in _FIRST_DAYS else 2] if start.size else ():
            place = np.minimum(np.searchsorted(start, start - lag), start.size - 1)
            yield np.where(start[place] == start - lag, value - value[place], np.nan)
