"""Nodes of ``track``: figures of the versions in service, for MLflow's charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_time
from batch_scoring.monitoring.service import days_of, service_days
from batch_scoring.storage.row_table import RowTable

Figures = Iterator[tuple[tuple[str, str], list[tuple[int, dict[str, float]]]]]


def track_service(daily_totals: RowTable, at: Any) -> Callable[[int | None], Figures]:
    """Return a function that computes the figures of all versions on the days that are over.

    It is called with the time since which days may be missing, which only the store of the runs knows.

    Parameters
    ----------
    daily_totals : RowTable
        Schema DAILY.
    at
        The scheduled time, UTC: days that begin later are left out. None for all.
    """
    until = None if at is None else microseconds(read_time(at, "at"))
    return lambda since: days_of(service_days(daily_totals, since, until))
