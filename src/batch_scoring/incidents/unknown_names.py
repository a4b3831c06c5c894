"""Say which of the names that people wrote have no windows: they may be misspelt, and stand for nothing."""

from __future__ import annotations

import logging

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import RowTable

logger = logging.getLogger(__name__)


def warn_of_unknown_names(calendar: Calendar, devices: Devices, gaps: RowTable) -> None:
    """Log entries of the calendar, and former or retired devices, that have no windows.

    Parameters
    ----------
    gaps : RowTable
        Schema GAPS, which has a row for each series. It is read only where something is written.
    """
    if not (calendar.entries or devices.fingerprint) or not gaps.exists:
        return
    series = gaps.read(["device", "sensor"])
    if not series.num_rows:
        return
    entries = calendar.without_windows(series)
    if entries:
        logger.warning(
            "calendar: %d pairs of device and sensor match no windows, first %r, %r: left out is nothing",
            *(len(entries), *entries[0]),
        )
    ids = devices.without_windows(series["device"])
    if ids:
        logger.warning(
            "devices: %d replaced or retired ids have no windows, first %r: they say nothing",
            *(len(ids), ids[0]),
        )
