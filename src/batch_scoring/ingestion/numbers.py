"""SQL that parses the value of a raw row: marks, units, words, missing values, conversions."""

from __future__ import annotations

from collections.abc import Mapping

from batch_scoring.ingestion.interpretation import EVERY, Interpretation, Missing
from batch_scoring.ingestion.sql import literal, text_list
from batch_scoring.ingestion.units import Conversion

# Texts that mean missing in the files of most programs; none of them is a number.
NO_VALUES = (
    "", "?", "-", "--", "n/a", "#n/a", "na", "<na>", "nan", "nil", "none", "null", "missing", "unknown",
    "unavailable", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!", "1.#qnan", "-1.#qnan",
    "1.#ind", "-1.#ind",
)  # fmt: skip
_BOOLEANS = {"true": 1.0, "false": 0.0}
# Of thousands, a space may be one that does not break a line.
_SEPARATORS = {" ": "[ \u00a0\u202f]", "'": "['\u2019]", ".": r"\.", ",": ","}


def value_of(column: str, sql_type: str, settings: Interpretation) -> str:
    """Return the expression that parses a column as DOUBLE, not converted yet; NULL where it cannot."""
    if sql_type != "VARCHAR":
        return f"TRY_CAST({column} AS DOUBLE)"
    text = bare_text(column, settings)
    words = _BOOLEANS | settings.numbers_of_words
    cases = " ".join(f"WHEN {literal(word)} THEN {number!r}::DOUBLE" for word, number in words.items())
    return f"COALESCE({_number(text, settings)}, CASE lower({text}) {cases} END)"


def bare_text(column: str, settings: Interpretation) -> str:
    """Return the expression of a text without its unit and the spaces around it."""
    text = f"trim({column})"
    if settings.suffixes:
        units = "|".join(map(escape_pattern, settings.suffixes))
        text = f"trim(regexp_replace({text}, {literal(f'({units})$')}, ''))"
    return text


def is_missing(column: str, sql_type: str, settings: Interpretation) -> str:
    """Return the condition that a row has no value; it reads ``sensor`` and ``value``, not converted yet."""
    conditions = [f"{column} IS NULL"]
    missing = settings.missing_values
    if sql_type == "VARCHAR":
        words = settings.numbers_of_words
        texts = [text for text in NO_VALUES if text not in words]
        every = missing.get(EVERY, Missing())
        is_none = f"lower(trim({column})) IN {text_list({*texts, *every.texts})}"
        conditions.append(f"((value IS NULL OR isnan(value)) AND {is_none})")
    else:
        conditions.append("(value IS NOT NULL AND isnan(value))")
    for sensor, one in sorted(missing.items()):
        found = []
        if one.numbers:
            found.append(f"value IN ({', '.join(f'{number!r}::DOUBLE' for number in sorted(one.numbers))})")
        if one.texts:
            found.append(f"lower(trim(CAST({column} AS VARCHAR))) IN {text_list(one.texts)}")
        if found:
            conditions.append(_of_sensor(sensor, " OR ".join(found)))
    return " OR ".join(f"COALESCE({one}, false)" for one in conditions)


def converted(conversions: Mapping[str, Conversion]) -> str:
    """Return the expression of ``value`` in the unit that is stored; it reads ``sensor``."""
    if not conversions:
        return "value"
    cases = " ".join(
        f"WHEN {literal(sensor)} THEN (value * {one.factor!r}::DOUBLE + {one.offset!r}::DOUBLE) / "
        f"{one.divisor!r}::DOUBLE"
        for sensor, one in sorted(conversions.items())
    )
    return f"CASE sensor {cases} ELSE value END"


def tolerance(by_sensor: Mapping[str, float]) -> str:
    """Return the expression of how far apart two values of one time may be; it reads ``sensor``."""
    cases = " ".join(
        f"WHEN {literal(sensor)} THEN {value!r}::DOUBLE"
        for sensor, value in sorted(by_sensor.items())
        if sensor != EVERY
    )
    others = f"{by_sensor.get(EVERY, 0.0)!r}::DOUBLE"
    return f"CASE sensor {cases} ELSE {others} END" if cases else others


def escape_pattern(text: str) -> str:
    """Escape a text for a regular expression of DuckDB."""
    return "".join(f"\\{letter}" if letter in r"\.+*?()[]{}|^$" else letter for letter in text)


def _number(text: str, settings: Interpretation) -> str:
    if settings.decimal != "," and settings.thousands is None:
        # DuckDB reads 1_000 as a thousand; a measurement is never written so.
        return f"CASE WHEN contains({text}, '_') THEN NULL ELSE TRY_CAST({text} AS DOUBLE) END"
    plain, mark = text, "," if settings.decimal == "," else "."
    whole = r"\d+"
    if settings.thousands is not None:
        separator = _SEPARATORS[settings.thousands]
        whole = rf"\d+|\d{{1,3}}(?:{separator}\d{{3}})+"
        plain = f"regexp_replace({plain}, {literal(separator)}, '', 'g')"
    fraction = rf"(?:{escape_pattern(mark)}\d*)?"
    pattern = rf"[+-]?(?:(?:{whole}){fraction}|{escape_pattern(mark)}\d+)(?:[eE][+-]?\d+)?"
    if mark == ",":
        plain = f"replace({plain}, ',', '.')"
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN TRY_CAST({plain} AS DOUBLE) END"


def _of_sensor(sensor: str, condition: str) -> str:
    return f"({condition})" if sensor == EVERY else f"(sensor = {literal(sensor)} AND ({condition}))"
