"""What clocks do to times: the hour that comes twice in autumn, and clocks that were not set."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from batch_scoring.ingestion.times import is_naive

if TYPE_CHECKING:
    import duckdb

# A clock that was not set shows a time long before: of a device, …
_LONG = timedelta(days=365)
# … readings before a gap of that length which are no more than this share of its readings in the file, …
_FEW = 0.1
# … or than this one where they begin with a day on which clocks start, and within a few days of it.
_HALF, _NEAR = 0.5, timedelta(days=31)
_STARTS = ("1980-01-01", "1980-01-06", "1990-01-01", "2000-01-01", "2001-01-01", "2010-01-01", "2020-01-01")
# The gap is this multiple of any later one: yearly readings are no clock's fault.
_WIDER = 10
# So many other devices decide on one whose readings of a file are all of such days.
_MANY, _MOST = 5, 0.9


@dataclass(frozen=True)
class RepeatedHours:
    """Readings of the hour that comes twice when clocks are set back.

    Attributes
    ----------
    ordered : int
        Told apart by the order of rows, by what is in other files, or by when the file was written.
    undecided : int
        Taken as the second time.
    when : datetime
        The first of the changes, UTC.
    """

    ordered: int
    undecided: int
    when: datetime


def repeated_hours(zone: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """Yield the moments at which clocks are set back, UTC, and by how much.

    Examples
    --------
    >>> year = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    >>> [(f"{moment:%m-%d %H:%M}", str(back)) for moment, back in repeated_hours("Europe/Berlin", *year)]
    [('10-25 01:00', '1:00:00')]
    """
    place, day = ZoneInfo(zone), timedelta(days=1)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(place).utcoffset() or timedelta()

    start = first.astimezone(UTC) - day
    while start <= last + day:
        end = start + day
        if (back := offset(start) - offset(end)) > timedelta():
            low, high = start, end
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(start) else (low, middle)
            yield high.replace(microsecond=0), back
        start = end


def settle_repeated_hours(
    connection: duckdb.DuckDBPyConnection,
    naive: Mapping[str, Iterable[int]],
    zone: str,
    written: Mapping[int, datetime],
) -> RepeatedHours | None:
    """Tell the readings of repeated hours apart, where rows and files show which is which.

    A time without an offset was taken as the second of both. It is the first

    - where later rows of its series go back in time, or repeat it;
    - where its file was last written before the second one;
    - where two files have it with different values: in the file whose other readings of the series are
      earlier, or that comes first where both have no other.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    naive : dict of str to iterable of int
        By condition on ``raw_timestamp`` that it has no offset: the sources it is for.
    zone : str
        That of times without an offset.
    written : dict of int to datetime
        When each source was last written.

    Returns
    -------
    RepeatedHours or None
        None where no reading is of such an hour.
    """
    conditions = [
        f"(source IN ({', '.join(map(str, sources))}) AND {condition})"
        for condition, sources in naive.items()
        if condition != "false"
    ]
    if not conditions:
        return None
    first, last = connection.execute(
        "SELECT min(timestamp), max(timestamp) FROM staged WHERE reason IS NULL"
    ).fetchall()[0]
    changes = [] if first is None else list(repeated_hours(zone, first, last))
    if not changes:
        return None
    hours = ", ".join(
        f"(TIMESTAMPTZ '{moment.isoformat()}', TIMESTAMPTZ '{(moment + back).isoformat()}')"
        for moment, back in changes
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE repeated_rows AS SELECT source, row, device, sensor, timestamp, start, "
        f"stop - start AS back FROM staged JOIN (VALUES {hours}) AS hours(start, stop) "
        "ON timestamp >= start AND timestamp < stop "
        f"WHERE reason IS NULL AND ({' OR '.join(conditions)})"
    )
    total, when = connection.execute("SELECT count(*), min(start) FROM repeated_rows").fetchall()[0]
    if not total:
        return None
    connection.execute(_PASSES)
    _decide_by_files(connection, written)
    (decided,) = connection.execute("SELECT count(*) FROM passes WHERE is_decided").fetchall()[0]
    connection.execute(
        "UPDATE staged SET timestamp = staged.timestamp - passes.back FROM passes "
        "WHERE staged.source = passes.source AND staged.row = passes.row AND is_decided AND is_first"
    )
    return RepeatedHours(decided, total - decided, when)


# Newest first, a file is read from its end. One step back in time is the clock's; without any, the first of
# two equal times is the first pass. More steps back are no order.
_PASSES = """
CREATE OR REPLACE TEMP TABLE passes AS
WITH orders AS (
    SELECT source, CASE WHEN arg_max(timestamp, row) < arg_min(timestamp, row) THEN -1 ELSE 1 END AS sign
    FROM staged WHERE reason IS NULL AND source IN (SELECT source FROM repeated_rows) GROUP BY source
), steps AS (
    SELECT r.*, row * sign AS place,
        COALESCE(timestamp < lag(timestamp) OVER (
            PARTITION BY source, sensor, device, start ORDER BY row * sign), false) AS is_back
    FROM repeated_rows r JOIN orders USING (source)
), counted AS (
    SELECT *, count(*) FILTER (is_back) OVER series AS n_back,
        count(*) FILTER (is_back) OVER (series ORDER BY place) AS n_before,
        count(*) OVER (PARTITION BY source, sensor, device, start, timestamp) AS n_equal,
        row_number() OVER (PARTITION BY source, sensor, device, start, timestamp ORDER BY place) AS nth
    FROM steps WINDOW series AS (PARTITION BY source, sensor, device, start)
)
SELECT source, row, sensor, device, start, timestamp, back,
    n_back = 1 OR (n_back = 0 AND n_equal = 2) AS is_decided,
    CASE WHEN n_back = 1 THEN n_before = 0 ELSE nth = 1 END AS is_first
