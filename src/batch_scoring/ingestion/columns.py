"""Match column names to the four roles, and find the delimiter of a header line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import ROLES, IngestSettings

DELIMITERS = (",", ";", "\t", "|")
_NAMED = {"space": " ", "tab": "\t"}
_BRACES = re.compile(r"\{([^{}]+)\}")


def match_columns(names: Sequence[str], settings: IngestSettings) -> dict[str, int]:
    """Find the position of each role's column, if it exists.

    The first configured name found counts, exactly spelled if possible, else ignoring case.

    Examples
    --------
    >>> match_columns(["TS", "Device", "Tag", "Value"], IngestSettings())
    {'timestamp': 0, 'device': 1, 'sensor': 2, 'value': 3}
    """
    exact = _first_positions([name.strip() for name in names])
    folded = _first_positions([name.strip().casefold() for name in names])
    found: dict[str, int] = {}
    # A column that was named for a role has no other one by its usual name.
    named = [role for role in ROLES if settings.is_named(role)]
    for role in (*named, *(role for role in ROLES if role not in named)):
        for wanted in settings.column_names(role):
            position = exact.get(wanted.strip(), folded.get(wanted.strip().casefold()))
            if position is not None and (role in named or position not in found.values()):
                found[role] = position
                break
    return {role: found[role] for role in ROLES if role in found}


def matching_names(names: Sequence[str], role: str, settings: IngestSettings) -> list[str]:
    """List the names that a role's column may have, best first: exactly spelled, then ignoring case.

    Examples
    --------
    >>> matching_names(["Value", "time", "value", "val"], "value", IngestSettings())
    ['value', 'Value', 'val']
    """
    found: dict[str, None] = {}
    for wanted in settings.column_names(role):
        exact = [name for name in names if name.strip() == wanted.strip()]
        folded = [name for name in names if name.strip().casefold() == wanted.strip().casefold()]
        found.update(dict.fromkeys([*sorted(exact), *sorted(folded)]))
    return list(found)


def template_parts(template: str, names: Sequence[str]) -> list[int | str] | None:
    """Split a template such as ``"{Date} {Time}"`` into columns, by position, and the text between them.

    Returns
    -------
    list of int or str, or None
        None where it has no braces, or a column in them does not exist.

    Examples
    --------
    >>> template_parts("{Date} {Time}", ["value", "date", "time"])
    [1, ' ', 2]
    """
    texts = _BRACES.split(template)
    if len(texts) == 1:
        return None
    exact, folded = (
        _first_positions(list(names)),
        _first_positions([name.strip().casefold() for name in names]),
    )
    parts: list[int | str] = []
    for number, text in enumerate(texts):
        if number % 2 == 0:
            parts += [text] if text else []
            continue
        position = exact.get(text, folded.get(text.strip().casefold()))
        if position is None:
            return None
        parts.append(position)
    return parts


def split_header(line: str, settings: IngestSettings, path: str = "") -> tuple[str, list[str]]:
    """Find the delimiter of a header line, and its column names.

    The delimiter is the one that finds the most of the wanted columns; of equals, the one that
    splits the line into the most.

    Examples
    --------
    >>> split_header("ts;device;sensor;value", IngestSettings())
    (';', ['ts', 'device', 'sensor', 'value'])
    """
    splits = [(delimiter, split_line(line, delimiter, path)) for delimiter in delimiters(settings)]
    best = max(splits, key=lambda split: (len(match_columns(split[1], settings)), len(split[1])))
    if settings.delimiter == "auto" and len(best[1]) == 1 and len(line.split()) > 1:
        spaced = (" ", line.split())
        if len(spaced[1]) > 2 or match_columns(spaced[1], settings):
            return spaced
    return best


def delimiters(settings: IngestSettings) -> tuple[str, ...]:
    """Return the delimiters a file may have; a space stands for any white space."""
    if settings.delimiter == "auto":
        return DELIMITERS
    return (_NAMED.get(settings.delimiter, settings.delimiter),)


def split_line(line: str, delimiter: str, path: str = "") -> list[str]:
    """Split a line into its fields.

    Raises
    ------
    InputError
        When a field is longer than any name or reading.
    """
    if delimiter == " ":
        return line.split()
    if "\r" in line.strip("\r") and '"' not in line:
        raise InputError(f"{path}: its lines end with CR alone; save it with line ends of Unix or Windows")
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(
            f"{path}: a line of {len(line):,} characters cannot be split into columns ({error}); expected a "
            "header of names and one reading a line"
        ) from None


def _first_positions(names: list[str]) -> dict[str, int]:
    return {name: position for position, name in reversed(list(enumerate(names)))}
