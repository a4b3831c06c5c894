"""Read source files with DuckDB into one table of staged rows, clean and refused."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batch_scoring.core.errors import InputError, MachineError
from batch_scoring.core.moments import EPOCH, MICROSECOND
from batch_scoring.core.processes import usable_cores
from batch_scoring.core.progress import watch_progress
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.core.system_errors import system_error
from batch_scoring.ingestion.checked_rows import OpenedFile, checked_rows, fixed_ids, scan_files
from batch_scoring.ingestion.clocks import (
    RepeatedHours,
    naive_conditions,
    refuse_unset_clocks,
    settle_repeated_hours,
)
from batch_scoring.ingestion.database_errors import first_line_of, naming_file, telling_of_limits
from batch_scoring.ingestion.empty_series import refuse_empty_series
from batch_scoring.ingestion.file_formats import readable_form, without_copies
from batch_scoring.ingestion.refused_rows import (
    aside_by_source,
    first_future,
    first_refused,
    refused_by_source,
    refused_rows,
)
from batch_scoring.ingestion.relations import RawRelation, numbered_lines
from batch_scoring.ingestion.same_time import join_same_time
from batch_scoring.ingestion.second_look import Trouble, look_again, reordered, troubles
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_formats import Described, raw_relation
from batch_scoring.ingestion.staged_days import StagedDay, are_sparse, day_counts, staged_days

if TYPE_CHECKING:
    import duckdb

    from batch_scoring.ingestion.source_files import SourceFile

logger = logging.getLogger(__name__)

_MEGABYTE = 1_000_000


@contextmanager
def open_database(settings: IngestSettings, folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory, which spills to the folder, until the block ends."""
    import duckdb

    try:
        connection = duckdb.connect(
            config={
                "memory_limit": settings.memory_limit,
                "temp_directory": str(folder / "spill"),
                "threads": usable_cores(),
            },
        )
    except duckdb.Error as error:
        raise system_error(error, folder) or InputError(
            f"ingest.memory_limit: {settings.memory_limit!r} is refused ({first_line_of(error)}); "
            "write for instance '1GB'"
        ) from error
    with connection:
        yield connection


@contextmanager
def staging_area(
    settings: IngestSettings, database: duckdb.DuckDBPyConnection | None = None
) -> Iterator[StagingArea]:
    """Open a place for staged rows, deleted when the block ends.

    Parameters
    ----------
    settings : IngestSettings
    database : duckdb.DuckDBPyConnection, optional
        Of :func:`open_database`, for several areas: to open one takes ten times as long as the rest. Default:
        one of its own.
    """
    import duckdb

    with scratch_folder(settings.temp_directory) as folder:
        opened = open_database(settings, folder) if database is None else database.cursor()
        with opened as connection, telling_of_limits(folder):
            connection.execute("SET TimeZone = 'UTC'")
            # For `query_progress`; the bar itself would go to the standard output. In a notebook, DuckDB has
            # one only where ipywidgets is installed.
            with suppress(duckdb.InvalidInputException):
                connection.execute("SET enable_progress_bar = true")
                connection.execute("SET enable_progress_bar_print = false")
            # DuckDB 2.0 believes a Parquet column's minimum and maximum, which leave NaN out, and takes
            # isnan() of such a column for false.
            connection.execute("SET disabled_optimizers = 'statistics_propagation'")
            # Of a shared database, temporary tables go with their connection; others are a little faster.
            kind = "TABLE" if database is None else "TEMP TABLE"
            # Ids are compared as UTF-8 bytes, which is DuckDB's default order.
            connection.execute(
                f"CREATE {kind} staged (source INTEGER, row BIGINT, timestamp TIMESTAMPTZ, "
                "device VARCHAR, sensor VARCHAR, value DOUBLE, raw_timestamp VARCHAR, raw_value VARCHAR, "
                "reason VARCHAR)"
            )
            connection.execute(
                f"CREATE {kind} losers (source INTEGER, row BIGINT, verdict VARCHAR, winner INTEGER)"
            )
            connection.execute(
                f"CREATE {kind} replaced (sensor VARCHAR, device VARCHAR, timestamp TIMESTAMPTZ)"
            )
            yield StagingArea(connection, settings, folder)


