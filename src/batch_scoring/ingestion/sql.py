"""Build SQL text: quoted literals, and expressions that parse raw fields into times, numbers and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from batch_scoring.core.ids import MAX_SEGMENT_BYTES

# The reasons of a refused row, in the order they are looked for; a row has the first that holds.
# "new_device", "no_value", "duplicate" and "conflict" are found later, beside other rows.
REASONS = (
    "malformed_row",
    "bad_quality",
    "missing_timestamp",
    "missing_device",
    "missing_sensor",
    "missing_value",
    "bad_timestamp",
    "implausible_time",
    "future_timestamp",
    "device_id_too_long",
    "sensor_id_too_long",
    "not_a_number",
    "infinite",
    "out_of_range",
    "new_device",
    "no_value",
    "duplicate",
    "conflict",
)

# Of Parquet's and Arrow's times, those with a zone; of pandas before 3, in nanoseconds.
ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
# Of a device's id: no real one is longer.
MAX_DEVICE_BYTES = 512
# Values from here on are no measurements, and leave the range of numbers where windows and fits square them.
TOO_LARGE = 1e150

# Of .NET, on 1 January 2100: as nanoseconds since 1970 they are in December 1990.
LAST_TICKS = 662_380_416_000_000_000

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_FLOATS = ("FLOAT", "DOUBLE")
# A partition's name holds the day as YYYY-MM-DD.
_FIRST_TIME, _LAST_TIME = "0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"


def literal(text: str) -> str:
    """Quote a text as a SQL literal.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def escape_glob(path: str) -> str:
    """Escape a path for DuckDB's file readers, which read every path as a glob.

    Examples
    --------
    >>> escape_glob("line[1].parquet")
    'line[[]1].parquet'
    """
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)


def text_list(texts: Iterable[str]) -> str:
    """Quote texts as the right side of a SQL ``IN``, in a fixed order."""
    return "(" + ", ".join(literal(text) for text in sorted(texts)) + ")"


def timestamp_of(column: str, sql_type: str, timezone: str) -> str:
    """Return the expression that parses a column as TIMESTAMP WITH TIME ZONE; NULL where it cannot.

    Parameters
    ----------
    column : str
        An expression, such as a column's name.
    sql_type : str
        Its DuckDB type.
    timezone : str
        The zone of times without an offset.
    """
    if sql_type in ZONED:
        return f"TRY_CAST({column} AS TIMESTAMPTZ)" if sql_type.endswith("NS") else column
    if sql_type.startswith("TIMESTAMP") or sql_type == "DATE":
        return _in_zone(f"TRY_CAST({column} AS TIMESTAMP)", timezone)
    if sql_type in _INTEGERS + _UNSIGNED:
        return _epoch(f"TRY_CAST({column} AS BIGINT)")
    if sql_type in _FLOATS or sql_type.startswith("DECIMAL"):
        return _epoch_fraction(f"TRY_CAST({column} AS DOUBLE)")
    return _timestamp_of_text(f"trim(CAST({column} AS VARCHAR))", timezone)


def is_number(sql_type: str) -> bool:
    """Whether a DuckDB type is one of numbers."""
    return sql_type in _INTEGERS + _UNSIGNED + _FLOATS or sql_type.startswith("DECIMAL")


def reason_of(
    earliest: datetime,
    latest: datetime,
    ranges: Mapping[str, tuple[float, float]],
    is_missing: str,
    is_bad: str = "false",
) -> str:
    """Return the expression for the reason a parsed row is refused; NULL when it is not.

    It reads the columns ``malformed, raw_timestamp, device, sensor, raw_value, timestamp, value``;
    ``is_missing`` is the condition under which a row has no value, ``is_bad`` that of bad quality.
    """
    out_of_range = "".join(
        f" WHEN {literal(sensor)} THEN value < {low!r}::DOUBLE OR value > {high!r}::DOUBLE"
        for sensor, (low, high) in sorted(ranges.items())
    )
    checks = {
        "malformed_row": "malformed IS NOT NULL",
        "bad_quality": is_bad,
        "missing_timestamp": _is_missing("raw_timestamp"),
        "missing_device": _is_missing("device"),
        "missing_sensor": _is_missing("sensor"),
        "missing_value": is_missing,
        "bad_timestamp": f"timestamp IS NULL OR timestamp < TIMESTAMPTZ '{_FIRST_TIME}' "
        f"OR timestamp > TIMESTAMPTZ '{_LAST_TIME}'",
        "implausible_time": f"timestamp < TIMESTAMPTZ {literal(earliest.isoformat())}",
        "future_timestamp": f"timestamp > TIMESTAMPTZ {literal(latest.isoformat())}",
        "device_id_too_long": f"strlen(device) > {MAX_DEVICE_BYTES}",
        "sensor_id_too_long": _is_too_long("sensor"),
        "not_a_number": "value IS NULL OR isnan(value)",
        "infinite": f"abs(value) >= {TOO_LARGE!r}::DOUBLE",
        "out_of_range": f"CASE sensor{out_of_range} ELSE false END" if ranges else "false",
    }
    return "CASE " + " ".join(f"WHEN {check} THEN '{reason}'" for reason, check in checks.items()) + " END"


