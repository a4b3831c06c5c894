"""Match column names to the four roles, and find the delimiter of a header line."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import ROLES, IngestSettings

DELIMITERS = (",", ";", "\t", "|")


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
    found = {}
    for role in ROLES:
        for wanted in settings.column_names(role):
            position = exact.get(wanted.strip(), folded.get(wanted.strip().casefold()))
            if position is not None:
                found[role] = position
                break
    return found


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


def require_columns(names: Sequence[str], settings: IngestSettings, file: str) -> dict[str, int]:
    """Find the position of each role's column, or raise.

    Raises
    ------
    InputError
        Naming the file, the first missing column and the existing columns.
    """
    found = match_columns(names, settings)
    for role in ROLES:
        if role not in found:
            wanted = " or ".join(map(repr, settings.column_names(role)))
            raise InputError(
                f"{file}: no column for the {role} (looked for {wanted}); the file has {_listed(names)}; "
                f"set ingest.columns.{role} to the right one"
            )
    return found


def split_header(line: str, settings: IngestSettings) -> tuple[str, list[str]]:
    """Find the delimiter of a header line, and its column names.

    The delimiter is the one that finds the most of the wanted columns; of equals, the one that
    splits the line into the most.

    Examples
    --------
    >>> split_header("ts;device;sensor;value", IngestSettings())
    (';', ['ts', 'device', 'sensor', 'value'])
    """
    splits = [(delimiter, _split(line, delimiter)) for delimiter in DELIMITERS]
    return max(splits, key=lambda split: (len(match_columns(split[1], settings)), len(split[1])))


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _first_positions(names: list[str]) -> dict[str, int]:
    return {name: position for position, name in reversed(list(enumerate(names)))}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20])) or "no columns"
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
