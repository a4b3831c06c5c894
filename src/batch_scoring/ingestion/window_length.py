"""Choose the length of windows where ``aggregate.window`` is null: once, when the first are made.

A window of one reading has no spread, and no step from the window before where there is none: it hides most
faults. So where readings are rarer than the usual windows, windows are as long as suits the readings.
They are never made shorter than usual: the first hour of a live fleet would look like a short history.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

from batch_scoring.core.text import read_length
from batch_scoring.ingestion.intervals import (
    longest_window,
    median_interval,
    seconds_of,
    suitable_window,
)
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.windows.settings import USUAL_WINDOW, AggregateParameters

logger = logging.getLogger(__name__)

# No longer by itself: an alarm comes the same day, and a budget of one a week is one window in 28.
_LONGEST = timedelta(hours=6)
# With fewer readings a window, on average, most windows hold one.
FEW_READINGS = 1.5
# The first share of them, train.share, is fewer than a model needs, train.fit.min_windows.
_FEW_WINDOWS = 43
_SERIES = ["sensor", "device", "timestamp"]


def with_stored_length(settings: AggregateParameters, windows: RowTable) -> AggregateParameters:
    """Return the settings with the length of the windows that are stored, where they name none."""
    if settings.window is not None or not windows.num_rows:
        return settings
    first = next(windows.batches(windows.files()[0], ["window_start", "window_end"], rows=1))
    start, end = (int(to_numpy(first[name])[0]) for name in ("window_start", "window_end"))
    return replace(settings, window=timedelta(microseconds=end - start))


def with_suitable_length(settings: AggregateParameters, readings: RowTable) -> AggregateParameters:
    """Return the settings with a length that suits the readings, where they name none.

    It is the usual one, or longer where most windows would hold one reading; then as long as holds several,
    or two if there were too few windows for a model.
    """
    if settings.window is not None or not readings.num_rows:
        return settings
    length = USUAL_WINDOW
    interval, span, usual = reading_interval(readings), reading_span(readings), length.total_seconds()
    if interval is not None and is_rare(interval, length):
        most = min(seconds_of(suitable_window(interval)), _LONGEST.total_seconds())
        chosen = longest_window(interval, span, most)
        if chosen:
            length = timedelta(seconds=seconds_of(chosen))
            logger.info(
                "aggregate: windows are %s long, since most series send a reading every %s; aggregate.window "
                "sets another length",
                read_length(length.total_seconds()),
                read_length(interval),
            )
    elif interval is not None and span < _FEW_WINDOWS * usual:
        chosen = longest_window(interval, span, usual)
        if chosen:
            logger.warning(
                "aggregate: a series has at most %d windows of %s, too few for a model; wait for more "
                "readings, or set aggregate.window=%s",
                -(-span // usual),
                read_length(usual),
                chosen,
            )
    return replace(settings, window=length)


def is_rare(interval: float, window: timedelta) -> bool:
    """Whether most windows hold one reading, where readings come every ``interval`` seconds."""
    return interval * FEW_READINGS > window.total_seconds()


def reading_interval(readings: RowTable) -> float | None:
    """Return the median of the seconds between two readings of a series; None without two of one."""
    return median_interval(rows for file in readings.files() for rows in readings.batches(file, _SERIES))


def reading_span(readings: RowTable) -> float:
    """Return the seconds from the first reading to the last; at least one reading."""
    files = readings.files()
    return (max(file.last for file in files) - min(file.first for file in files)) / 1e6
