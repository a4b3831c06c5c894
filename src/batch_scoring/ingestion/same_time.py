"""Join the readings of a series that one file has at one time, such as those of a stamp of whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# One thread's sum in the order of rows: the same readings give the same bits when they are read again.
_KEPT = {"mean": "list_avg(list(value ORDER BY row))", "last": "arg_max(value, row)"}


def join_same_time(connection: duckdb.DuckDBPyConnection, how: str) -> None:
    """Keep one reading of several at one time, in the first of their rows; the other rows are ``merged``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    how : str
        ``mean``, or ``last``: the last one in the file.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE joined AS SELECT source, sensor, device, timestamp, min(row) AS first, "
        f"{_KEPT[how]} AS kept FROM staged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1"
    )
    connection.execute(
        "UPDATE staged SET value = CASE WHEN row = first THEN kept ELSE value END, "
        "reason = CASE WHEN row = first THEN NULL ELSE 'merged' END FROM joined "
        "WHERE reason IS NULL AND staged.source = joined.source AND staged.sensor = joined.sensor "
        "AND staged.device = joined.device AND staged.timestamp = joined.timestamp"
    )
