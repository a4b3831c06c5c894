"""Nodes of ``import_windows``: merge windows aggregated elsewhere; the last output of a window wins."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import DAY_US, EPOCH, MICROSECOND, microseconds
from batch_scoring.core.parameters import read_parameters
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.sources import choose_sources, known_rows, record_sources, source_row
from batch_scoring.ingestion.staging import staging_area
from batch_scoring.ingestion.stream_windows import StagedWindows
from batch_scoring.ingestion.window_length import with_stored_length
from batch_scoring.storage.row_files import has_sparse_days
from batch_scoring.storage.row_table import Change, Look, RowTable, Update, no_change
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import to_arrow, to_numpy
from batch_scoring.tables.schemas import IMPORTED_WINDOWS, WINDOW_KEY, windows_schema
from batch_scoring.windows.settings import MADE_WITH, AggregateParameters

logger = logging.getLogger(__name__)

# When the first and the last window of a file start, µs since the epoch.
_Times = tuple[int, int]
_NEVER = np.iinfo(np.int64).min


def import_windows(
    stream_windows: list[SourceFile],
    readings: RowTable,
    parameters: dict[str, Any],
    ingest: dict[str, Any],
) -> Iterator[tuple[Update, Update]]:
    """Merge new and changed files of windows into the stored windows.

    Of several rows for a window the one with the latest ``processed_time`` counts, in whatever file and
    order they come. On days with readings of a sensor, its windows stay as ``aggregate`` makes them: it
    knows late readings, too. Where the table of windows is not the one that files were imported into, all
    files are imported again.

    Parameters
    ----------
    stream_windows : list of SourceFile
        All files there are.
    readings : RowTable
        Schema READINGS.
    parameters : dict
        ``params:aggregate``: the length and the features that the windows have to have.
    ingest : dict
        ``params:ingest``, for its memory limit and place for temporary files.

    Yields
    ------
    windows : update
        A look at the stored ones first; then adds and replaces windows.
    imported_windows : update
        Records the files; last, so that a killed run is repeated.

    Raises
    ------
    InputError
        When a file cannot be read, lacks a column, or has windows of another length; nothing is
        imported then.
    """
    settings = read_parameters(AggregateParameters, parameters, "aggregate").of_stream
    looks = Look[RowTable](), Look[RowTable]()
    yield looks
    windows, imported = (look.seen for look in looks)
    settings = with_stored_length(settings, windows)
    targets = {"windows": windows}
    known = known_rows(imported, targets, IMPORTED_WINDOWS)
    sources = choose_sources(stream_windows, known, f"{settings.number}", Selection())
    for error in sources.unreadable.values():
        raise InputError(error)
    if not sources.pending:
        logger.info("import_windows: nothing new in %d files", len(stream_windows))
        yield no_change, _recorded(sources.touched, targets)
        return
    with staging_area(read_settings(ingest)) as area:
        staged = StagedWindows(area.connection, settings)
        files = [source.file for source in sources.pending]
        rows = [staged.add(file) for file in files]
        times = [staged.times_of(file) for file in files]
        earlier = _times_of_files(known)
        names = {file.name for file in files}
        touched = _joined(one for one in [*times, *map(earlier.get, names)] if one)
        near = _overlapping(earlier, touched) - names
        for file in stream_windows:
            if file.name in near:
                staged.add(file)
        staged.keep_last_outputs(touched)
        _leave_out_aggregated(staged, readings)
        yield partial(_merge, staged, bool(readings.num_rows)), no_change
        made = [
            source_row(source, f"{settings.number}", n, 0) | _as_columns(its_times)
            for source, n, its_times in zip(sources.pending, rows, times, strict=True)
            if not _has_changed(source.file)
        ]
        yield no_change, _recorded([*sources.touched, *made], targets)
    logger.info("import_windows: %d of %d files read", len(files), len(stream_windows))


def _merge(staged: StagedWindows, has_readings: bool, windows: RowTable) -> Change | None:
    days = staged.days()
    if not days:
        return None
    settings = staged.settings
    is_other = windows.num_rows > 0 and windows.progress(MADE_WITH) not in (None, settings.number)
    if is_other and has_readings:
        raise InputError(
            "the stored windows were made with other settings; run `kedro run --pipelines=aggregate` first"
        )
    stored = [] if is_other else windows.files()
    files = [file for file in stored if any(file.overlaps(day.first, day.last + 1) for day in days)]
    upsert = Upsert(windows, files, WINDOW_KEY)
    by_month = has_sparse_days(len(days), sum(day.rows for day in days))
    return Change(
        windows_schema(settings.features),
        (upsert.fresh(staged.rows_of(one)) for one in (staged.days("month") if by_month else days)),
        {MADE_WITH: settings.number},
        rewritten=upsert.rewritten,
        replaces_all=is_other,
        by_month=by_month,
    )


def _leave_out_aggregated(staged: StagedWindows, readings: RowTable) -> None:
    for day in staged.days():
        start = day.first // DAY_US * DAY_US
        for sensor in sorted(_sensors_between(readings, start, start + DAY_US, day.sensors)):
            logger.warning(
                "import_windows: sensor %r has readings on %s; `aggregate` makes its windows of that day, "
                "and the imported ones are left out",
                sensor,
                (EPOCH + start * MICROSECOND).date(),
            )
            staged.leave_out(day, sensor)


def _sensors_between(readings: RowTable, start: int, end: int, sensors: list[str]) -> set[str]:
    """Find which of these sensors have readings in ``[start, end)``, microseconds since the epoch."""
    found: set[str] = set()
    for file in readings.files(start, end, sensors):
        for rows in readings.batches(file, ["timestamp", "sensor"], sensors):
            time = to_numpy(rows["timestamp"])
            inside = rows.filter(to_arrow((time >= start) & (time < end)))
            found.update(inside["sensor"].unique().to_pylist())
    return found


def _times_of_files(known: pa.Table) -> dict[str, _Times]:
    """Return the times of the windows of each file that has windows."""
    columns = known.filter(known["first_start"].is_valid()).select(["source", "first_start", "last_start"])
    return {
        source: (microseconds(first), microseconds(last))
        for source, first, last in zip(*(column.to_pylist() for column in columns), strict=True)
    }


def _joined(times: Iterable[_Times]) -> pa.Table:
    """Join overlapping times; columns ``first`` and ``last``, both included, in order."""
    found: list[_Times] = []
    for first, last in sorted(times):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    columns = np.array(found, np.int64).reshape(-1, 2).T.copy()
    return pa.table(dict(zip(("first", "last"), map(to_arrow, columns), strict=True)))


def _overlapping(files: dict[str, _Times], touched: pa.Table) -> set[str]:
    """Name the files with windows at some of these times."""
    starts, ends = (np.append(_NEVER, to_numpy(touched[name])) for name in ("first", "last"))
    first, last = np.array([*files.values()], np.int64).reshape(-1, 2).T
    is_near = ends[np.searchsorted(starts, last, "right") - 1] >= first
    return {name for name, one in zip(files, is_near.tolist(), strict=True) if one}


def _recorded(rows: list[dict[str, Any]], targets: dict[str, RowTable]) -> Update:
    return record_sources(rows, IMPORTED_WINDOWS, targets) if rows else no_change


def _as_columns(times: _Times | None) -> dict[str, Any]:
    moments = (None, None) if times is None else (EPOCH + one * MICROSECOND for one in times)
    return dict(zip(("first_start", "last_start"), moments, strict=True))


def _has_changed(file: SourceFile) -> bool:
    """Whether a file grew while it was read: it is read again by the next run."""
    if file.has_changed():
        logger.info("import_windows: %r is still being written", file.path)
        return True
    return False
