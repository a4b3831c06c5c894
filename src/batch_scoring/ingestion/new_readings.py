"""Compare the rows of source files with the stored readings: new, already stored or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from batch_scoring.core.moments import MICROSECOND, microseconds
from batch_scoring.core.progress import watch_progress
from batch_scoring.ingestion.plain_files import PlainRows
from batch_scoring.ingestion.source_formats import BatchReader
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.row_groups import ROW_GROUP_ROWS
from batch_scoring.tables.schemas import READINGS

if TYPE_CHECKING:
    from batch_scoring.ingestion.staging import StagedDay, StagingArea

# Two readings of one device, sensor and time cannot both be kept. Who wins does not depend on how
# the rows were spread over files and runs: what is stored stays, else the first in the order of
# sources and rows. Of the rows that say the same as the winner, the first of each source is that
# reading (now or already stored), later ones of that source are duplicates; the others conflict.
_VERDICTS = """
SELECT source, row, CASE
    WHEN source < 0 THEN 'stored'
    WHEN value <> first_value(value) OVER reading THEN 'conflict'
    WHEN row_number() OVER (PARTITION BY sensor, device, timestamp, value, source ORDER BY row) > 1
        THEN 'duplicate'
    WHEN row_number() OVER reading > 1 THEN 'already_stored'
    ELSE 'new' END AS verdict
FROM candidates WINDOW reading AS (PARTITION BY sensor, device, timestamp ORDER BY source, row)
"""
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
    stored, already_stored : int
        Rows that are readings now, and rows that were already; complete when ``rows_not_in`` has been read.
        The refused ones are in the staging area.
    """

    rows: PlainRows | StagingArea
    stage: Callable[[], StagingArea]
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
        self.stored = self.already_stored = self._passed = 0
        if isinstance(self.rows, PlainRows) and self.rows.may_be_in(table):
            self.rows = self.stage()
        if isinstance(self.rows, PlainRows):
            self.stored = self.rows.rows.num_rows
            yield self.rows.batches()
            return
        self.area.forget_losers()
        days = self.area.days()
        total = sum(day.rows for day in days)
        with watch_progress("ingest: storing", total, "readings", lambda: self._passed):
            yield from self._new_of(days, table)

    def _new_of(self, days: list[StagedDay], table: RowTable) -> Iterator[Iterator[pa.RecordBatch]]:
        done = 0
        for day in days:
            verdicts = self._classify(day, table)
            known = verdicts.get("already_stored", 0)
            new = day.rows - known - verdicts.get("duplicate", 0) - verdicts.get("conflict", 0)
            self.stored += new
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
        run(f"CREATE OR REPLACE TEMP TABLE verdicts AS {_VERDICTS}")
        run(
            "INSERT INTO losers SELECT source, row, verdict FROM verdicts "
            "WHERE verdict IN ('duplicate', 'conflict', 'already_stored')"
        )
        return dict(run("SELECT verdict, count(*) FROM verdicts GROUP BY verdict").fetchall())

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
