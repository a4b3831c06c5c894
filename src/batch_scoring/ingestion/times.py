"""SQL that parses the time of a raw row by the formats of the settings."""

from __future__ import annotations

from itertools import groupby

from batch_scoring.ingestion.interpretation import AUTO, EPOCHS, EXCEL
from batch_scoring.ingestion.sql import ZONED, literal, timestamp_of
from batch_scoring.ingestion.time_spelling import spelled_in_sql

# Excel's first day is 1899-12-31, and it takes 1900 for a leap year.
_EXCEL_START = "TIMESTAMP '1899-12-30'"
_LAST_EXCEL_DAY = 2_958_466


def time_of(column: str, sql_type: str, timezone: str, formats: tuple[str, ...]) -> str:
    """Return the expression that parses a column as TIMESTAMP WITH TIME ZONE; NULL where it cannot.

    Parameters
    ----------
    column : str
        Its name.
    sql_type : str
        Its DuckDB type. A column of times needs no format.
    timezone : str
        The zone of times without an offset.
    formats : tuple of str
        See :class:`~batch_scoring.ingestion.interpretation.Interpretation`; the first that fits counts.
    """
    is_time = sql_type in ZONED or sql_type.startswith("TIMESTAMP") or sql_type == "DATE"
    if is_time or formats == (AUTO,):
        return timestamp_of(column, sql_type, timezone)
    text = f"trim(CAST({column} AS VARCHAR))"
    parsed = []
    for kind, group in groupby(formats, _kind):
        if kind == AUTO:
            parsed.append(timestamp_of(column, sql_type, timezone))
        elif kind in EPOCHS:
            parsed.append(_since_epoch(text, EPOCHS[kind]))
        elif kind == EXCEL:
            parsed.append(f"timezone({literal(timezone)}, {_serial_day(text)})")
        else:
            parsed.append(by_formats(text, timezone, list(group)))
    return f"COALESCE({', '.join(parsed)})" if len(parsed) > 1 else parsed[0]


def by_formats(text: str, timezone: str, formats: list[str]) -> str:
    """Return the expression that parses a text by strptime formats, all with a zone or all without."""
    listed = "[" + ", ".join(map(literal, formats)) + "]"
    is_zoned = _kind(formats[0]) == "zoned"
    # With %n it would be a type of nanoseconds.
    sql_type = "TIMESTAMPTZ" if is_zoned else "TIMESTAMP"

    def parsed(spelled: str) -> str:
        if is_zoned:
            # DuckDB's %z reads no Z.
            spelled = f"regexp_replace({spelled}, '(\\d ?)[Zz]$', '\\1+00:00')"
        return f"CAST(try_strptime({spelled}, {listed}) AS {sql_type})"

    # What is spelled as usual, which is most of it, costs no more; 24:00 is the next midnight.
    midnight = rf"regexp_replace({text}, '([T ])24([:.]00)', '\100\2')"
    found = (
        f"COALESCE({parsed(text)}, {parsed(spelled_in_sql(text, formats))}, "
        rf"CASE WHEN regexp_matches({text}, '[T ]24[:.]00') THEN {parsed(midnight)} + INTERVAL 1 DAY END)"
    )
    return found if is_zoned else f"timezone({literal(timezone)}, {found})"


def is_naive(column: str, sql_type: str, formats: tuple[str, ...]) -> str:
    """Return the condition that a raw time has no offset, so that a zone was taken for it."""
    if sql_type in ZONED:
        return "false"
    if sql_type.startswith("TIMESTAMP") or sql_type == "DATE":
        return "true"
    text = f"trim(CAST({column} AS VARCHAR))"
    if EXCEL in formats:
        return "true"
    has_zone = (
        rf"regexp_matches({text}, ':.*([A-Za-z]|[+-]\d\d(:?\d\d)?)$') AND NOT {text}[-1:] IN ('M', 'm')"
    )
    return rf"NOT ({has_zone}) AND NOT regexp_full_match({text}, '\d{{1,13}}(\.\d*)?|\d{{15,}}')"


def _kind(one: str) -> str:
    if one in (AUTO, EXCEL, *EPOCHS):
        return one
    return "zoned" if "%z" in one or "%Z" in one else "naive"


def _since_epoch(text: str, microseconds: float) -> str:
    number = f"TRY_CAST(round(TRY_CAST({_with_point(text)} AS DOUBLE) * {microseconds!r}) AS BIGINT)"
    # Beyond the year 9999 make_timestamp ends the query.
    return f"CASE WHEN abs({number}) < 253402300800000000 THEN timezone('UTC', make_timestamp({number})) END"


def _serial_day(text: str) -> str:
    """Days since 1899-12-30, to the millisecond: more digits are rounding."""
    day = f"TRY_CAST({_with_point(text)} AS DOUBLE)"
    return (
        f"CASE WHEN {day} >= 1 AND {day} < {_LAST_EXCEL_DAY} THEN "
        f"{_EXCEL_START} + to_milliseconds(CAST(round({day} * 86400000) AS BIGINT)) END"
    )


def _with_point(text: str) -> str:
    return f"replace({text}, ',', '.')"
