"""Stage files of windows in one DuckDB table, check them, and merge them with the stored windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import MAX_SEGMENT_BYTES, path_segment
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.sql import escape_glob, identifier, literal, timestamp_of
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS, in_row_groups
from batch_scoring.tables.schemas import windows_schema
from batch_scoring.tables.streams import Stream
from batch_scoring.windows.aggregation import windows_stream
from batch_scoring.windows.features import feature_function
from batch_scoring.windows.settings import AggregateParameters

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

# The ``inputs`` in the footer of imported windows.
MADE_BY = "stream"
TIMES = ("window_start", "window_end", "processed_time")


@dataclass
class StagedWindows:
    """Rows of files of windows; one window may have several, the last output counts.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Its time zone is UTC. Gets the table ``staged_windows``.
    settings : AggregateParameters
        Length and features that the windows must have.
    """

    connection: duckdb.DuckDBPyConnection
    settings: AggregateParameters
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.settings.features:
            feature_function(name)
        features = "".join(f", {identifier(name)} DOUBLE" for name in self._features)
        self.connection.execute(
            "CREATE TABLE staged_windows (source INTEGER, row BIGINT, window_start TIMESTAMPTZ, "
            "window_end TIMESTAMPTZ, processed_time TIMESTAMPTZ, device VARCHAR, sensor VARCHAR, "
            f"count BIGINT{features})"
        )

    @property
    def _features(self) -> list[str]:
        return [name for name in dict.fromkeys(self.settings.features) if name != "count"]

    @property
    def _columns(self) -> list[str]:
        return [*TIMES, "device", "sensor", "count", *self._features]

    def add(self, source: SourceFile, only: set[tuple[str, date]] | None = None) -> int:
        """Read a file of windows; returns its rows.

        Parameters
        ----------
        source : SourceFile
            Parquet, or JSON with one object a line.
        only : set of (sensor, day), optional
            Keep no others.

        Raises
        ------
        InputError
            Naming the file and the first column or row that is not what the settings ask for.
        """
        number = self._numbers.setdefault(source.name, len(self._numbers))
        if not source.size:
            return 0
        with source.opened() as path, _reading(path):
            scan, types = self._scan(source, path)
            texts = {name: f"CAST({name} AS VARCHAR)" for name in ("device", "sensor")}
            numbers = {n: f"COALESCE(TRY_CAST({identifier(n)} AS DOUBLE), 'nan')" for n in self._features}
            times = {name: timestamp_of(name, types[name], "UTC") for name in TIMES}
            made = times | texts | {"count": "TRY_CAST(count AS BIGINT)"} | numbers
            listed = ", ".join(made[name] for name in self._columns)
            names = ", ".join(map(identifier, self._columns))
            copied = self.connection.execute(
                f"INSERT INTO staged_windows (source, row, {names}) "
                f"SELECT {number}, row_number() OVER (), {listed} FROM {scan}"
            ).fetchall()
        self._require_sound(number, source.path)
        self._leave_out_long_names(number, source.path)
        self.connection.execute(
            f"DELETE FROM staged_windows WHERE source = {number} AND count < {self.settings.min_readings}"
        )
        if only is not None:
            kept = ", ".join(f"({literal(sensor)}, DATE '{day.isoformat()}')" for sensor, day in sorted(only))
            self.connection.execute(
                f"DELETE FROM staged_windows WHERE source = {number} "
                f"AND (sensor, CAST(window_start AS DATE)) NOT IN ({kept})"
            )
        rows: int = copied[0][0]
        return rows

    def partitions_of(self, source: SourceFile) -> set[tuple[str, date]]:
        """Return the sensors and days of a file's windows."""
        found = self.connection.execute(
            "SELECT DISTINCT sensor, CAST(window_start AS DATE) FROM staged_windows "
            f"WHERE source = {self._numbers[source.name]}"
        )
        return set(found.fetchall())

    def merged(self, sensor: str, day: date, stored: pq.ParquetFile | None) -> Stream | None:
        """Merge a sensor's windows of a day with stored windows whose files are gone.

        Returns
        -------
        Stream or None
            None when there is no window. To be read before the next one is asked for.
        """
        values = ", ".join(map(identifier, ["count", *self._features]))
        latest = ", ".join(f"{identifier(n)} DESC" for n in ["processed_time", "count", *self._features])
        counted = self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE merged_windows AS "
            f"SELECT window_start, window_end, device, {values} FROM staged_windows "
            f"WHERE sensor = {literal(sensor)} AND CAST(window_start AS DATE) = DATE '{day.isoformat()}' "
            f"QUALIFY row_number() OVER (PARTITION BY device, window_start ORDER BY {latest}) = 1"
        ).fetchall()
        if not counted[0][0]:
            return None
        if stored is not None and self._has_same_columns(stored):
            self._add_stored(stored, values)
        rows = self.connection.sql(
            f"SELECT window_start, window_end, device, {literal(sensor)} AS sensor, {values} "
            "FROM merged_windows ORDER BY device, window_start"
        ).to_arrow_reader(ROW_GROUP_ROWS)
        schema = windows_schema(self.settings.features)
        return windows_stream(schema, (table.cast(schema) for table in in_row_groups(rows)), MADE_BY)

    def _has_same_columns(self, stored: pq.ParquetFile) -> bool:
        """Windows of other features are of other settings: what is left of them is not kept."""
        return bool(stored.schema_arrow.names == windows_schema(self.settings.features).names)

    def _add_stored(self, stored: pq.ParquetFile, values: str) -> None:
        batches = stored.iter_batches(ROW_GROUP_ROWS)
        self.connection.register("stored", pa.RecordBatchReader.from_batches(stored.schema_arrow, batches))
        self.connection.execute(
            f"INSERT INTO merged_windows SELECT window_start, window_end, device, {values} FROM stored "
            "ANTI JOIN merged_windows USING (device, window_start) "
            f"WHERE epoch_us(window_end) - epoch_us(window_start) = {self._window_us} "
            f"AND count >= {self.settings.min_readings}"
        )
        self.connection.unregister("stored")

    @property
    def _window_us(self) -> int:
        return self.settings.window // MICROSECOND

    def _scan(self, source: SourceFile, local: str) -> tuple[str, dict[str, str]]:
        """The file, which can be read at ``local``, as a SQL relation, and the types of its columns."""
        path = literal(escape_glob(local))
        if source.format == "parquet":
            scan = f"read_parquet([{path}], hive_partitioning = false)"
        else:
            scan = f"read_json([{path}], format = 'auto', hive_partitioning = false)"
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
        types = {row[0]: row[1] for row in described}
        self._require_columns(list(types), source.path)
        if source.format == "json":
            # With explicit types: a device such as 2026-01-05 is not a date.
            kinds = dict.fromkeys(self._columns, "DOUBLE") | {"count": "BIGINT"}
            kinds |= dict.fromkeys((*TIMES, "device", "sensor"), "VARCHAR")
            columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
            scan = f"read_json([{path}], format = 'auto', columns = {{{columns}}}, hive_partitioning = false)"
            types = kinds
        return scan, types

    def _require_columns(self, names: list[str], path: str) -> None:
        for wanted in self._columns:
            if wanted not in names:
                shown = ", ".join(map(repr, names[:20]))
                remedy = (
                    "render the job's query anew with these aggregate.features, or leave it out of them"
                    if wanted in self._features
                    else "render the job's query with `kedro deploy stream-query`"
                )
                raise InputError(f"{path}: the windows have no column {wanted!r}, only {shown}; {remedy}")

    def _require_sound(self, number: int, path: str) -> None:
        checks = {
            "has no device": "COALESCE(device, '') = ''",
            "has no sensor": "COALESCE(sensor, '') = ''",
            "has no valid processed_time": "processed_time IS NULL",
            "has no valid start or end": "window_start IS NULL OR window_end IS NULL",
            "has no valid count of readings": "count IS NULL OR count NOT BETWEEN 1 AND 2147483647",
            f"is a window of another length than aggregate.window, {self.settings.window}": (
                f"epoch_us(window_end) - epoch_us(window_start) <> {self._window_us}"
            ),
            "is a window that does not start at a multiple of its length": (
                f"epoch_us(window_start) % {self._window_us} <> 0"
            ),
        }
        whens = " ".join(f"WHEN {check} THEN {literal(why)}" for why, check in checks.items())
        bad = self.connection.execute(
            f"SELECT row, CASE {whens} END AS why FROM staged_windows "
            f"WHERE source = {number} AND why IS NOT NULL ORDER BY row LIMIT 1"
        ).fetchone()
        if bad is not None:
            raise InputError(
                f"{path}: row {bad[0]} {bad[1]}; nothing was imported: render the job's query anew with "
                "`kedro deploy stream-query`, and remove the files of the old one"
            )

    def _leave_out_long_names(self, number: int, path: str) -> None:
        """A sensor that cannot name a file: as in `ingest`, its rows do not keep the others out."""
        sensors = self.connection.execute(
            f"SELECT DISTINCT sensor FROM staged_windows WHERE source = {number}"
        ).fetchall()
        for (sensor,) in sensors:
            if len(path_segment(sensor)) > MAX_SEGMENT_BYTES:
                logger.warning("%r: sensor %.40r… is left out, its name is too long", path, sensor)
                self.connection.execute(
                    f"DELETE FROM staged_windows WHERE source = {number} AND sensor = {literal(sensor)}"
                )


@contextmanager
def _reading(path: str) -> Iterator[Any]:
    """Name the file in errors of DuckDB."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise InputError(
            f"{path}: cannot be read as windows ({str(error).splitlines()[0]}); nothing was imported: "
            "fix or remove the file"
        ) from error
