"""Nodes of ``ingest``: raw readings to clean readings and a quarantine; nothing is lost or stored twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import scheduled_time
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.erasure import leave_out, read_erased
from batch_scoring.ingestion.known_ids import require_known_ids, stored_ids
from batch_scoring.ingestion.new_devices import are_too_many, refuse_new_devices
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.ingestion.plain_files import read_plain
from batch_scoring.ingestion.plain_rows import PlainRows
from batch_scoring.ingestion.quarantine import replace_quarantine
from batch_scoring.ingestion.settings import IngestSettings, read_settings
from batch_scoring.ingestion.source_files import SEE, SourceFile
from batch_scoring.ingestion.sources import (
    COMPARED,
    ChosenSources,
    PendingSource,
    choose_sources,
    known_rows,
    record_sources,
    refused_before,
    refused_row,
    source_row,
)
from batch_scoring.ingestion.summary import counts_of, log_summary, no_counts, shortfalls_of
from batch_scoring.operations.annotations import NOTHING_WRITTEN, Annotations
from batch_scoring.storage.row_table import Change, Look, RowTable, Update, no_change
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.staging import StagingArea

logger = logging.getLogger(__name__)

Chunk = tuple[Update, Update, Update, dict[str, Any]]


def ingest_readings(
    raw_readings: Sequence[SourceFile],
    settings: Mapping[str, Any] | None,
    device: Any,
    sensor: Any,
    at: Any,
    annotations: Annotations = NOTHING_WRITTEN,
) -> Iterator[Chunk]:
    """Read the new and changed source files into the readings.

    Where the table of readings or the quarantine is not the one that the sources were read into, all files
    are read again.

    Parameters
    ----------
    raw_readings : sequence of SourceFile
        All source files, in the order that decides which of two contradicting readings is first.
    settings : mapping
        ``params:ingest``, see :class:`~batch_scoring.ingestion.settings.IngestSettings`.
    device, sensor
        ``params:device`` and ``params:sensor``.
    at
        ``params:at``, the scheduled time. A reading is in the future when it is later than this
        and than now by more than ``max_future``.
    annotations : Annotations, optional
        Readings that people have deleted or replaced: no file brings them back.

    Yields
    ------
    readings : update
        A look at the stored ones first; then adds the readings that are not stored yet.
    quarantine : update
        Replaces the refused rows of the files read.
    sources : update
        Records the files read; last, so that a killed run is repeated.
    ingest_counts : dict
        See :func:`~batch_scoring.ingestion.summary.counts_of`. ``shortfalls``: sentences that end the whole
        run with an error after its last node, such as of a file that cannot be read; the others are ingested.

    Raises
    ------
    InputError
        When no file can be read and none was before, when no row could be stored and none was before, when a
        file cannot be read and ``on_bad_file`` is ``stop``, or a device or sensor is unknown.
    """
    chosen = read_settings(settings)
    selection = Selection.read(device, sensor)
    # A run that starts late for its scheduled time finds later readings, and they are no error.
    latest = max(scheduled_time(at), datetime.now(UTC)) + chosen.max_future
    looks = Look[RowTable](), Look[RowTable](), Look[RowTable]()
    yield *looks, {}
    readings, quarantine, read_before = (look.seen for look in looks)
    targets = {"readings": readings, "quarantine": quarantine}
    known = known_rows(read_before, targets, columns=COMPARED)
    sources = choose_sources(
        raw_readings, known, chosen.digest, selection, latest, partial(known_rows, read_before, targets)
    )
    _check_sources(sources, known, chosen, settings)
    before = [f"{text}; {SEE}" for text in refused_before(raw_readings, known, sources)]
    if not sources.pending:
        yield partial(_require_stored_ids, selection, quarantine), no_change, no_change, {}
        touched = record_sources(sources.touched, targets=targets) if sources.touched else no_change
        counts = no_counts(0) | {"shortfalls": [*sources.unreadable.values(), *before]}
        log_summary(counts, len(raw_readings))
        yield no_change, no_change, touched, counts
        return
    gone = read_erased(annotations.erased)
    with ExitStack() as stack:
        whole, parts = sources.pending, _in_parts(sources.pending, chosen, stack)
        sources = replace(sources, pending=[one for inner in parts for one in inner])
        files = {number: (one.file, one.where) for number, one in enumerate(sources.pending)}
        changed_ns = [one.file.changed_ns for one in sources.pending]

        def stage() -> StagingArea:
            # Most hours bring plain files and need none of it, nor the readers of other forms.
            from batch_scoring.ingestion.staging import staging_area

            area = stack.enter_context(staging_area(chosen))
            area.stage(files, latest)
            leave_out(area, gone, changed_ns)
            refuse_new_devices(area, readings, chosen.max_new_devices)
            return area

        plain = read_plain(sources.pending, chosen, latest, stack)
        if plain is not None and (
            (gone and plain.staged_ids("device") & {one.device for one in gone})
            or are_too_many(plain, readings, chosen.max_new_devices)
        ):
            plain = None
        new = NewReadings(plain or stage(), stage, chosen, changed_ns)
        unread = _unread(sources, new.rows, settings)
        is_nothing = not (len(new.rows.failed) < len(files) or known.num_rows)
        if unread and (is_nothing or chosen.on_bad_file == "stop"):
            raise InputError(unread[0])
        yield partial(_add_readings, new, selection, quarantine, files), no_change, no_change, {}
        # Only now: to decide on its rows, a file may have been read again.
        read = {number: file for number, (file, _) in files.items() if number not in new.rows.failed}
        yield no_change, replace_quarantine(new.rows, read), no_change, {}
        unread = _unread(sources, new.rows, settings)
        poor = shortfalls_of(new.rows, read, chosen, latest)
        rows = _source_rows(new.rows, whole, parts, chosen)
        counts = counts_of(new, len(files), unread + before + poor)
        yield no_change, no_change, record_sources([*sources.touched, *rows], targets=targets), counts
        log_summary(counts, len(raw_readings) + len(files) - len(whole), new)
    if poor and not (new.stored or readings.num_rows):
        raise InputError("; ".join(unread + poor))


def _check_sources(
    sources: ChosenSources, known: pa.Table, settings: IngestSettings, values: Mapping[str, Any] | None
) -> None:
    """Raise InputError where no file can be read, or times would be stored again by another zone."""
    if sources.unreadable and not (sources.pending or known.num_rows):
        raise InputError(next(iter(sources.unreadable.values())))
    for digest, files in sources.stored_by.items():
        zone = settings.zone_of(digest)
        if zone is None:
            continue
        # It reads samples of them twice, and only where the zone is another one.
        from batch_scoring.ingestion.inspection.other_zone import changed_by

        file = changed_by(zone, files, values or {})
        if file is not None:
            raise InputError(
                f"ingest.timezone: {settings.timezone!r} is not that of earlier runs, which have stored "
                f"{file.name} by {zone!r}; its readings would be stored again at other times: add --params "
                f"ingest.timezone={zone}, or name another workspace with data=…"
            )
    earlier = set(pc.unique(known["settings"]).to_pylist())
    if sources.pending and earlier and settings.digest not in earlier:
        zones = sorted({zone for digest in earlier if (zone := settings.zone_of(digest)) is not None})
        logger.warning(
            "the files are read with other settings than those of earlier runs of this workspace%s",
            f": ingest.timezone was {' and '.join(zones)}, and is {settings.timezone}" if zones else "",
        )


def _require_stored_ids(selection: Selection, quarantine: RowTable, readings: RowTable) -> None:
    require_known_ids(selection, stored_ids(readings, selection), stored_ids(quarantine, selection))


def _add_readings(
    new: NewReadings,
    selection: Selection,
    quarantine: RowTable,
    files: Mapping[int, tuple[SourceFile, str]],
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
    return Change(
        READINGS,
        new.rows_not_in(table),
        guard="ingest",
        rewritten=lambda: new.rewritten(table),
        by_month=new.rows.by_month,
    )


def _unread(
    sources: ChosenSources, found: PlainRows | StagingArea, settings: Mapping[str, Any] | None
) -> list[str]:
    """Return a sentence for each file that was not read; the first proposes settings."""
    # Of a file that changes while it is read there is nothing to look at.
    unknown = [number for number in found.failed if number not in found.passing]
    advice = dict.fromkeys(unknown, SEE)
    for first in unknown[:1]:
        # It knows every format there is; an hour without an unknown file does not wait for it.
        from batch_scoring.ingestion.inspection.advice import advice_on

        advice[first] = advice_on([sources.pending[number].file for number in unknown], settings)
    sentences = [
        f"{text}; {advice[number]}" if number in advice else text for number, text in found.failed.items()
    ]
    return [*sources.unreadable.values(), *sentences]


def _readable(new: NewReadings, files: Mapping[int, tuple[SourceFile, str]]) -> list[SourceFile]:
    return [file for number, (file, _) in files.items() if number not in new.rows.failed]


def _in_parts(
    pending: Sequence[PendingSource], settings: IngestSettings, stack: ExitStack
) -> list[list[PendingSource]]:
    """Return what each source is read as: an archive, or the sheets of a workbook, as the files in it."""
    if not any(one.file.format in ("archive", "workbook") for one in pending):
        return [[one] for one in pending]
    from batch_scoring.ingestion.inner_files import inner_files

    folder = stack.enter_context(scratch_folder(settings.temp_directory))
    return [[replace(one, file=file) for file in inner_files(one.file, settings, folder)] for one in pending]


def _source_rows(
    found: PlainRows | StagingArea,
    pending: Sequence[PendingSource],
    parts: Sequence[Sequence[PendingSource]],
    settings: IngestSettings,
) -> list[dict[str, Any]]:
    """Return the rows of SOURCES of the files that were read or refused, one of all that is in an archive."""
    n_rows, refused, future = found.rows_by_source(), found.refused_by_source(), found.first_future()
    aside, digest, rows, last = found.aside_by_source(), settings.digest, [], 0
    for source, inner in zip(pending, parts, strict=True):
        numbers = range(last, last + len(inner))
        last += len(inner)
        if any(number in found.passing for number in numbers):
            continue
        row = source_row(
            source,
            digest,
            sum(n_rows.get(number, 0) for number in numbers),
            sum(sum(refused.get(number, {}).values()) for number in numbers),
            min((future[number] for number in numbers if number in future), default=None),
            sum(aside.get(number, {}).get("missing_value", 0) for number in numbers),
        )
        bad = [found.failed[number] for number in numbers if number in found.failed]
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        rows.append(refused_row(row, source.file, bad[0] + more) if bad else row)
    return rows
