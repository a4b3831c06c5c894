"""Read the staged rows that are no readings: refused, without a value, or part of another reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.core.text import printable
from batch_scoring.ingestion.capture import capture_partition
from batch_scoring.ingestion.events import event_sources
from batch_scoring.ingestion.sql import literal, text_list
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import QUARANTINE

if TYPE_CHECKING:
    import duckdb

    from batch_scoring.ingestion.relations import RawRelation
    from batch_scoring.ingestion.source_files import SourceFile

# Staged rows that are no readings and are not refused either: nothing is lost with them.
ASIDE = ("missing_value", "merged")
_LONGEST_TEXT = 80
# Rows of typed columns have no raw text: ISO time, shortest number.
_REFUSED = f"""
SELECT source, row, raw_timestamp AS timestamp, device, sensor, raw_value AS value, reason
FROM staged WHERE reason IS NOT NULL AND reason NOT IN {text_list(ASIDE)}
UNION ALL
SELECT source, row, COALESCE(raw_timestamp, strftime(timestamp, '%Y-%m-%dT%H:%M:%S.%fZ')), device, sensor,
    COALESCE(raw_value, CAST(value AS VARCHAR)), verdict
FROM staged JOIN losers USING (source, row) WHERE verdict IN ('duplicate', 'conflict')
"""
_ASIDE = f"""
SELECT source, reason FROM staged WHERE reason IN {text_list(ASIDE)}
UNION ALL
SELECT source, verdict FROM losers WHERE verdict = 'superseded'
UNION ALL
SELECT source, 'same_time' FROM losers WHERE verdict = 'conflict' AND winner = source
"""


def refused_by_source(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, int]]:
    """Count the refused rows of each source by reason."""
    return _counts(connection, _REFUSED)


def aside_by_source(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, int]]:
    """Count other rows of each source, by what they are.

    ``missing_value``: without one; ``merged``: part of a reading of the same time; ``superseded``: a newer
    file has the reading. ``same_time`` are refused, too: conflicts within a file.
    """
    return _counts(connection, _ASIDE)


def first_future(connection: duckdb.DuckDBPyConnection) -> dict[int, datetime]:
    """Return the earliest time of each source refused as ``future_timestamp``, UTC."""
    found = connection.execute(
        "SELECT source, timezone('UTC', min(timestamp)) FROM staged WHERE reason = 'future_timestamp' "
        "GROUP BY source"
    ).fetchall()
    return {source: moment.replace(tzinfo=UTC) for source, moment in found}


def first_refused(connection: duckdb.DuckDBPyConnection, source: int, reason: str) -> str:
    """Return the text of the first row of a source that is refused for a reason, short and printable."""
    column = "device" if "device" in reason else "timestamp" if "time" in reason else "value"
    (text,) = connection.execute(
        f"SELECT arg_min({column}, row) FROM ({_REFUSED}) "
        f"WHERE source = {source} AND reason = {literal(reason)}"
    ).fetchall()[0]
    return printable((text or "")[:_LONGEST_TEXT])


def refused_rows(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[int, SourceFile],
    relations: Mapping[int, RawRelation],
) -> Iterator[pa.Table]:
    """Yield the refused rows by source and row; schema QUARANTINE.

    A row of stored events names partition, offset and number, too. Of a relation with several rows to a
    record, it is that record's number.
    """
    widths = [relations[number].width if number in relations else 1 for number in sources]
    connection.register(
        "source_names",
        pa.table(
            {
                "source": pa.array(list(sources), pa.int32()),
                "name": [one.name for one in sources.values()],
                "width": pa.array(widths, pa.int64()),
            }
        ),
    )
    rows = connection.sql(
        "SELECT timestamp, device, sensor, value, name AS source, (row - 1) // width + 1 AS row, reason, "
        f"source AS number FROM ({_REFUSED}) AS refused JOIN source_names USING (source) "
        "ORDER BY refused.source, refused.row"
    ).to_arrow_reader(ROW_GROUP_ROWS)
    events = {n: source for n, source in sources.items() if _is_of_events(relations.get(n))}
    for batch in rows:
        table = pa.Table.from_batches([batch])
        if events:
            table = _with_events(table, events)
        yield table.drop_columns(["number"]).cast(QUARANTINE)


def _is_of_events(relation: RawRelation | None) -> bool:
    return relation is not None and relation.kind == "events"


def _counts(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = {}
    for source, reason, n in connection.execute(
        f"SELECT source, reason, count(*) FROM ({rows}) GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        counts.setdefault(source, {})[reason] = n
    return counts


def _with_events(rows: pa.Table, events: Mapping[int, SourceFile]) -> pa.Table:
    numbers, names = rows["number"].to_pylist(), rows["source"].to_pylist()
    for number in sorted(set(numbers) & events.keys()):
        source = events[number]
        places = [place for place, one in enumerate(numbers) if one == number]
        with source.opened() as path:
            partition = capture_partition(source.name) or capture_partition(source.path)
            found = event_sources(path, rows["row"].take(places).to_pylist(), partition)
        for place, event in zip(places, found, strict=True):
            names[place] = f"{source.name}: {event}"
    return rows.set_column(rows.column_names.index("source"), "source", pa.array(names, pa.string()))