@dataclass
class StagingArea:
    """Staged rows, and the connection to query them; made by :func:`staging_area`.

    Attributes
    ----------
    failed : dict of int to str
        Why a file could not be read, by its number, for each one that could not; nothing of it is staged.
    passing : set of int
        Files among the failed ones that are to be tried again: in use, or not to be opened.
    understood : dict of int to IngestSettings
        The settings by which a file was read, by its number, for each one that shows how it is written.
    shown : dict of str to list of str
        Those settings in words, and the names of the files that show them.
    repeated_hours : RepeatedHours or None
        Readings of the hour that comes twice, where there are any.
    folder : Path
        For copies of files that cannot be read in place.
    connection : duckdb.DuckDBPyConnection
        Has the tables ``staged`` (``reason`` is NULL for a clean row) and ``losers`` (clean rows that turned
        out to be duplicates, in conflict with another reading, or stored already), and ``replaced``, the keys
        of stored readings for which a newer file has another value.
    """

    connection: duckdb.DuckDBPyConnection
    settings: IngestSettings
    folder: Path
    failed: dict[int, str] = field(default_factory=dict, init=False)
    passing: set[int] = field(default_factory=set, init=False)
    understood: dict[int, IngestSettings] = field(default_factory=dict, init=False)
    shown: dict[str, list[str]] = field(default_factory=dict, init=False)
    repeated_hours: RepeatedHours | None = field(default=None, init=False)
    _described: dict[str, Described] = field(default_factory=dict, init=False)
    _read: dict[int, RawRelation] = field(default_factory=dict, init=False)
    _inserting: list[OpenedFile] = field(default_factory=list, init=False)
    _inserted_bytes: int = field(default=0, init=False)

    def stage(self, sources: Mapping[int, tuple[SourceFile, str]], latest: datetime) -> None:
        """Read source files, those of one form together; ``failed`` says which could not be read.

        Parameters
        ----------
        sources : dict of int to (SourceFile, str)
            By the number that ``source`` has in the staged rows; and a SQL condition on ``device`` and
            ``sensor``: rows it does not hold for are left out.
        latest : datetime
            Readings after it are in the future.
        """
        failed = self.failed
        groups: dict[tuple[str, ...], list[OpenedFile]] = {}
        with ExitStack() as stack:
            for number, (source, where) in sources.items():
                local = source.path
                try:
                    local = stack.enter_context(source.opened())
                    with naming_file(source.path):
                        path, relation = self._relation(local, source)
                except MachineError:
                    raise
                except InputError as error:
                    self._fail(number, error, source, local)
                    continue
                if relation is None:
                    logger.warning("%r is empty: it has no readings", source.path)
                    continue
                self._read[number] = relation
                form = (relation.sql, relation.timestamp_type, relation.value_type, where)
                groups.setdefault(form, []).append(OpenedFile(number, source, path, relation))
            size = sum(one.source.size for opened in groups.values() for one in opened)
            with watch_progress("ingest: reading", size // _MEGABYTE, "MB", self._megabytes):
                for (*_, where), opened in groups.items():
                    self._stage_together(opened, where, latest, self.settings)
                self._look_again(groups, latest)
            self._settle_times([one for opened in groups.values() for one in opened])
        refuse_empty_series(self.connection, [n for n, one in self._read.items() if one.width == 1])
        # One that could not be read is no bad file, either: it was seen half written.
        changed = [n for n, (source, _) in sources.items() if n not in self.passing and source.has_changed()]
        for number in changed:
            failed[number] = (
                f"{sources[number][0].path}: changed while it was being read; run again when nothing writes "
                "to it"
            )
        self.passing.update(changed)
        self._forget(changed)

    def _relation(self, local: str, source: SourceFile) -> tuple[str, RawRelation | None]:
        """Return the relation of a file, and the path of what it reads."""
        path, kind = readable_form(local, source.format, self.settings, self.folder)
        found = raw_relation(self.connection, path, kind, self.settings, self._described, source.path)
        return path, found

    def _settle_times(self, opened: Sequence[OpenedFile]) -> None:
        """Decide on times that a row alone does not decide: of clocks set back or not set, and equal ones."""
        if self.settings.timezone != "UTC":
            formed = [
                (
                    one.number,
                    one.relation.timestamp_type,
                    self.understood.get(one.number, self.settings).time_formats,
                )
                for one in opened
            ]
            self.repeated_hours = settle_repeated_hours(
                self.connection,
                naive_conditions(formed),
                self.settings.timezone,
                {one.number: EPOCH + one.source.changed_ns // 1000 * MICROSECOND for one in opened},
            )
        refuse_unset_clocks(self.connection)
        if self.settings.same_time != "refuse":
            join_same_time(self.connection, self.settings.same_time)

    def _look_again(self, groups: Mapping[tuple[str, ...], list[OpenedFile]], latest: datetime) -> None:
        """Read the files again whose fields are written otherwise than was taken for, where they show how."""
        troubled = self._without_reordered(groups, troubles(self.connection))
        for (*_, where), opened in groups.items():
            of_group = {one.number: troubled[one.number] for one in opened if one.number in troubled}
            found, doubts = look_again(self.connection, of_group, opened[0], self.settings, latest)
            self.failed |= {
                one.number: doubts[one.number].sentence(one.source.path)
                for one in opened
                if one.number in doubts
            }
            self._forget(doubts)
            alike: dict[str, list[OpenedFile]] = {}
            for one in opened:
                if one.number in found and one.number not in doubts:
                    alike.setdefault(repr(found[one.number]), []).append(one)
            for some in alike.values():
                self._read_as(some, found[some[0].number], where, latest)

    def _without_reordered(
        self, groups: Mapping[tuple[str, ...], list[OpenedFile]], troubled: Mapping[int, Trouble]
    ) -> dict[int, Trouble]:
        """Refuse tables with a second header in another order; return the other troubled files."""
        tables = {
            one.number: one.source.path
            for opened in groups.values()
            for one in opened
            if one.number in troubled and one.source.format in ("csv", "workbook")
        }
        again = reordered(self.connection, tables) if tables else {}
        self.failed |= {
            number: f"{tables[number]}: the line that begins with {beginning!r} is a header with the columns "
            "in another order; write what stands below it to a file of its own"
            for number, beginning in again.items()
        }
        self._forget(again)
        return {number: one for number, one in troubled.items() if number not in again}

    def _read_as(
        self, opened: list[OpenedFile], found: Mapping[str, Any], where: str, latest: datetime
    ) -> None:
        """Read files again by what they show of their fields."""
        settings = replace(self.settings, **found)
        self.understood |= {one.number: settings for one in opened}
        self._inserted_bytes -= sum(one.source.size for one in opened)
        self._forget(one.number for one in opened)
        self._stage_together(opened, where, latest, settings)
        text = ", ".join(f"ingest.{name}={value!r}" for name, value in found.items())
        self.shown.setdefault(text, []).extend(one.source.name for one in opened)

    def _stage_together(
        self, opened: list[OpenedFile], where: str, latest: datetime, settings: IngestSettings
    ) -> None:
        try:
            self._insert(opened, where, latest, settings)
        except MachineError:
            raise
        except InputError as error:
            self._forget([one.number for one in opened])
            if len(opened) == 1:
                self._fail(opened[0].number, error, opened[0].source, opened[0].path)
                return
            # One of them is at fault; in halves it takes few steps to find it among many.
            half = len(opened) // 2
            for part in (opened[:half], opened[half:]):
                self._stage_together(part, where, latest, settings)

    def _fail(self, number: int, error: InputError, source: SourceFile, path: str) -> None:
        # A person knows the file, not the copy that was read.
        self.failed[number] = without_copies(str(error).replace(path, source.path), self.folder, source.path)
        # Of a file that cannot be opened nothing is known; what is in it may be well.
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            self.passing.add(number)

    def _insert(
        self, opened: list[OpenedFile], where: str, latest: datetime, settings: IngestSettings
    ) -> None:
        relation = opened[0].relation
        self._inserting = opened
        with self._rows_of(opened):
            self.connection.execute(f"INSERT INTO staged {checked_rows(relation, settings, latest, where)}")
        self._inserting, self._inserted_bytes = (
            [],
            self._inserted_bytes + sum(one.source.size for one in opened),
        )

    def _megabytes(self) -> int:
        """Return how much of the files to read has been read; called from another thread."""
        opened = self._inserting
        readers = [one.relation.lines for one in opened if one.relation.lines is not None]
        if readers:
            # Gzipped, a file has more bytes of lines than of its own.
            read = sum(
                min(one.source.size, reader.n_bytes) for one, reader in zip(opened, readers, strict=True)
            )
        else:
            percent = max(self.connection.query_progress(), 0.0)
            read = round(percent / 100 * sum(one.source.size for one in opened))
        return (self._inserted_bytes + read) // _MEGABYTE

    @contextmanager
    def _rows_of(self, opened: list[OpenedFile]) -> Iterator[None]:
        """Make the rows of some files of one form what their relation reads."""
        readers = [one.relation.lines for one in opened if one.relation.lines is not None]
        if readers:
            numbered = ((one.number, reader) for one, reader in zip(opened, readers, strict=True))
            self.connection.register("source_lines", numbered_lines(numbered))
        else:
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW source_rows AS {scan_files(opened)}")
        if opened[0].relation.ids:
            self.connection.register("file_ids", fixed_ids(opened))
        try:
            with naming_file(opened[0].source.path):
                yield
        except InputError as error:
            found = (one.error for one in readers if isinstance(one.error, InputError))
            raise next(found, error) from None
        finally:
            if readers:
                self.connection.unregister("source_lines")

    def _forget(self, numbers: Iterable[int]) -> None:
        """Remove the rows of some sources."""
        listed = ", ".join(map(str, numbers))
        if listed:
            self.connection.execute(f"DELETE FROM staged WHERE source IN ({listed})")

    def days(self) -> list[StagedDay]:
        """List the days of the clean rows; months where a day holds few rows."""
        return staged_days(self.connection)

    @property
    def by_month(self) -> bool:
        """Whether a day holds too few rows for a file of its own."""
        return are_sparse(day_counts(self.connection))

    def staged_ids(self, kind: str) -> set[str]:
        """Return the devices or sensors (``kind``) of the staged rows, including refused ones."""
        found = self.connection.execute(f"SELECT DISTINCT {kind} FROM staged").fetchall()
        return {identifier for (identifier,) in found if identifier}

    def source_ids(self, kind: str, sources: Iterable[SourceFile]) -> set[str]:
        """Return the devices or sensors (``kind``) of source files, staged or not."""
        known: set[str] = set()
        for number, source in enumerate(sources):
            with source.opened() as local:
                with naming_file(local):
                    path, relation = self._relation(local, source)
                if relation is None:
                    continue
                with self._rows_of([OpenedFile(number, source, path, relation)]):
                    found = self.connection.execute(
                        f"SELECT DISTINCT {kind} FROM ({relation.sql})"
                    ).fetchall()
            known |= {identifier for (identifier,) in found if identifier}
        return known

    def refuse(self, reason: str, kind: str, ids: Iterable[str]) -> None:
        """Refuse the clean rows of some devices or sensors (``kind``)."""
        names = pa.table({"id": pa.array(list(ids), pa.string())})
        self.connection.register("refused_ids", names)
        self.connection.execute(
            f"UPDATE staged SET reason = '{reason}' "
            f"WHERE reason IS NULL AND {kind} IN (SELECT id FROM refused_ids)"
        )
        self.connection.unregister("refused_ids")

    def forget_losers(self) -> None:
        """Begin anew to compare the staged rows with the stored ones."""
        self.connection.execute("DELETE FROM losers")
        self.connection.execute("DELETE FROM replaced")

    def rows_by_source(self) -> dict[int, int]:
        """Count the staged rows of each source, including refused ones."""
        return dict(self.connection.execute("SELECT source, count(*) FROM staged GROUP BY source").fetchall())

    def refused_by_source(self) -> dict[int, dict[str, int]]:
        """Count the refused rows of each source by reason."""
        return refused_by_source(self.connection)

    def aside_by_source(self) -> dict[int, dict[str, int]]:
        """Count the rows of each source that are neither readings nor refused, by why."""
        return aside_by_source(self.connection)

    def first_future(self) -> dict[int, datetime]:
        """Return the earliest time of each source refused as ``future_timestamp``, UTC."""
        return first_future(self.connection)

    def first_refused(self, source: int, reason: str) -> str:
        """Return the text of the first row of a source that is refused for a reason."""
        return first_refused(self.connection, source, reason)

    def span(self) -> tuple[datetime, datetime] | None:
        """Return the first and the last time of the clean rows, UTC; None without any."""
        first, last = self.connection.execute(
            "SELECT timezone('UTC', min(timestamp)), timezone('UTC', max(timestamp)) FROM staged "
            "WHERE reason IS NULL"
        ).fetchall()[0]
        return None if first is None else (first.replace(tzinfo=UTC), last.replace(tzinfo=UTC))

    def quarantine(self, sources: Mapping[int, SourceFile]) -> Iterator[pa.Table]:
        """Yield the refused rows by source and row; schema QUARANTINE."""
        return refused_rows(self.connection, sources, self._read)
