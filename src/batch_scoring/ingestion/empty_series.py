"""Keep series without any value in sight: each of their rows alone would only be counted as missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def refuse_empty_series(connection: duckdb.DuckDBPyConnection, sources: Iterable[int]) -> None:
    """Refuse the rows of devices and sensors without any value in a file, as ``no_value``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    sources : iterable of int
        The staged files to look at; in a wide one an empty column is no series.
    """
    numbers = ", ".join(map(str, sorted(sources)))
    missing = f"reason = 'missing_value' AND source IN ({numbers})"
    if not numbers or not connection.execute(f"SELECT 1 FROM staged WHERE {missing} LIMIT 1").fetchall():
        return
    connection.execute(
        f"UPDATE staged SET reason = 'no_value' WHERE {missing} AND NOT EXISTS ("
        "SELECT 1 FROM staged AS other WHERE other.reason IS DISTINCT FROM 'missing_value' "
        "AND other.source = staged.source AND other.device = staged.device AND other.sensor = staged.sensor)"
    )
