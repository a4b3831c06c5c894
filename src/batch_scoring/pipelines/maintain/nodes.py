"""The node of ``maintain``: join small files, drop rows that are kept no longer, delete files out of use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow.compute as pc

from batch_scoring.alerts.ledger import NOTIFIED_SINCE, OPEN
from batch_scoring.core.errors import ConflictError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import read_parameters
from batch_scoring.incidents.gaps import STEP as FIND_GAPS
from batch_scoring.incidents.stays import STEP as FIND_STAYS
from batch_scoring.incidents.update import STEP as FIND_INCIDENTS
from batch_scoring.pipelines.aggregate.nodes import STEP as AGGREGATE
from batch_scoring.scoring.daily import ADD_UP
from batch_scoring.scoring.marks import read_mark
from batch_scoring.storage.compaction import compact, forget, has_new_day, is_yesterday_large
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.settings import MaintainParameters
from batch_scoring.tables.arrow_arrays import strings, to_arrow, to_numpy

logger = logging.getLogger(__name__)

Tables = Mapping[str, RowTable]


def maintain(parameters: dict[str, Any], *_: object) -> Callable[..., dict[str, int]]:
    """Return the function that maintains tables; it takes them by their names.

    Parameters
    ----------
    parameters : dict
        See :func:`maintain_tables`.
    *_
        What the last steps have made: maintenance waits for them, and reads none of it.
    """
    return partial(maintain_tables, parameters)


def maintain_tables(parameters: dict[str, Any], **tables: RowTable) -> dict[str, int]:
    """Maintain tables; the rows that are kept stay as they are.

    Rows that a later step has yet to read are kept in any case. A table that another run writes to at the
    same time is left for the next run, and so is yesterday of a large fleet, but for one table's.

    Parameters
    ----------
    parameters : dict
        See :class:`~batch_scoring.storage.settings.MaintainParameters`.
    **tables : RowTable
        By their names.

    Returns
    -------
    dict of str to int
        Files that were deleted of each table; empty where there was nothing to do.
    """
    settings = read_parameters(MaintainParameters, parameters, "maintain")
    there = {name: table for name, table in tables.items() if table.exists}
    left, has_large = set(), False
    for name, table in there.items():
        keep = settings.keep.of(name)
        try:
            if keep is not None:
                unread, needed = (some[name](tables) if name in some else () for some in (_UNREAD, _NEEDED))
                there[name] = _commit(table, forget(table, keep, unread, needed))
            if settings.compact_from:
                # Of a large fleet a run joins yesterday of one table, and none in the first hour of a day, in
                # which series are recalibrated: the runs of later hours join the others.
                is_large = is_yesterday_large(there[name], settings.compact_from)
                has_time = not (has_large or has_new_day(table))
                change = compact(there[name], settings.compact_from, is_large and not has_time)
                there[name] = _commit(there[name], change)
                has_large |= is_large
        except ConflictError as error:
            logger.info("maintain: %s: left for the next run (%s)", name, error)
            left.add(name)
    # A listing of all files takes time: once where a day has ended, and not every hour.
    is_due = not settings.compact_from or any(there[name].version != tables[name].version for name in there)
    deleted = {
        name: table.vacuum(settings.vacuum_after)
        for name, table in there.items()
        if is_due and name not in left
    }
    shown = ", ".join(f"{name} ({n:,} files deleted)" for name, n in deleted.items())
    logger.info("maintain: %s", shown or "nothing to do")
    return deleted


def _commit(table: RowTable, change: Change | None) -> RowTable:
    return table if change is None else table.commit(change)


def _not_aggregated(tables: Tables) -> list[DataFile]:
    return tables["readings"].added_since(tables["windows"].progress(AGGREGATE))


def _not_scored(tables: Tables) -> list[DataFile]:
    windows, predictions = tables["windows"], tables["predictions"]
    marks = [read_mark(predictions, windows, sensor) for sensor in windows.distinct("sensor")]
    version = min((mark.version for mark in marks), default=-1)
    until = min((mark.until for mark in marks), default=0)
    added = windows.added_since(version if version >= 0 else None)
    if tables["gaps"].exists:
        added += windows.added_since(tables["gaps"].progress(FIND_GAPS))
    return added + [file for file in windows.files() if file.last >= until]


def _not_joined(tables: Tables) -> list[DataFile]:
    steps = (("incidents", FIND_INCIDENTS), ("daily_totals", ADD_UP))
    seen = [tables[name].progress(step) for name, step in steps]
    if tables["stays"].exists:
        seen.append(tables["stays"].progress(FIND_STAYS))
    return [file for version in seen for file in tables["predictions"].added_since(version)]


def _not_over(tables: Tables) -> list[DataFile]:
    """List the files of incidents that go on, or that alerts were sent of: those would be withdrawn."""
    ledger = tables["notifications"]
    first = None
    if ledger.num_rows:
        rows = ledger.read(["change", "start", "end"])
        is_open = to_numpy(pc.is_in(rows["change"], value_set=strings(OPEN)))
        is_recent = to_numpy(rows["end"]) >= (ledger.progress(NOTIFIED_SINCE) or 0)
        # An incident that flaps has parts that ended long before it did.
        first = pc.min(rows["start"].filter(to_arrow(is_open | is_recent))).as_py()
    return [
        file
        for file in tables["incidents"].files()
        if file.bounds.get("state") != ("closed", "closed")
        or (first is not None and file.bounds["end"][1] > microseconds(first))
    ]


# The files of a table that a later step has yet to read.
_UNREAD: dict[str, Callable[[Tables], Sequence[DataFile]]] = {
    "readings": _not_aggregated,
    "windows": _not_scored,
    "predictions": _not_joined,
}
# The files that are needed for another reason, whatever their age.
_NEEDED: dict[str, Callable[[Tables], Sequence[DataFile]]] = {"incidents": _not_over}
