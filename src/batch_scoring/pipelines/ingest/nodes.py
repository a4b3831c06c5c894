"""Nodes of ``ingest``: raw readings to clean readings and a quarantine; nothing is lost or stored twice."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import scheduled_time
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.ingestion.plain_files import PlainRows, read_plain
from batch_scoring.ingestion.quarantine import replace_quarantine
from batch_scoring.ingestion.settings import IngestSettings, read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.sources import (
    ChosenSources,
    choose_sources,
    known_rows,
    record_sources,
    source_row,
)
from batch_scoring.ingestion.staging import StagingArea, staging_area
from batch_scoring.storage.row_table import Change, RowTable, Update, no_change
from batch_scoring.tables.schemas import READINGS

logger = logging.getLogger(__name__)

# Above this share of a file's readings in the future, a clock is wrong.
_MOSTLY = 0.9

Chunk = tuple[Update, Update, Update, dict[str, Any]]


def ingest_readings(
    raw_readings: list[SourceFile],
    known_sources: RowTable,
    known_readings: RowTable,
    known_quarantine: RowTable,
    settings: Mapping[str, Any] | None,
    device: Any,
    sensor: Any,
    at: Any,
) -> Iterator[Chunk]:
    """Read the new and changed source files into the readings.

    Parameters
    ----------
    raw_readings : list of SourceFile
        All source files, in the order that decides which of two contradicting readings is first.
    known_sources : RowTable
        Schema SOURCES: the files that earlier runs have read.
    known_readings, known_quarantine : RowTable
        What they have stored and refused. Where one of these tables is not the one that the files were read
        into, all files are read again.
    settings : mapping
        ``params:ingest``, see :class:`~batch_scoring.ingestion.settings.IngestSettings`.
    device, sensor
        ``params:device`` and ``params:sensor``.
    at
        ``params:at``, the scheduled time. A reading is in the future when it is later than this
        and than now by more than ``max_future``.

    Yields
    ------
    readings : update
        Adds the readings that are not stored yet.
    quarantine : update
        Replaces the refused rows of the files read.
    sources : update
        Records the files read; last, so that a killed run is repeated.
    ingest_counts : dict
        ``sources``, ``rows``, ``stored``, ``already_stored`` and ``refused``, a dict of reason to rows.
        ``rows`` is the sum of the others. ``shortfalls``: sentences that end the whole run with an error
        after its last node, such as of a file that cannot be read; the others are ingested.

    Raises
    ------
    InputError
        When no file can be read and none was before, or a device or sensor is unknown.
    """
    chosen = read_settings(settings)
    selection = Selection.read(device, sensor)
    # A run that starts late for its scheduled time finds later readings, and they are no error.
    latest = max(scheduled_time(at), datetime.now(UTC)) + chosen.max_future
    targets = {"readings": known_readings, "quarantine": known_quarantine}
    known = known_rows(known_sources, targets)
    sources = choose_sources(raw_readings, known, chosen.digest, selection, latest)
    counts = _no_counts(len(sources.pending))
    if sources.unreadable and not (sources.pending or known.num_rows):
        raise InputError(next(iter(sources.unreadable.values())))
    if not sources.pending:
        yield partial(_require_stored_ids, selection, known_quarantine), no_change, no_change, {}
        touched = record_sources(sources.touched, targets=targets) if sources.touched else no_change
        counts["shortfalls"] = [*sources.unreadable.values()]
        _log_summary(counts, len(raw_readings))
        yield no_change, no_change, touched, counts
        return
    files = {number: (one.file, one.where) for number, one in enumerate(sources.pending)}
    with ExitStack() as stack:

        def stage() -> StagingArea:
            area = stack.enter_context(staging_area(chosen))
            area.stage(files, latest)
            return area

        new = NewReadings(read_plain(sources.pending, chosen, latest) or stage(), stage)
        shortfalls = [*sources.unreadable.values(), *new.rows.failed.values()]
        if shortfalls and not (len(new.rows.failed) < len(files) or known.num_rows):
            raise InputError(shortfalls[0])
        all_files = [file for file, _ in files.values()]
        yield partial(_add_readings, new, selection, known_quarantine, all_files), no_change, no_change, {}
        # Only now: to decide on its rows, a file may have been read again.
        read = {number: file for number, (file, _) in files.items() if number not in new.rows.failed}
        yield no_change, replace_quarantine(new.rows, read), no_change, {}
        rows, more = _source_rows(new.rows, sources, read, chosen, latest)
        unread = [*sources.unreadable.values(), *new.rows.failed.values()]
        counts = _counted(counts, new, unread + more)
        yield no_change, no_change, record_sources(rows, targets=targets), counts
    _log_summary(counts, len(raw_readings))


def _require_stored_ids(selection: Selection, quarantine: RowTable, readings: RowTable) -> None:
    require_known_ids(selection, stored_ids(readings, selection), stored_ids(quarantine, selection))


def _add_readings(
    new: NewReadings,
    selection: Selection,
    quarantine: RowTable,
    files: Sequence[SourceFile],
    table: RowTable,
) -> Change:
    require_known_ids(
        selection,
        new.rows.staged_ids,
        stored_ids(table, selection),
        stored_ids(quarantine, selection),
        lambda kind: new.rows.source_ids(kind, _readable(new, files)),
    )
    # Two runs that add readings at the same time would not see each other's.
    return Change(READINGS, new.rows_not_in(table), guard="ingest", by_month=new.rows.by_month)


def _readable(new: NewReadings, files: Sequence[SourceFile]) -> list[SourceFile]:
    return [file for number, file in enumerate(files) if number not in new.rows.failed]


def _source_rows(
    found: PlainRows | StagingArea,
    sources: ChosenSources,
    read: Mapping[int, SourceFile],
    settings: IngestSettings,
    latest: datetime,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of SOURCES to write, and a sentence for each file that lies mostly in the future."""
    n_rows, refused, future = found.rows_by_source(), found.refused_by_source(), found.first_future()
    rows, shortfalls = list(sources.touched), []
    for number, file in read.items():
        reasons, total = refused.get(number, {}), n_rows.get(number, 0)
        if reasons.get("future_timestamp", 0) > _MOSTLY * total:
            shortfalls.append(
                f"{file.path}: {reasons['future_timestamp']:,} of {total:,} readings are later than "
                f"{latest:%Y-%m-%d %H:%M} UTC (now plus ingest.max_future); set this machine's clock, or "
                "raise ingest.max_future; they are read again once they are not in the future"
            )
        pending = sources.pending[number]
        row = source_row(pending, settings.digest, total, sum(reasons.values()), future.get(number))
        rows.append(row)
    return rows, shortfalls


