"""Nodes of ``maintain``: join small files, drop rows that are kept no longer, delete files out of use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from batch_scoring.core.errors import ConflictError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.incidents.update import STEP as FIND_INCIDENTS
from batch_scoring.pipelines.aggregate.nodes import STEP as AGGREGATE
from batch_scoring.scoring.daily import ADD_UP
from batch_scoring.scoring.marks import read_mark
from batch_scoring.storage.compaction import compact, forget
from batch_scoring.storage.row_table import Change, DataFile, RowTable
from batch_scoring.storage.settings import MaintainParameters

logger = logging.getLogger(__name__)


def maintain_tables(
    readings: RowTable,
    quarantine: RowTable,
    sources: RowTable,
    windows: RowTable,
    predictions: RowTable,
    daily_totals: RowTable,
    incidents: RowTable,
    notifications: RowTable,
    parameters: dict[str, Any],
) -> dict[str, int]:
    """Maintain the tables; the rows that are kept stay as they are.

    Rows that a later step has yet to read are kept in any case. A table that another run writes to at the
    same time is left for the next run.

    Parameters
    ----------
    readings, quarantine, sources, windows, predictions, daily_totals, incidents, notifications : RowTable
    parameters : dict
        See :class:`~batch_scoring.storage.settings.MaintainParameters`.

    Returns
    -------
    dict of str to int
        Files that were deleted by table.
    """
    settings = read_parameters(MaintainParameters, parameters, "maintain")
    unread: dict[str, tuple[RowTable, Callable[[], Sequence[DataFile]]]] = {
        "readings": (readings, lambda: readings.added_since(windows.progress(AGGREGATE))),
        "windows": (windows, lambda: _unscored(windows, predictions)),
        "predictions": (predictions, lambda: _not_joined(predictions, incidents, daily_totals)),
        "daily_totals": (daily_totals, lambda: ()),
        "incidents": (incidents, lambda: _not_closed(incidents)),
        "quarantine": (quarantine, lambda: ()),
        "sources": (sources, lambda: ()),
        "notifications": (notifications, lambda: ()),
    }
    deleted = {}
    for name, (table, its_unread) in unread.items():
        keep = settings.keep.of(name)
        try:
            former = table.version
            if keep is not None:
                table = _commit(table, forget(table, keep, its_unread()))  # noqa: PLW2901
            if settings.compact_from:
                table = _commit(table, compact(table, settings.compact_from))  # noqa: PLW2901
        except ConflictError as error:
            logger.info("maintain: %s: left for the next run (%s)", name, error)
            continue
        if table.version != former:
            deleted[name] = table.vacuum(settings.vacuum_after)
    done = ", ".join(f"{name} ({n:,} files deleted)" for name, n in deleted.items())
    logger.info("maintain: %s", done or "nothing to do")
    return deleted


def _commit(table: RowTable, change: Change | None) -> RowTable:
    return table if change is None else table.commit(change)


def _unscored(windows: RowTable, predictions: RowTable) -> list[DataFile]:
    marks = [read_mark(predictions, sensor) for sensor in windows.distinct("sensor")]
    version = min((mark.version for mark in marks), default=-1)
    until = min((mark.until for mark in marks), default=0)
    added = windows.added_since(version if version >= 0 else None)
    return added + [file for file in windows.files() if file.last >= until]


def _not_joined(predictions: RowTable, incidents: RowTable, totals: RowTable) -> list[DataFile]:
    seen = [table.progress(step) for table, step in ((incidents, FIND_INCIDENTS), (totals, ADD_UP))]
    return [file for version in seen for file in predictions.added_since(version)]


def _not_closed(incidents: RowTable) -> list[DataFile]:
    return [file for file in incidents.files() if file.bounds.get("state") != ("closed", "closed")]