def _is_missing(column: str) -> str:
    return f"{column} IS NULL OR (CAST({column} AS VARCHAR) = '' OR trim(CAST({column} AS VARCHAR)) = '')"


def _is_too_long(column: str) -> str:
    """Whether ``ids.path_segment`` of it exceeds a path segment: 3 bytes a byte, 1 if plain."""
    size = f"octet_length(encode({column}))"
    plain = f"length(regexp_replace({column}, '[^A-Za-z0-9_.~-]', '', 'g'))"
    hidden = f"CASE WHEN {column}[1] IN ('.', '_') THEN 2 ELSE 0 END"
    encoded = f"3 * {size} - 2 * {plain} + {hidden}"
    return f"{size} > {MAX_SEGMENT_BYTES // 3 - 2} AND {encoded} > {MAX_SEGMENT_BYTES}"


def _timestamp_of_text(text: str, timezone: str) -> str:
    number, compact = r"'\d+'", r"'^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)'"
    spread = rf"regexp_replace({text}, {compact}, '\1-\2-\3T\4:\5:\6')"
    return (
        # Digits and dashes; words such as "infinity" and "epoch" are not times here.
        # BST is British, and of Bangladesh; what is clear, as EST is, ``time_spelling`` knows.
        f"CASE WHEN {text}[5] = '-' AND {text}[1] BETWEEN '0' AND '9' AND NOT ends_with({text}, 'ST') "
        f"THEN {_iso_time(text, timezone)} "
        f"WHEN regexp_full_match({text}, {number}) THEN {_epoch(f'TRY_CAST({text} AS BIGINT)')} "
        rf"WHEN regexp_full_match({text}, '\d+\.\d*') THEN {_epoch_fraction(f'TRY_CAST({text} AS DOUBLE)')} "
        f"WHEN regexp_matches({text}, {compact}) THEN {_iso_time(spread, timezone)} END"
    )


def _iso_time(text: str, timezone: str) -> str:
    time = f"COALESCE(TRY_CAST({text} AS TIMESTAMPTZ), TRY_CAST(upper({text}) AS TIMESTAMPTZ))"
    if timezone == "UTC":
        return time
    # A zone is a letter or an offset behind the time of day: the -05 of 2026-01-05 is not a zone.
    has_zone = rf"regexp_matches({text}, ':.*([A-Za-z]|[+-]\d\d(:?\d\d)?)$')"
    naive = _in_zone(f"TRY_CAST(upper({text}) AS TIMESTAMP)", timezone)
    return f"CASE WHEN {has_zone} THEN {time} ELSE {naive} END"


def _in_zone(naive: str, timezone: str) -> str:
    return f"timezone({literal(timezone)}, {naive})"


def _epoch(number: str) -> str:
    """Parse seconds, milli-, micro- or nanoseconds since 1970, recognised by size (all are after 1973).

    What are nanoseconds before 1991 are ticks of .NET of this century.
    """
    return (
        f"timezone('UTC', make_timestamp(CASE WHEN abs({number}) < 100000000000 THEN {number} * 1000000 "
        f"WHEN abs({number}) < 100000000000000 THEN {number} * 1000 "
        f"WHEN abs({number}) < 100000000000000000 THEN {number} "
        f"WHEN abs({number}) > {LAST_TICKS} THEN {number} // 1000 END))"
    )


def _epoch_fraction(number: str) -> str:
    scale = (
        f"CASE WHEN abs({number}) < 1e11 THEN 1e6 WHEN abs({number}) < 1e14 THEN 1e3 "
        f"WHEN abs({number}) < 1e17 THEN 1 ELSE 1e-3 END"
    )
    return f"timezone('UTC', make_timestamp(TRY_CAST(round({number} * {scale}) AS BIGINT)))"
