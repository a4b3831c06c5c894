"""Find out how files with fields that were not understood are written: order of dates, marks of numbers.

The evidence is all rows of a file, and of the files of its form. Nothing is guessed where they leave a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_scoring.ingestion.interpretation import AUTO
from batch_scoring.ingestion.numbers import bare_text
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.sql import literal
from batch_scoring.ingestion.time_formats import formats_of
from batch_scoring.ingestion.times import time_of

if TYPE_CHECKING:
    import duckdb

    from batch_scoring.ingestion.checked_rows import OpenedFile

# Forms of times that are looked at in a file, the frequent ones.
_MANY_SHAPES = 50
# What may separate the digits of a number that was not understood.
SEPARATED = "\\d[,. '\u00a0\u202f\u2019]\\d|,\\d"
_NO_TIME = "reason IN ('bad_timestamp', 'implausible_time', 'future_timestamp')"


@dataclass(frozen=True)
class Doubt:
    """Times that can be read in two ways.

    Attributes
    ----------
    example : str
    formats : list of str
        The formats it may have.
    """

    example: str
    formats: list[str]

    def sentence(self, path: str) -> str:
        """Say which setting decides."""
        ways = " or ".join(f"{one!r}" for one in self.formats)
        return (
            f"{path}: which part of times such as {self.example!r} is the day is in doubt; set "
            f"ingest.time_format to {ways}"
        )


@dataclass(frozen=True)
class Trouble:
    """Rows of a file that were not understood, by their number.

    Attributes
    ----------
    rows, times, numbers : int
        Rows of the file; rows whose time, or number with a comma, was not understood.
    """

    rows: int
    times: int
    numbers: int


def troubles(connection: duckdb.DuckDBPyConnection) -> dict[int, Trouble]:
    """Return the staged files with rows that were not understood."""
    found = connection.execute(
        # Which reason a row has says only what was looked at first.
        f"SELECT source, count(*) FILTER ({_NO_TIME}), count(*) FILTER (value IS NULL AND "
        f"(reason = 'not_a_number' OR {_NO_TIME}) AND regexp_matches(raw_value, {literal(SEPARATED)})) "
        "FROM staged WHERE reason IS NOT NULL GROUP BY source"
    ).fetchall()
    troubled = [source for source, times, numbers in found if times or numbers]
    if not troubled:
        return {}
    rows = dict(
        connection.execute(
            f"SELECT source, count(*) FROM staged WHERE source IN {_listed(troubled)} GROUP BY source"
        ).fetchall()
    )
    return {
        source: Trouble(rows[source], times, numbers) for source, times, numbers in found if times or numbers
    }


def reordered(connection: duckdb.DuckDBPyConnection, sources: Iterable[int]) -> dict[int, str]:
    """Return the staged files with a column a sensor in which a second header has another order.

    The rows behind it would be stored under the sensors of the first header.

    Returns
    -------
    dict of int to str
        By file, what the second header begins with.
    """
    rows = connection.execute(
        f"SELECT source, min(raw_timestamp) FROM staged AS one WHERE source IN {_listed(sources)} "
        "AND reason = 'bad_timestamp' AND raw_value <> sensor AND EXISTS (SELECT 1 FROM staged AS other "
        "WHERE other.source = one.source AND other.reason IS NULL AND other.sensor = one.raw_value) "
        "GROUP BY source"
    )
    return dict(rows.fetchall())


def look_again(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[int, Trouble],
    form: OpenedFile,
    settings: IngestSettings,
    latest: datetime,
) -> tuple[dict[int, dict[str, Any]], dict[int, Doubt]]:
    """Find how troubled files of one form are written.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    sources : dict of int to Trouble
    form : OpenedFile
        One of the files.
    settings : IngestSettings
    latest : datetime
        Times after it are not plausible.

    Returns
    -------
    found : dict of int to dict
        Settings by file, where a file shows that it is written otherwise.
    doubts : dict of int to Doubt
    """
    found: dict[int, dict[str, Any]] = {}
    doubts: dict[int, Doubt] = {}
    times = {n: one for n, one in sources.items() if one.times}
    if times and form.relation.timestamp_type == "VARCHAR" and settings.time_formats == (AUTO,):
        for number, formats in time_formats(connection, times, settings, latest).items():
            if not isinstance(formats, Doubt):
                found[number] = {"time_format": list(formats)}
            elif form.source.format != "events":  # no content of theirs is an error of the file
                doubts[number] = formats
    numbers = [n for n, one in sources.items() if one.numbers]
    if numbers and form.relation.value_type == "VARCHAR" and settings.decimal == "auto":
        for number, marks in number_marks(connection, numbers, settings).items():
            found[number] = found.get(number, {}) | marks
    return found, doubts


def time_formats(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[int, Trouble],
    settings: IngestSettings,
    latest: datetime,
) -> dict[int, tuple[str, ...] | Doubt]:
    """Find the formats of the times of staged files of one form, or the doubt; others are left out.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    sources : dict of int to Trouble
    settings : IngestSettings
    latest : datetime
        Times after it are not plausible.
    """
    by_order = _candidates(connection, sources)
    if not by_order:
        return {}
    found: dict[int, tuple[str, ...] | Doubt] = {}
    orders: dict[int, str] = {}
    for source, evidence in _evidence(connection, sources, by_order, settings, latest).items():
        # A minority that is written otherwise stays refused: most of the file is understood.
        half = sources[source].times / 2
        able = {order: one for order, one in evidence.items() if one.plausible > half}
        sure = [order for order, one in able.items() if one.alone or len(able) == 1]
        if len(sure) == 1 or (able and not any(one.differs for one in able.values())):
            orders[source] = sure[0] if sure else next(iter(able))
        elif able and sources[source].times > sources[source].rows / 2:
            example = next(one.example for one in able.values() if one.example)
            found[source] = Doubt(example, [formats_of(example.strip())[order][0] for order in able])
    known = set(orders.values())
    if len(known) == 1:
        # Of the files of one form, those of later days may show what the others leave open.
        orders = dict.fromkeys([*orders, *found], known.pop())
    return found | {source: (*by_order[order], AUTO) for source, order in orders.items()}


def number_marks(
    connection: duckdb.DuckDBPyConnection, sources: Iterable[int], settings: IngestSettings
) -> dict[int, dict[str, Any]]:
    """Find ``decimal`` and ``thousands`` of staged files where there is no doubt; others are left out."""
    text = bare_text("raw_value", settings)
    group = r"[+-]?[1-9]\d{0,2}"
    patterns = {
        # 1,5 or 0,125 or 12,3456: never thousands.
        "comma": r"[+-]?(\d*,(\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+)",
        "maybe_comma": rf"{group},\d{{3}}",
        "comma_groups": rf"{group}((,\d{{3}}){{2,}}|(,\d{{3}})+\.\d*)",
        "point": r"[+-]?(\d*\.(\d{1,2}|\d{4,})|0\.\d+|\d{4,}\.\d+|\d*\.?\d+[eE][+-]?\d+)",
        "maybe_point": rf"{group}\.\d{{3}}",
        "point_groups": rf"{group}((\.\d{{3}}){{2,}}|(\.\d{{3}})+,\d+)",
        "space_groups": rf"{group}([ \x{{a0}}\x{{202f}}]\d{{3}})+([.,]\d+)?",
        "space_comma": rf"{group}([ \x{{a0}}\x{{202f}}]\d{{3}})+,\d+",
        "quote_groups": rf"{group}(['\x{{2019}}]\d{{3}})+([.,]\d+)?",
        "quote_comma": rf"{group}(['\x{{2019}}]\d{{3}})+,\d+",
    }
    counted = ", ".join(
        f"count(*) FILTER (regexp_full_match(text, {literal(pattern)}))" for pattern in patterns.values()
    )
    rows = connection.execute(
        f"SELECT source, {counted} FROM (SELECT source, {text} AS text FROM staged WHERE "
        f"source IN {_listed(sources)} AND COALESCE(reason, '') <> 'malformed_row') GROUP BY source"
    ).fetchall()
    marks = {row[0]: _marks(dict(zip(patterns, row[1:], strict=True))) for row in rows}
    return {source: one for source, one in marks.items() if one}


def _marks(n: Mapping[str, int]) -> dict[str, Any]:
    """Decide on the marks of numbers by how many are written in which way; empty for a doubt.

    Examples
    --------
    >>> nothing = dict.fromkeys(["comma", "maybe_comma", "comma_groups", "point", "maybe_point",
    ...     "point_groups", "space_groups", "space_comma", "quote_groups", "quote_comma"], 0)
    >>> _marks(nothing | {"comma": 5, "maybe_comma": 2})
    {'decimal': ','}
    >>> _marks(nothing | {"maybe_comma": 2})
    {}
    """
    is_comma = n["comma"] or n["point_groups"] or n["space_comma"] or n["quote_comma"]
    is_point = n["point"] or n["comma_groups"]
    if is_comma and is_point:
        return {}
    groups = {" ": n["space_groups"], "'": n["quote_groups"], ".": n["point_groups"], ",": n["comma_groups"]}
    used = [mark for mark, count in groups.items() if count]
    if len(used) > 1:
        return {}
    found: dict[str, Any] = {"thousands": used[0]} if used else {}
    if is_comma:
        if n["maybe_point"] and not n["point_groups"]:
            return {}
        return found | {"decimal": ","}
    if n["maybe_comma"] and not n["comma_groups"]:
        return {}
    return found


@dataclass(frozen=True)
class _Evidence:
    """Rows of a file that an order of the date's parts can read: plausible, by it alone, and otherwise."""

    plausible: int
    alone: int
    differs: int
    example: str | None


