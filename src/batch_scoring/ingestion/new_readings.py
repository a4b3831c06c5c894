"""Compare the rows of source files with the stored readings: new, already stored or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.core.progress import watch_progress
from batch_scoring.ingestion.numbers import tolerance
from batch_scoring.ingestion.plain_rows import PlainRows
from batch_scoring.ingestion.relations import BatchReader
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.upsert import rows_without
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.staged_days import StagedDay
    from batch_scoring.ingestion.staging import StagingArea

# Two readings of one device, sensor and time cannot both be kept. Who wins does not depend on how
# the rows were spread over files and runs: what is stored stays, else the first in the order of
# sources and rows; or, where the newest file wins, the first row of the file that changed last. Of the rows
# that say the same as the winner, the first of each source is that reading (now or already stored), later
# ones of that source are duplicates; the others conflict.
_VERDICTS = """
SELECT source, row, sensor, device, timestamp, winner, CASE
    WHEN source < 0 THEN CASE WHEN is_same THEN 'stored' ELSE 'replaced' END
    WHEN NOT is_same AND source <> winner AND winner >= 0 AND {newest} THEN 'superseded'
    WHEN NOT is_same THEN 'conflict'
    WHEN row_number() OVER (PARTITION BY sensor, device, timestamp, is_same, source ORDER BY row) > 1
        THEN 'duplicate'
    WHEN place > 1 OR bool_or(source < 0 AND is_same) OVER (PARTITION BY sensor, device, timestamp)
        THEN 'already_stored'
    ELSE 'new' END AS verdict
