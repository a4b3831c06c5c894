"""Merge the staged rows of a partition with the stored ones: new, already stored or refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.ingestion.sql import literal
from batch_scoring.tables.fingerprints import RowDigest
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS, in_row_groups
from batch_scoring.tables.schemas import READINGS
from batch_scoring.tables.streams import Stream

if TYPE_CHECKING:
    import duckdb

    from batch_scoring.ingestion.staging import StagedPartition

# Two readings of one device, sensor and time cannot both be kept. Who wins does not depend on how
# the rows were spread over files and runs: what is stored stays, else the first in the order of
# sources and rows. Of the rows that say the same as the winner, the first of each source is that
# reading (now or already stored), later ones of that source are duplicates; the others conflict.
_VERDICTS = """
SELECT source, row, CASE
    WHEN source < 0 THEN 'stored'
    WHEN value <> first_value(value) OVER reading THEN 'conflict'
    WHEN row_number() OVER (PARTITION BY device, timestamp, value, source ORDER BY row) > 1 THEN 'duplicate'
    WHEN row_number() OVER reading > 1 THEN 'already_stored'
    ELSE 'new' END AS verdict
FROM candidates SEMI JOIN repeated USING (device, timestamp)
WINDOW reading AS (PARTITION BY device, timestamp ORDER BY source, row)
"""


@dataclass(frozen=True)
class MergedPartition:
    """The result of merging a partition's staged rows.

    Attributes
    ----------
    new, already_stored : int
        Rows that are readings now, and rows that were already. The refused are in the table ``refused``.
    stream : Stream or None
        The whole partition with the new rows, to be read before the next partition is merged;
        None when it gains nothing.
    """

    new: int
    already_stored: int
    stream: Stream | None


def merge_partition(
    connection: duckdb.DuckDBPyConnection, staged: StagedPartition, stored: pq.ParquetFile | None
) -> MergedPartition:
    """Merge the staged rows of a sensor and day with the stored ones.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Of the staging area; duplicates and conflicts are added to its table ``refused``.
    staged : StagedPartition
    stored : pyarrow.parquet.ParquetFile or None
        The stored partition, with the schema ``READINGS``; None when it is new.
    """
    incoming = _gather_candidates(connection, staged, stored)
    repeated = _create(
        connection,
        "repeated",
        "SELECT device, timestamp FROM candidates GROUP BY ALL HAVING count(*) > 1",
    )
    # Most partitions hold every reading once; they need no verdicts.
    verdicts = _classify_repeated(connection) if repeated else {}
    if verdicts.keys() & {"duplicate", "conflict"}:
        _refuse(connection, staged.sensor)
    known = verdicts.get("already_stored", 0)
    new = incoming - known - verdicts.get("duplicate", 0) - verdicts.get("conflict", 0)
    stream = _merged_stream(connection, staged.sensor, has_losers=bool(repeated)) if new else None
    return MergedPartition(new, known, stream)


def _gather_candidates(
    connection: duckdb.DuckDBPyConnection, staged: StagedPartition, stored: pq.ParquetFile | None
) -> int:
    """Fill the table ``candidates``; stored rows have the source -1. Returns the number of staged rows."""
    incoming = _create(connection, "candidates", f"SELECT * FROM {staged.rows}")
    if stored is not None:
        columns = ["timestamp", "device", "value"]
        schema = pa.schema([stored.schema_arrow.field(name) for name in columns])
        batches = stored.iter_batches(ROW_GROUP_ROWS, columns=columns)
        connection.register("stored", pa.RecordBatchReader.from_batches(schema, batches))
        connection.execute(
            "INSERT INTO candidates SELECT -1, 0, timestamp, device, value, NULL, NULL FROM stored"
        )
        connection.unregister("stored")
    return incoming


def _classify_repeated(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Fill the table ``verdicts``; returns the number of rows by verdict."""
    _create(connection, "verdicts", _VERDICTS)
    counted = connection.execute("SELECT verdict, count(*) FROM verdicts GROUP BY verdict").fetchall()
    return dict(counted)


def _create(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> int:
    """Make a temporary table of a query; returns the number of its rows."""
    made = connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}").fetchall()
    rows: int = made[0][0]
    return rows


def _refuse(connection: duckdb.DuckDBPyConnection, sensor: str) -> None:
    # Rows of typed columns have no raw text: ISO time, shortest number.
    connection.execute(
        "INSERT INTO refused SELECT source, row, "
        "COALESCE(raw_timestamp, strftime(timestamp, '%Y-%m-%dT%H:%M:%S.%fZ')), device, "
        f"{literal(sensor)}, COALESCE(raw_value, CAST(value AS VARCHAR)), verdict "
        "FROM candidates JOIN verdicts USING (source, row) WHERE verdict IN ('duplicate', 'conflict')"
    )


def _merged_stream(connection: duckdb.DuckDBPyConnection, sensor: str, has_losers: bool) -> Stream:
    losers = "ANTI JOIN (FROM verdicts WHERE verdict NOT IN ('new', 'stored')) USING (source, row)"
    rows = connection.sql(
        f"SELECT timestamp, device, value FROM candidates {losers if has_losers else ''} "
        "ORDER BY device, timestamp"
    ).to_arrow_reader(ROW_GROUP_ROWS)
    metadata: dict[str, str] = {}
    return Stream(READINGS, _digested(_as_readings(in_row_groups(rows), sensor), metadata), metadata)


def _as_readings(tables: Iterable[pa.Table], sensor: str) -> Iterator[pa.Table]:
    for table in tables:
        sensors = pa.repeat(pa.scalar(sensor, pa.string()), table.num_rows)
        yield pa.table(
            [table["timestamp"], table["device"], sensors, table["value"]], names=READINGS.names
        ).cast(READINGS)


def _digested(tables: Iterable[pa.Table], metadata: dict[str, str]) -> Iterator[pa.Table]:
    """Pass the tables on, and put the digest of their rows into the metadata when all are through."""
    digest = RowDigest()
    for table in tables:
        digest.update(table)
        yield table
    metadata["digest"] = digest.hexdigest()
