"""Nodes of ``import_windows``: merge windows aggregated elsewhere; the last output of a window wins."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.digests import digest_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.core.parameters import read_parameters
from batch_scoring.ingestion.ledger import (
    LedgerEntry,
    PendingSource,
    choose_sources,
    ledger_page,
    require_unchanged,
    source_key,
)
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.staging import staging_area
from batch_scoring.ingestion.stream_windows import MADE_BY, StagedWindows
from batch_scoring.tables.partitions import Partitions, partition_key
from batch_scoring.tables.schemas import IMPORTED_WINDOWS
from batch_scoring.tables.streams import Stream, footer_text
from batch_scoring.windows.settings import AggregateParameters

logger = logging.getLogger(__name__)

Chunk = tuple[dict[str, Stream], dict[str, pa.Table]]


def import_windows(
    stream_windows: list[SourceFile],
    previous_windows: Partitions,
    previous_imported_windows: Mapping[str, LedgerEntry],
    parameters: dict[str, Any],
    ingest: dict[str, Any],
) -> Iterator[Chunk]:
    """Merge new and changed files of windows into the stored windows.

    Of the rows of one window the one with the latest ``processed_time`` counts, whatever file it is
    in and in whatever order the files come. Windows of a day that ``aggregate`` made of readings stay
    as they are: it knows late readings, too.

    Parameters
    ----------
    stream_windows : list of SourceFile
        All files there are.
    previous_windows : mapping of partition to function that opens it
    previous_imported_windows : mapping of partition to LedgerEntry
    parameters : dict
        ``params:aggregate``: the length and the features that the windows have to have.
    ingest : dict
        ``params:ingest``, for its memory limit and place for temporary files.

    Yields
    ------
    windows : dict of str to Stream
        A sensor and day that gains or changes windows, whole, sorted by device and window_start. To
        be read before the next chunk is asked for.
    imported_windows : dict of str to pyarrow.Table
        The ledger page of a file; last, so that a killed run is repeated.

    Raises
    ------
    InputError
        When a file cannot be read, lacks a column, or has windows of another length; nothing is
        imported then.
    """
    settings = read_parameters(AggregateParameters, parameters, "aggregate")
    digest = _settings_digest(settings)
    everything = Selection()
    pending = choose_sources(stream_windows, previous_imported_windows, digest, everything)
    if not pending:
        logger.info("import_windows: nothing new in %d files", len(stream_windows))
        yield {}, {}
        return
    earlier = {key: _partitions(entry) for key, entry in previous_imported_windows.items()}
    with staging_area(read_settings(ingest)) as area:
        staged = StagedWindows(area.connection, settings)
        rows = [staged.add(source.file) for source in pending]
        found = [staged.partitions_of(source.file) for source in pending]
        touched = set().union(*found, *(earlier.get(source_key(one.file.name), ()) for one in pending))
        for file in _others(stream_windows, pending, earlier, touched):
            staged.add(file, touched)
        made = 0
        for sensor, day in sorted(touched):
            stream = _partition(staged, sensor, day, previous_windows.get(partition_key(sensor, day)))
            if stream is not None:
                made += 1
                yield {partition_key(sensor, day): stream}, {}
        for source, n_rows, partitions in zip(pending, rows, found, strict=True):
            if _has_changed(source.file):
                continue
            yield {}, {source_key(source.file.name): _page(source, digest, n_rows, partitions)}
    logger.info(
        "import_windows: %d of %d files read, %d partitions of windows written",
        len(pending),
        len(stream_windows),
        made,
    )


def _partition(
    staged: StagedWindows, sensor: str, day: date, opened: Callable[[], pq.ParquetFile] | None
) -> Stream | None:
    stored = opened() if opened is not None else None
    if stored is not None and footer_text(stored, "inputs") != MADE_BY:
        logger.warning(
            "import_windows: the windows of sensor %r on %s were aggregated from readings and are kept",
            sensor,
            day,
        )
        return None
    return staged.merged(sensor, day, stored)


def _others(
    files: Iterable[SourceFile],
    pending: Iterable[PendingSource],
    earlier: Mapping[str, set[tuple[str, date]]],
    touched: set[tuple[str, date]],
) -> list[SourceFile]:
    """List the files read before that hold windows of the same sensors and days."""
    names = {source.file.name for source in pending}
    return [
        file
        for file in files
        if file.name not in names and earlier.get(source_key(file.name), set()) & touched
    ]


def _has_changed(file: SourceFile) -> bool:
    """Whether a file grew while it was read: it is read again by the next run."""
    try:
        require_unchanged(file)
    except InputError:
        logger.info("import_windows: %r is still being written", file.path)
        return True
    return False


def _page(source: PendingSource, digest: str, rows: int, partitions: set[tuple[str, date]]) -> pa.Table:
    listed = json.dumps([[sensor, day.isoformat()] for sensor, day in sorted(partitions)], ensure_ascii=False)
    page = ledger_page(source, digest, rows, 0)
    return page.append_column(IMPORTED_WINDOWS.field("partitions"), pa.array([listed], pa.string()))


def _partitions(entry: LedgerEntry) -> set[tuple[str, date]]:
    (page,) = entry.open().read(columns=["partitions"]).to_pylist()
    return {(sensor, date.fromisoformat(day)) for sensor, day in json.loads(page["partitions"])}


def _settings_digest(settings: AggregateParameters) -> str:
    deciding = [settings.window // MICROSECOND, list(settings.features), settings.min_readings]
    return digest_of(deciding)
