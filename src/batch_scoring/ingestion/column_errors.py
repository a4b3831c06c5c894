"""Errors on the columns of a file: all that is missing at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import ROLES, IngestSettings


def missing_columns(names: Sequence[str], found: Mapping[str, int], file: str) -> InputError:
    """Return the error that names every role without a column.

    Parameters
    ----------
    names : sequence of str
    found : dict of str to int
        The position of each role that there is.
    file : str
    """
    missing = [role for role in ROLES if role not in found]
    one = "; if another character separates its columns, set ingest.delimiter" if len(names) == 1 else ""
    return InputError(f"{file}: no column for the {joined(missing)}; the file has {listed(names)}{one}")


def no_sensors(names: Sequence[str], settings: IngestSettings, file: str) -> InputError:
    """Return the error that no column of a wide file is a sensor."""
    return InputError(
        f"{file}: no column is a sensor (ingest.wide.sensors is {settings.wide.sensors}, and only columns of "
        f"numbers count for '*'); the file has {listed(names)}; name the sensors in ingest.wide.sensors, or "
        "the columns in ingest.columns"
    )


def joined(roles: Sequence[str]) -> str:
    """List roles in a sentence."""
    return " and the ".join([", the ".join(roles[:-1]), roles[-1]] if len(roles) > 1 else roles)


def listed(names: Sequence[str]) -> str:
    """List the columns of a file, the first twenty by name."""
    shown = (
        ", ".join(repr(name if len(name) <= 80 else f"{name[:77]}…") for name in names[:20]) or "no columns"
    )
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")
