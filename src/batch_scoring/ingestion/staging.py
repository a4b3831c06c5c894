"""Read source files with DuckDB into staged rows on disk: clean ones by sensor and day, refused apart."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.capture import capture_partition
from batch_scoring.ingestion.events import event_sources
from batch_scoring.ingestion.ledger import require_unchanged
from batch_scoring.ingestion.relations import RawRelation, raw_relation
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.sql import escape_glob, literal, reason_of, timestamp_of, value_of
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS, in_row_groups
from batch_scoring.tables.schemas import QUARANTINE
from batch_scoring.tables.streams import Stream

if TYPE_CHECKING:
    import duckdb

    from batch_scoring.ingestion.source_files import SourceFile

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StagedPartition:
    """The staged rows of one sensor and day.

    Attributes
    ----------
    sensor : str
    day : date
        UTC.
    rows : str
        A SQL relation with the columns ``source, row, timestamp, device, value, raw_timestamp, raw_value``.
    """

    sensor: str
    day: date
    rows: str


@contextmanager
def staging_area(settings: IngestSettings) -> Iterator[StagingArea]:
    """Open a place for staged rows, deleted when the block ends."""
    import duckdb

    with scratch_folder(settings.temp_directory) as folder:
        try:
            connection = duckdb.connect(
                str(folder / "staging.duckdb"),
                config={
                    "memory_limit": settings.memory_limit,
                    "temp_directory": str(folder / "spill"),
                    "threads": len(os.sched_getaffinity(0)),
                },
            )
        except duckdb.Error as error:
            raise InputError(
                f"ingest.memory_limit: {settings.memory_limit!r} is refused ({_first_line(error)}); "
                "write for instance '1GB'"
            ) from error
        with connection:
            connection.execute("SET TimeZone = 'UTC'")
            # The bar goes to the standard output, whether that is a terminal or not.
            connection.execute("SET enable_progress_bar = false")
            # DuckDB 2.0 believes a Parquet column's minimum and maximum, which leave NaN out, and takes
            # isnan() of such a column for false.
            connection.execute("SET disabled_optimizers = 'statistics_propagation'")
            # Ids are compared as UTF-8 bytes, which is DuckDB's default order.
            connection.execute(
                "CREATE TABLE refused (source INTEGER, row BIGINT, timestamp VARCHAR, device VARCHAR, "
                "sensor VARCHAR, value VARCHAR, reason VARCHAR)"
            )
            yield StagingArea(connection, folder / "rows", settings)


@dataclass(frozen=True)
class StagingArea:
    """Staged rows, and the connection to query them; made by :func:`staging_area`.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
        Has the table ``refused``: ``source`` (the number it was staged under), then the columns
        of the quarantine.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    settings: IngestSettings

    def stage(self, number: int, source: SourceFile, where: str, latest: datetime) -> int:
        """Read a source file.

        Parameters
        ----------
        number : int
            The value of ``source`` in the staged rows.
        source : SourceFile
        where : str
            A SQL condition on ``device`` and ``sensor``: rows it does not hold for are left out.
        latest : datetime
            Readings after it are in the future.

        Returns
        -------
        int
            The number of rows staged, including refused ones.

        Raises
        ------
        InputError
            When the file cannot be read or a column is missing.
        """
        with source.opened() as path:
            with _reading(path):
                relation = raw_relation(self.connection, path, source.format, self.settings)
            if relation is None:
                logger.warning("%r is empty: it has no readings", source.path)
                return 0
            with self._open(path, relation):
                checked = _checked_rows(relation, self.settings, latest, where)
                copied = self.connection.execute(_copy_statement(checked, number, self.folder)).fetchall()
        require_unchanged(source)
        rows: int = copied[0][0]
        return rows

    def collect_refused(self) -> None:
        """Move the refused rows of all sources staged so far into the table ``refused``."""
        if self._has_rows("bucket=0"):
            self.connection.execute(
                "INSERT INTO refused SELECT source, row, raw_timestamp, device, sensor, raw_value, reason "
                f"FROM {_scan(self.folder / 'bucket=0')} WHERE reason IS NOT NULL"
            )

    def partitions(self) -> list[StagedPartition]:
        """List the staged sensors and days, in the order of sensor (as UTF-8 bytes) and day."""
        if not self._has_rows():
            return []
        found = self.connection.execute(
            "SELECT DISTINCT sensor, CAST(timestamp AS DATE), bucket, day "
            f"FROM {_scan(self.folder, hive_partitioning=True)} WHERE reason IS NULL ORDER BY 1, 2"
        ).fetchall()
        return [
            StagedPartition(
                sensor,
                day,
                f"(SELECT source, row, timestamp, device, value, raw_timestamp, raw_value "
                f"FROM {_scan(self.folder / f'bucket={bucket}' / f'day={text}')} "
                f"WHERE sensor = {literal(sensor)} AND reason IS NULL)",
            )
            for sensor, day, bucket, text in found
        ]

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the staged rows, including refused ones."""
        if not self._has_rows():
            return set()
        found = self.connection.execute(f"SELECT DISTINCT {kind} FROM {_scan(self.folder)}").fetchall()
        return {identifier for (identifier,) in found if identifier}

    def source_ids(self, kind: str, sources: Iterable[SourceFile]) -> set[str]:
        """Return the devices or sensors (``kind``) of source files, staged or not."""
        known: set[str] = set()
        for source in sources:
            with source.opened() as path:
                known |= self._ids(kind, path, source.format)
        return known

    def _ids(self, kind: str, path: str, file_format: str) -> set[str]:
        with _reading(path):
            relation = raw_relation(self.connection, path, file_format, self.settings)
        if relation is None:
            return set()
        with self._open(path, relation):
            found = self.connection.execute(f"SELECT DISTINCT {kind} FROM ({relation.sql})").fetchall()
        return {identifier for (identifier,) in found if identifier}

    def refused_counts(self, number: int) -> dict[str, int]:
        """Count the refused rows of the source staged under a number, by reason."""
        counted = self.connection.execute(
            f"SELECT reason, count(*) FROM refused WHERE source = {number} GROUP BY reason ORDER BY reason"
        )
        return dict(counted.fetchall())

    def first_future(self, number: int) -> datetime | None:
        """Return the earliest reading of a source refused as ``future_timestamp``, UTC; None without one."""
        if not self._has_rows("bucket=0"):
            return None
        found: tuple[datetime | None] = self.connection.execute(
            f"SELECT timezone('UTC', min(timestamp)) FROM {_scan(self.folder / 'bucket=0')} "
            f"WHERE source = {number} AND reason = 'future_timestamp'"
        ).fetchall()[0]
        return None if found[0] is None else found[0].replace(tzinfo=UTC)

    def quarantine(self, number: int, name: str) -> Stream:
        """Return the refused rows of the source staged under a number, with the source's name, by row."""
        rows = self.connection.sql(
            f"SELECT timestamp, device, sensor, value, {literal(name)} AS source, row, reason "
            f"FROM refused WHERE source = {number} ORDER BY row"
        ).to_arrow_reader(ROW_GROUP_ROWS)
        return Stream(QUARANTINE, (table.cast(QUARANTINE) for table in in_row_groups(rows)))

    def event_quarantine(self, number: int, source: SourceFile) -> Stream:
        """Like ``quarantine``, for stored events; a source names partition, offset and number too."""
        stream = self.quarantine(number, source.name)

        def with_events() -> Iterator[pa.Table]:
            partition = capture_partition(source.name) or capture_partition(source.path)
            for table in stream.batches:
                with source.opened() as path:
                    events = event_sources(path, table["row"].to_pylist(), partition)
                texts = pa.array([f"{source.name}: {event}" for event in events], pa.string())
                yield table.set_column(QUARANTINE.get_field_index("source"), "source", texts)

        return Stream(QUARANTINE, with_events())

    def _has_rows(self, below: str = "") -> bool:
        return next((self.folder / below).rglob("*.parquet"), None) is not None

    @contextmanager
    def _open(self, path: str, relation: RawRelation) -> Iterator[None]:
        if relation.lines is not None:
            self.connection.register("source_lines", relation.lines.open())
        try:
            with _reading(path):
                yield
        except InputError as error:
            cause = relation.lines.error if relation.lines is not None else None
            raise cause or error from None
        finally:
            if relation.lines is not None:
                self.connection.unregister("source_lines")


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Name the file in errors of DuckDB."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise InputError(
            f"{path}: reading it takes more than ingest.memory_limit; raise that ({_first_line(error)})"
        ) from error
    except duckdb.Error as error:
        raise InputError(
            f"{path}: cannot be read ({_first_line(error)}); nothing of it was ingested: "
            "fix or remove the file"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _checked_rows(relation: RawRelation, settings: IngestSettings, latest: datetime, where: str) -> str:
    timestamp = timestamp_of("raw_timestamp", relation.timestamp_type, settings.timezone)
    value = value_of("raw_value", relation.value_type)
    parsed = f"SELECT *, {timestamp} AS timestamp, {value} AS value FROM ({relation.sql}) WHERE {where}"
    # The raw text of a clean row is kept only where the typed value does not give it back.
    raw_timestamp = _kept_text("raw_timestamp", relation.timestamp_type)
    raw_value = _kept_text("raw_value", relation.value_type)
    return (
        f"SELECT row, timestamp, device, sensor, value, reason, {raw_timestamp} AS raw_timestamp, "
        f"COALESCE(malformed, {raw_value}) AS raw_value FROM ("
        f"SELECT *, {reason_of(settings.min_time, latest, settings.ranges)} AS reason FROM ({parsed}))"
    )


def _kept_text(column: str, sql_type: str) -> str:
    if sql_type == "VARCHAR":
        return column
    return f"CASE WHEN reason IS NOT NULL THEN CAST({column} AS VARCHAR) END"


def _copy_statement(rows: str, number: int, folder: Path) -> str:
    """Write rows below ``bucket=<hash of the sensor>/day=<day>``; refused ones below ``bucket=0``."""
    return (
        f"COPY (SELECT {number}::INTEGER AS source, *, "
        "CASE WHEN reason IS NULL THEN hash(sensor) ELSE 0 END AS bucket, "
        "CASE WHEN reason IS NULL THEN CAST(timestamp AS DATE) ELSE DATE '1970-01-01' END AS day "
        f"FROM ({rows})) TO {literal(str(folder))} (FORMAT parquet, PARTITION_BY (bucket, day), "
        f"FILENAME_PATTERN 's{number}_{{uuid}}', APPEND)"
    )


def _scan(folder: Path, hive_partitioning: bool = False) -> str:
    pattern = f"{escape_glob(str(folder))}/**/*.parquet"
    hive = "true, hive_types_autocast = false" if hive_partitioning else "false"
    return f"read_parquet({literal(pattern)}, hive_partitioning = {hive})"
