"""Stage files of windows in a DuckDB table, check them, and keep the last output of each window."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import fits_in_path
from batch_scoring.core.moments import MICROSECOND
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.sql import escape_glob, identifier, literal, timestamp_of
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import windows_schema
from batch_scoring.windows.features import feature_function
from batch_scoring.windows.settings import AggregateParameters

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

TIMES = ("window_start", "window_end", "processed_time")


@dataclass(frozen=True)
class StagedDay:
    """The staged windows of a day, or of a month.

    Attributes
    ----------
    first, last : int
        When the first and the last of them start, microseconds since the epoch.
    sensors : list of str
    rows : int
    """

    first: int
    last: int
    sensors: list[str]
    rows: int

    @property
    def condition(self) -> str:
        """Its times as a SQL condition."""
        return f"epoch_us(window_start) BETWEEN {self.first} AND {self.last}"


@dataclass
class StagedWindows:
    """Rows of files of windows; one window may have several, the last output counts.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Its time zone is UTC. Gets the tables ``staged_windows`` and ``last_windows``.
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

    def add(self, source: SourceFile) -> int:
        """Read a file of windows; returns its rows.

        Parameters
        ----------
        source : SourceFile
            Parquet, or JSON with one object a line.

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
        rows: int = copied[0][0]
        return rows

    def times_of(self, source: SourceFile) -> tuple[int, int] | None:
        """Return when a file's first and last window start, µs since the epoch; None without windows."""
        first, last = self.connection.execute(
            "SELECT epoch_us(min(window_start)), epoch_us(max(window_start)) FROM staged_windows "
            f"WHERE source = {self._numbers[source.name]}"
        ).fetchall()[0]
        return None if first is None else (first, last)

    def keep_last_outputs(self, times: pa.Table) -> None:
        """Choose the last output of each window that starts at some times.

        Parameters
        ----------
        times : pyarrow.Table
            Columns ``first`` and ``last``, both included, µs since the epoch; apart from each other.
        """
        self.connection.register("times", times)
        values = ", ".join(map(identifier, ["count", *self._features]))
        latest = ", ".join(f"{identifier(n)} DESC" for n in ["processed_time", "count", *self._features])
        self.connection.execute(
            "CREATE OR REPLACE TABLE last_windows AS "
            f"SELECT window_start, window_end, device, sensor, {values} FROM staged_windows "
            "ASOF JOIN times ON epoch_us(window_start) >= first WHERE epoch_us(window_start) <= last "
            f"QUALIFY row_number() OVER (PARTITION BY sensor, device, window_start ORDER BY {latest}) = 1"
        )

    def leave_out(self, day: StagedDay, sensor: str) -> None:
        """Drop a sensor's windows of a day."""
        self.connection.execute(
            f"DELETE FROM last_windows WHERE sensor = {literal(sensor)} AND {day.condition}"
        )

    def days(self, unit: str = "day") -> list[StagedDay]:
        """List the days, or the months, of the windows chosen."""
        found = self.connection.execute(
            "SELECT epoch_us(min(window_start)), epoch_us(max(window_start)), list(DISTINCT sensor), "
            f"count(*) FROM last_windows GROUP BY date_trunc('{unit}', window_start) ORDER BY 1"
        )
        return [StagedDay(*row) for row in found.fetchall()]

    def rows_of(self, day: StagedDay) -> Iterator[pa.Table]:
        """Read the windows chosen of a day or month, by sensor, device and window_start."""
        schema = windows_schema(self.settings.features)
        listed = ", ".join(map(identifier, schema.names))
        rows = self.connection.sql(
            f"SELECT {listed} FROM last_windows WHERE {day.condition} ORDER BY sensor, device, window_start"
        ).to_arrow_reader(ROW_GROUP_ROWS)
        for batch in rows:
            yield pa.Table.from_batches([batch]).cast(schema)

    @property
    def _window_us(self) -> int:
        return self.settings.length // MICROSECOND

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
            f"is a window of another length than aggregate.window, {self.settings.length}": (
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
            if not fits_in_path(sensor):
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