def _no_counts(sources: int) -> dict[str, Any]:
    return {"sources": sources, "rows": 0, "stored": 0, "already_stored": 0, "refused": {}, "shortfalls": []}


def _counted(counts: dict[str, Any], new: NewReadings, shortfalls: list[str]) -> dict[str, Any]:
    refused: Counter[str] = sum(map(Counter, new.rows.refused_by_source().values()), Counter())
    return counts | {
        "rows": sum(new.rows.rows_by_source().values()),
        "stored": new.stored,
        "already_stored": new.already_stored,
        "refused": dict(sorted(refused.items())),
        "shortfalls": shortfalls,
    }


def _log_summary(counts: dict[str, Any], n_files: int) -> None:
    if not counts["sources"]:
        logger.info("nothing new in %d source files", n_files)
        return
    total = f"{sum(counts['refused'].values()):,} refused"
    reasons = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in counts["refused"].items())
    logger.info(
        "%d of %d source files read: %s rows, %s stored, %s already stored, %s",
        counts["sources"],
        n_files,
        f"{counts['rows']:,}",
        f"{counts['stored']:,}",
        f"{counts['already_stored']:,}",
        f"{total} ({reasons})" if reasons else total,
    )
    if counts["refused"].get("conflict"):
        logger.warning(
            "%s rows conflict with stored readings, which are kept; see the quarantine. "
            "To take the new ones, delete the stored readings and sources and ingest again",
            f"{counts['refused']['conflict']:,}",
        )
