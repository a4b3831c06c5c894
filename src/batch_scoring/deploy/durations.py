"""Format durations as Azure writes them, pure: a workflow's recurrence, ISO 8601."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from batch_scoring.core.errors import InputError

# The service's units, and its maximum of each.
_UNITS = (
    ("Week", timedelta(weeks=1), 71),
    ("Day", timedelta(days=1), 500),
    ("Hour", timedelta(hours=1), 12000),
    ("Minute", timedelta(minutes=1), 72000),
)


def recurrence(every: timedelta, where: str) -> dict[str, Any]:
    """Format a duration as a recurrence of Logic Apps, in the longest unit that divides it.

    Raises
    ------
    InputError
        When it is not whole minutes, or longer than the service allows.

    Examples
    --------
    >>> recurrence(timedelta(hours=36), "deploy.schedule.every")
    {'frequency': 'Hour', 'interval': 36}
    """
    for unit, length, most in _UNITS:
        if every > timedelta(0) and not every % length and every // length <= most:
            return {"frequency": unit, "interval": every // length}
    raise InputError(
        f"{where}: {short_text(every)} is not valid; expected whole minutes, hours or days, "
        "such as '1h', at most 500d"
    )


def iso_duration(length: timedelta) -> str:
    """Format a duration as ISO 8601, without units longer than a day.

    Examples
    --------
    >>> iso_duration(timedelta(minutes=55)), iso_duration(timedelta(days=1, hours=2))
    ('PT55M', 'P1DT2H')
    """
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{length.days}D" if length.days else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    return f"P{days}" + (f"T{time}" if time else "" if days else "T0S")


def short_text(length: timedelta) -> str:
    """Format a duration as settings write it.

    Examples
    --------
    >>> short_text(timedelta(minutes=90))
    '1h30m'
    """
    return iso_duration(length).removeprefix("P").replace("T", "").lower()
