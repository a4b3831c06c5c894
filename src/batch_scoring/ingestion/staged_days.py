"""The days of the clean staged rows, which are stored one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from batch_scoring.core.moments import DAY_US
from batch_scoring.storage.row_files import has_sparse_days

if TYPE_CHECKING:
    import duckdb

# Day, sensor, first and last time, UTC, and the number of rows.
DayCount = tuple[int, str, datetime, datetime, int]


@dataclass(frozen=True)
class StagedDay:
    """The clean staged rows of a day, or of the days of a month.

    Attributes
    ----------
    first, last : datetime
        The earliest and the latest time, UTC.
    sensors : list of str
    rows : int
    """

    first: datetime
    last: datetime
    sensors: list[str]
    rows: int

    @property
    def sql(self) -> str:
        """A SQL relation with the columns ``source, row, timestamp, device, sensor, value``."""
        return (
            f"(FROM staged WHERE reason IS NULL AND timestamp BETWEEN TIMESTAMPTZ '{self.first.isoformat()}' "
            f"AND TIMESTAMPTZ '{self.last.isoformat()}')"
        )


def day_counts(connection: duckdb.DuckDBPyConnection) -> list[DayCount]:
    """Count the clean staged rows by day, since 1970, and sensor."""
    # Of a time with a zone, date_trunc asks a calendar: five times as long.
    found = connection.execute(
        f"SELECT epoch_us(timestamp) // {DAY_US} AS day, sensor, timezone('UTC', min(timestamp)), "
        "timezone('UTC', max(timestamp)), count(*) FROM staged WHERE reason IS NULL "
        "GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [
        (day, sensor, first.replace(tzinfo=UTC), last.replace(tzinfo=UTC), rows)
        for day, sensor, first, last, rows in found
    ]


def are_sparse(counts: Sequence[DayCount]) -> bool:
    """Whether a day holds too few rows for a file of its own."""
    return has_sparse_days(len({day for day, *_ in counts}), sum(rows for *_, rows in counts))


def staged_days(connection: duckdb.DuckDBPyConnection) -> list[StagedDay]:
    """List the days of the clean rows in order; months where a day holds few rows."""
    found: dict[tuple[int, ...], list[DayCount]] = {}
    counts = day_counts(connection)
    by_month = are_sparse(counts)
    for one in counts:
        first = one[2]
        key = (first.year, first.month) if by_month else (first.year, first.month, first.day)
        found.setdefault(key, []).append(one)
    return [_joined(some) for some in found.values()]


def _joined(counts: Sequence[DayCount]) -> StagedDay:
    _, sensors, first, last, rows = zip(*counts, strict=True)
    return StagedDay(min(first), max(last), list(dict.fromkeys(sensors)), sum(rows))