FROM (
    SELECT *, {same} AS is_same, first_value(source) OVER reading AS winner,
        row_number() OVER reading AS place
    FROM {ranked}
    WINDOW reading AS (PARTITION BY sensor, device, timestamp ORDER BY rank, row)
)
"""
_KEY_COLUMNS = ("sensor", "device", "timestamp")
_KEY = "hash(sensor, device, timestamp)"


@dataclass
class NewReadings:
    """The rows of source files that no earlier run has stored.

    Attributes
    ----------
    rows : PlainRows or StagingArea
        What was read. Where a plain row may be stored already, this becomes a staging area.
    stage : callable
        Reads the files into a staging area.
    settings : IngestSettings
    changed_ns : sequence of int
        When each file changed, by its number; decides which is the newest.
    replaced : int
        Stored readings that a newer file has replaced.
    stored, already_stored : int
        Rows that are readings now, and rows that were already; complete when ``rows_not_in`` has been read.
        The refused ones are in the staging area.
    """

    rows: PlainRows | StagingArea
    stage: Callable[[], StagingArea]
    settings: IngestSettings
    changed_ns: Sequence[int]
    replaced: int = field(default=0, init=False)
    stored: int = field(default=0, init=False)
    already_stored: int = field(default=0, init=False)
    _passed: int = field(default=0, init=False)

    @property
    def area(self) -> StagingArea:
        """The staging area."""
        assert not isinstance(self.rows, PlainRows)
        return self.rows

    def rows_not_in(self, table: RowTable) -> Iterator[Iterator[pa.Table | pa.RecordBatch]]:
        """Yield the readings that a table lacks, by sensor, device and time."""
        self.stored = self.already_stored = self.replaced = self._passed = 0
        if isinstance(self.rows, PlainRows) and self.rows.may_be_in(table):
            self.rows = self.stage()
        if isinstance(self.rows, PlainRows):
            self.stored = self.rows.n_readings
            yield from self.rows.parts()
            return
        self.area.forget_losers()
        self._rank_sources()
        days = self.area.days()
        total = sum(day.rows for day in days)
        with watch_progress("ingest: storing", total, "readings", lambda: self._passed):
            yield from self._new_of(days, table)

    def _new_of(self, days: list[StagedDay], table: RowTable) -> Iterator[Iterator[pa.RecordBatch]]:
        done = 0
        for day in days:
            verdicts = self._classify(day, table)
            known = verdicts.get("already_stored", 0)
            lost = sum(verdicts.get(one, 0) for one in ("duplicate", "conflict", "superseded"))
            new = day.rows - known - lost
            self.stored += new
            self.replaced += verdicts.get("replaced", 0)
            self.already_stored += known
            if new:
                yield self._sorted(day, has_losers=new < day.rows)
            done += day.rows
            self._passed = done

    def _classify(self, day: StagedDay, table: RowTable) -> dict[str, int]:
        """Fill the table ``losers`` for a day; returns the number of its rows by verdict.

        Most days hold every reading once: only the rows that share a hash with another one are compared.
        """
        run = self.area.connection.execute
        stored = self._fetch_stored(day, table)
        run(
            f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT key FROM (SELECT {_KEY} AS key FROM {day.sql}"
            f"{f' UNION ALL SELECT {_KEY} FROM stored' if stored else ''}) GROUP BY key HAVING count(*) > 1"
        )
        if not run("SELECT count(*) FROM repeated").fetchall()[0][0]:
            return {}
        columns = "source, row, timestamp, device, sensor, value"
        theirs = "UNION ALL SELECT -1, 0, timestamp, device, sensor, value FROM stored" if stored else ""
        run(
            f"CREATE OR REPLACE TEMP TABLE candidates AS SELECT {columns} FROM "
            f"(SELECT {columns} FROM {day.sql} {theirs}) WHERE {_KEY} IN (FROM repeated)"
        )
        is_newest = self.settings.on_conflict == "newest"
        ranked = (
            "candidates JOIN ranks USING (source)"
            if is_newest
            else "(SELECT *, source AS rank FROM candidates)"
        )
        same = _same_as("first_value(value) OVER reading", self.settings)
        verdicts = _VERDICTS.format(newest=is_newest, same=same, ranked=ranked)
        run(f"CREATE OR REPLACE TEMP TABLE verdicts AS {verdicts}")
        run(
            "INSERT INTO losers SELECT source, row, verdict, winner FROM verdicts "
            "WHERE verdict IN ('duplicate', 'conflict', 'superseded', 'already_stored')"
        )
        run("INSERT INTO replaced SELECT sensor, device, timestamp FROM verdicts WHERE verdict = 'replaced'")
        return dict(run("SELECT verdict, count(*) FROM verdicts GROUP BY verdict").fetchall())

    def rewritten(self, table: RowTable) -> Iterator[tuple[DataFile, Iterator[pa.Table]]]:
        """Yield the stored files that lose readings to newer ones, each with the rows that stay.

        After ``rows_not_in`` has been read.
        """
        if not self.replaced:
            return
        keys = self.area.connection.sql("SELECT sensor, device, timestamp FROM replaced").to_arrow_table()
        keys = keys.cast(pa.schema([READINGS.field(name) for name in _KEY_COLUMNS]))
        lost, time = np.sort(row_fingerprints(keys, _KEY_COLUMNS)), to_numpy(keys["timestamp"])
        sensors = set(keys["sensor"].unique().to_pylist())
        for file in table.files(int(time.min()), int(time.max()) + 1, sensors):
            found = [row_fingerprints(rows, _KEY_COLUMNS) for rows in table.batches(file, _KEY_COLUMNS)]
            is_lost = np.isin(np.concatenate(found), lost)
            if is_lost.any():
                yield file, rows_without(table, file, is_lost)

    def kept(self) -> pa.Table:
        """Return sensor, device and time of the stored readings that are as the files have them."""
        found = self.area.connection.sql(
            "SELECT DISTINCT sensor, device, timestamp FROM staged JOIN losers USING (source, row) "
            "WHERE verdict = 'already_stored'"
        ).to_arrow_table()
        return found.cast(pa.schema([READINGS.field(name) for name in _KEY_COLUMNS]))

    def _rank_sources(self) -> None:
        """Fill the table ``ranks``, by which the newest file wins, and what is stored loses."""
        newest = sorted(range(len(self.changed_ns)), key=lambda n: (-self.changed_ns[n], n))
        source, rank = pa.array([*newest, -1], pa.int32()), pa.array(range(len(newest) + 1), pa.int32())
        ranks = pa.table({"source": source, "rank": rank})
        self.area.connection.register("new_ranks", ranks)
        self.area.connection.execute("CREATE OR REPLACE TEMP TABLE ranks AS FROM new_ranks")
        self.area.connection.unregister("new_ranks")

    def _fetch_stored(self, day: StagedDay, table: RowTable) -> bool:
        """Fill the table ``stored`` with what is stored of the staged times; False where nothing is."""
        start, end = microseconds(day.first), microseconds(day.last + MICROSECOND)
        files = table.files(start, end, day.sensors)
        if not files:
            return False
        stored = BatchReader(
            lambda: (
                batch
                for file in files
                for rows in table.batches(file, READINGS.names, day.sensors)
                for batch in rows.select(READINGS.names).to_batches()
            )
        )
        connection = self.area.connection
        connection.register("theirs", pa.RecordBatchReader.from_batches(READINGS, stored.read()))
        try:
            connection.execute(
                "CREATE OR REPLACE TEMP TABLE stored AS SELECT * FROM theirs WHERE timestamp BETWEEN ? AND ?",
                [day.first, day.last],
            )
        except Exception as error:
            raise stored.error or error from None
        finally:
            connection.unregister("theirs")
        return True

    def _sorted(self, day: StagedDay, has_losers: bool) -> Iterator[pa.RecordBatch]:
        without = "ANTI JOIN losers USING (source, row)" if has_losers else ""
        rows = self.area.connection.sql(
            f"SELECT {', '.join(READINGS.names)} FROM {day.sql} {without} ORDER BY sensor, device, timestamp"
        ).to_arrow_reader(ROW_GROUP_ROWS)
        for batch in rows:
            yield batch.cast(READINGS)
            self._passed += batch.num_rows


def _same_as(other: str, settings: IngestSettings) -> str:
    """Return the condition that ``value`` says the same as another one of its time."""
    if not settings.tolerances:
        return f"value = {other}"
    # The difference of two rounded numbers has an error of its own.
    slack = f"1e-12 * greatest(abs(value), abs({other}))"
    return f"abs(value - {other}) <= {tolerance(settings.tolerances)} + {slack}"