def _candidates(connection: duckdb.DuckDBPyConnection, sources: Iterable[int]) -> dict[str, list[str]]:
    """Return the formats that examples of each form of time may have, by what comes first in their dates."""
    shapes = connection.execute(
        "SELECT min(text), max(text) FROM (SELECT trim(raw_timestamp) AS text FROM staged "
        f"WHERE source IN {_listed(sources)} AND {_NO_TIME} AND raw_timestamp IS NOT NULL) "
        r"GROUP BY regexp_replace(text, '\d', '9', 'g') "
        f"ORDER BY count(*) DESC, min(text) LIMIT {_MANY_SHAPES}"
    ).fetchall()
    found: dict[str, dict[str, None]] = {}
    for text in (text for shape in shapes for text in shape):
        for order, formats in formats_of(text).items():
            found.setdefault(order, {}).update(dict.fromkeys(formats))
    return {order: list(formats) for order, formats in found.items()}


def _evidence(
    connection: duckdb.DuckDBPyConnection,
    sources: Iterable[int],
    by_order: Mapping[str, list[str]],
    settings: IngestSettings,
    latest: datetime,
) -> dict[int, dict[str, _Evidence]]:
    times = [
        f"{time_of('raw_timestamp', 'VARCHAR', settings.timezone, tuple(formats))} AS t{n}"
        for n, formats in enumerate(by_order.values())
    ]
    counted = []
    for n in range(len(times)):
        others = [f"t{m}" for m in range(len(times)) if m != n]
        nobody = " AND ".join(f"{other} IS NULL" for other in others) or "true"
        differs = " OR ".join(f"{other} <> t{n}" for other in others) or "false"
        counted += [
            f"count(*) FILTER (t{n} BETWEEN TIMESTAMPTZ '{settings.min_time.isoformat()}' "
            f"AND TIMESTAMPTZ '{latest.isoformat()}')",
            f"count(*) FILTER (t{n} IS NOT NULL AND {nobody})",
            f"count(*) FILTER ({differs})",
            f"min(raw_timestamp) FILTER ({differs})",
        ]
    rows = connection.execute(
        f"SELECT source, {', '.join(counted)} FROM (SELECT source, raw_timestamp, {', '.join(times)} "
        f"FROM staged WHERE source IN {_listed(sources)} AND {_NO_TIME}) GROUP BY source ORDER BY source"
    ).fetchall()
    return {
        row[0]: {order: _Evidence(*row[4 * n + 1 : 4 * n + 5]) for n, order in enumerate(by_order)}
        for row in rows
    }


def _listed(sources: Iterable[int]) -> str:
    return "(" + ", ".join(map(str, sources)) + ")"