FROM counted
"""
# Of a series whose hour two files leave undecided, the times they share: if most values of the device differ
# there, none is sent again, and one file is of the first hour.
_TWO_FILES = """
CREATE OR REPLACE TEMP TABLE first_files AS
WITH spans AS (
    SELECT p.sensor, p.device, p.start, p.source, any_value(p.back) AS back,
        bool_or(s.low < p.start) AS begins_before, bool_or(s.high >= p.start + p.back) AS ends_after
    FROM passes p JOIN (
        SELECT source, sensor, device, min(timestamp) AS low, max(timestamp) AS high FROM staged
        WHERE reason IS NULL AND source IN (SELECT source FROM passes) GROUP BY ALL
    ) s ON s.source = p.source AND s.sensor = p.sensor AND s.device = p.device
    GROUP BY ALL HAVING NOT bool_or(is_decided)
), pairs AS (
    SELECT a.sensor, a.device, a.start, a.back, a.source AS one, b.source AS other,
        b.begins_before OR a.ends_after AS is_turned, a.begins_before OR b.ends_after AS is_straight
    FROM spans a JOIN spans b ON a.sensor = b.sensor AND a.device = b.device AND a.start = b.start
    WHERE a.source < b.source
    QUALIFY count(*) OVER (PARTITION BY a.sensor, a.device, a.start) = 1
), compared AS (
    SELECT p.sensor, p.device, p.start, one, other, is_turned, is_straight,
        count(*) AS n, count(*) FILTER (x.value <> y.value) AS n_other
    FROM pairs p
    JOIN staged x ON x.source = one AND x.sensor = p.sensor AND x.device = p.device
    JOIN staged y ON y.source = other AND y.sensor = p.sensor AND y.device = p.device
        AND y.timestamp = x.timestamp
    WHERE x.reason IS NULL AND y.reason IS NULL AND x.timestamp >= p.start AND x.timestamp < p.start + back
    GROUP BY ALL
)
SELECT sensor, device, start, unnest([one, other]) AS source, unnest([NOT is_turned, is_turned]) AS is_first
FROM (SELECT *, sum(2 * n_other - n) OVER (PARTITION BY device, start, one, other) AS excess FROM compared)
WHERE excess > 0 AND NOT (is_turned AND is_straight)
"""


def _decide_by_files(connection: duckdb.DuckDBPyConnection, written: Mapping[int, datetime]) -> None:
    """Decide on hours that the order of rows leaves open, by when files were written and by other files."""
    import pyarrow as pa

    moments = pa.array(list(written.values()), pa.timestamp("us", "UTC"))
    connection.register(
        "written", pa.table({"source": pa.array(list(written), pa.int32()), "moment": moments})
    )
    connection.execute(
        "UPDATE passes SET is_decided = true, is_first = true FROM written "
        "WHERE passes.source = written.source AND NOT is_decided AND timestamp > moment"
    )
    connection.unregister("written")
    connection.execute(_TWO_FILES)
    connection.execute(
        "UPDATE passes SET is_decided = true, is_first = first_files.is_first FROM first_files "
        "WHERE passes.source = first_files.source AND passes.sensor = first_files.sensor "
        "AND passes.device = first_files.device AND passes.start = first_files.start"
    )


def refuse_unset_clocks(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse readings of clocks that were not set as ``implausible_time``, in files of more than a year.

    Each device is judged by its own readings in a file, so that no device decides on another: readings before
    a gap of more than a year, ten times as long as any later gap, that are at most a tenth of them, or at
    most half where all of them are of the first days after a moment at which clocks start, such as
    2000-01-01. Of a device with no other readings in the file, those of such days are refused where nine
    tenths of five or more other devices have no reading within a year of them.
    """
    wide = connection.execute(
        "SELECT source FROM staged WHERE reason IS NULL GROUP BY source "
        f"HAVING max(timestamp) - min(timestamp) > INTERVAL '{_LONG.days} days'"
    ).fetchall()
    if not wide:
        return
    sources = ", ".join(str(source) for (source,) in wide)
    starts = " OR ".join(
        f"(low >= TIMESTAMPTZ '{start} 00:00:00+00' - INTERVAL 1 day AND "
        f"high < TIMESTAMPTZ '{start} 00:00:00+00' + INTERVAL '{_NEAR.days} days')"
        for start in _STARTS
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE device_days AS
        SELECT source, device, date_trunc('day', timestamp) AS day, min(timestamp) AS low,
            max(timestamp) AS high, count(*) AS n
        FROM staged WHERE reason IS NULL AND source IN ({sources}) GROUP BY ALL
        """
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE unset_clocks AS
        WITH gaps AS (
            SELECT source, device, day, n, high, lead(low) OVER days - high AS gap,
                min(low) OVER (PARTITION BY source, device) AS low,
                sum(n) OVER (days ROWS UNBOUNDED PRECEDING) AS before,
                sum(n) OVER (PARTITION BY source, device) AS total,
                max(high) OVER (PARTITION BY source, device) AS newest
            FROM device_days WINDOW days AS (PARTITION BY source, device ORDER BY day)
        ), later AS (
            SELECT *, COALESCE(max(gap) OVER (PARTITION BY source, device ORDER BY day DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), INTERVAL 0 seconds) AS later_gap
            FROM gaps
        ), own AS (
            SELECT source, device, max(high) AS until FROM later
            WHERE gap > INTERVAL '{_LONG.days} days' AND epoch(gap) > {_WIDER} * epoch(later_gap)
                AND (before <= {_FEW} * total OR (before <= {_HALF} * total AND ({starts})))
            GROUP BY ALL
        ), devices AS (
            SELECT source, device, min(low) AS low, max(high) AS high FROM device_days GROUP BY ALL
        ), alone AS (
            SELECT a.source, a.device, any_value(a.high) AS until
            FROM (SELECT * FROM devices WHERE {starts}) a JOIN devices b USING (source)
            WHERE a.device <> b.device GROUP BY ALL
            HAVING count(*) >= {_MANY} AND count(*) FILTER (
                b.low - a.high > INTERVAL '{_LONG.days} days') >= {_MOST} * count(*)
        )
        SELECT source, device, max(until) AS until FROM (FROM own UNION ALL FROM alone) GROUP BY ALL
        """
    )
    connection.execute(
        "UPDATE staged SET reason = 'implausible_time' FROM unset_clocks WHERE reason IS NULL AND "
        "staged.source = unset_clocks.source AND staged.device = unset_clocks.device AND timestamp <= until"
    )


def naive_conditions(
    formed: Iterable[tuple[int, str, tuple[str, ...]]],
) -> dict[str, list[int]]:
    """Return the sources by the condition that a raw time of theirs has no offset.

    Parameters
    ----------
    formed : iterable of (int, str, tuple of str)
        A source's number, the DuckDB type of its times and the formats by which they were read.
    """
    ordered = sorted((is_naive("raw_timestamp", kind, formats), number) for number, kind, formats in formed)
    return {
        condition: [number for _, number in group]
        for condition, group in itertools.groupby(ordered, lambda one: one[0])
    }
