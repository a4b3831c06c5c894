"""Nodes of ``ingest``: raw readings to clean readings and a quarantine; nothing is lost or stored twice."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from batch_scoring.core.ids import Selection
from batch_scoring.core.parameters import scheduled_time
from batch_scoring.ingestion.known_ids import require_known_ids
from batch_scoring.ingestion.ledger import (
    LedgerEntry,
    choose_sources,
    ledger_page,
    require_unchanged,
    source_key,
)
from batch_scoring.ingestion.merge import MergedPartition, merge_partition
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.staging import StagingArea, staging_area
from batch_scoring.tables.partitions import Partitions, partition_key
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import REFUSED_DEVICES
from batch_scoring.tables.streams import Stream

logger = logging.getLogger(__name__)

# Above this share of a file's readings in the future, a clock is wrong.
_MOSTLY = 0.9

Chunk = tuple[dict[str, Stream], dict[str, Stream], dict[str, pa.Table], dict[str, Any]]


def ingest_readings(
    raw_readings: list[SourceFile],
    previous_readings: Partitions,
    previous_quarantine: Partitions,
    previous_ingested_sources: Mapping[str, LedgerEntry],
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
    previous_readings, previous_quarantine : mapping of partition to function that opens it
    previous_ingested_sources : mapping of partition to LedgerEntry
    settings : mapping
        ``params:ingest``, see :class:`~batch_scoring.ingestion.settings.IngestSettings`.
    device, sensor
        ``params:device`` and ``params:sensor``.
    at
        ``params:at``, the scheduled time. A reading is in the future when it is later than this
        and than now by more than ``max_future``.

    Yields
    ------
    readings : dict of str to Stream
        A partition (sensor and day) that gains rows, whole, sorted by device and time; its
        metadata has a ``digest`` of its rows. To be read before the next chunk is asked for.
    quarantine : dict of str to Stream
        The refused rows of a source file, in the order of its rows.
    ingested_sources : dict of str to pyarrow.Table
        The ledger page of a source file; last, so that a killed run is repeated.
    ingest_counts : dict
        Running totals: ``sources``, ``rows``, ``stored``, ``already_stored`` and ``refused``, a
        dict of reason to rows. ``rows`` is the sum of the others. ``shortfalls``: sentences that end the
        whole run with an error after its last node.

    Raises
    ------
    InputError
        When a file cannot be read (nothing is ingested then), or a device or sensor is unknown.
    """
    chosen = read_settings(settings)
    selection = Selection.read(device, sensor)
    # A run that starts late for its scheduled time finds later readings, and they are no error.
    latest = max(scheduled_time(at), datetime.now(UTC)) + chosen.max_future
    pending = choose_sources(raw_readings, previous_ingested_sources, chosen.digest, selection, latest)
    counts = _no_counts(len(pending))
    if pending:
        with staging_area(chosen) as area:
            staged = [area.stage(n, source.file, source.where, latest) for n, source in enumerate(pending)]
            searches = (area.staged_ids, lambda kind: area.source_ids(kind, [s.file for s in pending]))
            require_known_ids(selection, previous_readings, previous_quarantine, *searches)
            area.collect_refused()
            for totals, readings in _merged(area, previous_readings, counts):
                counts = totals
                yield readings, {}, {}, counts
            for number, (source, rows) in enumerate(zip(pending, staged, strict=True)):
                require_unchanged(source.file)
                refused = area.refused_counts(number)
                counts = _with_source(counts, rows, refused)
                key = source_key(source.file.name)
                first_future = area.first_future(number) if refused.get("future_timestamp") else None
                if refused.get("future_timestamp", 0) > _MOSTLY * rows:
                    counts = _with_shortfall(counts, source.file.path, refused, rows, latest)
                page = ledger_page(source, chosen.digest, rows, sum(refused.values()), first_future)
                is_event_file = source.file.format == "events"
                quarantine = (
                    area.event_quarantine(number, source.file)
                    if is_event_file
                    else area.quarantine(number, source.file.name)
                )
                yield {}, {key: quarantine}, {key: page}, counts
    else:
        require_known_ids(selection, previous_readings, previous_quarantine)
    _log_summary(counts, len(raw_readings))
    yield {}, {}, {}, counts


def _merged(
    area: StagingArea, stored: Partitions, counts: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Stream]]]:
    """Yield the counts so far and what to write, one staged partition after the other."""
    for partition in area.partitions():
        key = partition_key(partition.sensor, partition.day)
        opened = stored.get(key)
        merged = merge_partition(area.connection, partition, opened() if opened else None)
        counts = _with_partition(counts, merged)
        yield counts, {} if merged.stream is None else {key: merged.stream}


def count_refused_devices(quarantine: Partitions) -> pa.Table:
    """Count the refused rows of every device and sensor by reason.

    Parameters
    ----------
    quarantine : mapping of partition to function that opens it

    Returns
    -------
    pyarrow.Table
        device, sensor, reason, count; sorted by these. Rows without a device or a sensor, or that
        could not be read at all, are left out.
    """
    counted = [REFUSED_DEVICES.empty_table()]
    for opened in quarantine.values():
        for batch in opened().iter_batches(ROW_GROUP_ROWS, columns=["device", "sensor", "reason"]):
            rows = pa.Table.from_batches([batch])
            ones = rows.append_column("count", pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows))
            counted.append(_sum_counts(ones))
    total = _sum_counts(pa.concat_tables(counted))
    return total.sort_by([(name, "ascending") for name in ("device", "sensor", "reason")])


def _sum_counts(rows: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    named = rows.filter(pc.field("device").is_valid() & pc.field("sensor").is_valid())
    named = named.filter((pc.field("device") != "") & (pc.field("sensor") != ""))
    grouped = named.group_by(["device", "sensor", "reason"]).aggregate([("count", "sum")])
    return grouped.rename_columns({"count_sum": "count"}).select(REFUSED_DEVICES.names).cast(REFUSED_DEVICES)


def _no_counts(sources: int) -> dict[str, Any]:
    return {"sources": sources, "rows": 0, "stored": 0, "already_stored": 0, "refused": {}, "shortfalls": []}


def _with_partition(counts: dict[str, Any], merged: MergedPartition) -> dict[str, Any]:
    return counts | {
        "stored": counts["stored"] + merged.new,
        "already_stored": counts["already_stored"] + merged.already_stored,
    }


def _with_source(counts: dict[str, Any], rows: int, refused: dict[str, int]) -> dict[str, Any]:
    total = Counter(counts["refused"]) + Counter(refused)
    return counts | {"rows": counts["rows"] + rows, "refused": dict(sorted(total.items()))}


def _with_shortfall(
    counts: dict[str, Any], path: str, refused: dict[str, int], rows: int, latest: datetime
) -> dict[str, Any]:
    text = (
        f"{path}: {refused['future_timestamp']:,} of {rows:,} readings are later than "
        f"{latest:%Y-%m-%d %H:%M} UTC (now plus ingest.max_future); set this machine's clock, or "
        "raise ingest.max_future; they are read again once they are not in the future"
    )
    return counts | {"shortfalls": [*counts["shortfalls"], text]}


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
            "To take the new ones, delete the stored readings and the ledger and ingest again",
            f"{counts['refused']['conflict']:,}",
        )
