"""Format durations as Azure writes them, pure: a workflow's recurrence, ISO 8601."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from batch_scoring.core.errors import InputError

# When a cron fires after the full hour: windows have closed, and the stream has written them.
CRON_MINUTE = 5
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


def cron(every: timedelta, where: str) -> str:
    """Format a duration as a cron expression, UTC, five minutes after the full hour.

    Raises
    ------
    InputError
        When cron cannot say it: it knows parts of an hour and of a day, a day, and a week.

    Examples
    --------
    >>> [cron(timedelta(minutes=m), "every") for m in (15, 60, 360, 1440, 10080)]
    ['5-59/15 * * * *', '5 * * * *', '5 */6 * * *', '5 0 * * *', '5 0 * * 0']
    """
    minutes, rest = divmod(every, timedelta(minutes=1))
    hours = minutes // 60
    if not rest and 0 < minutes < 60 and not 60 % minutes:
        return f"{CRON_MINUTE % minutes}-59/{minutes} * * * *"
    if not rest and hours and not minutes % 60:
        if hours in (24, 168):
            return f"{CRON_MINUTE} 0 * * {'*' if hours == 24 else '0'}"
        if not 24 % hours:
            return f"{CRON_MINUTE} {'*' if hours == 1 else f'*/{hours}'} * * *"
    raise InputError(
        f"{where}: {short_text(every)} is not valid with deploy.scheduler.kind 'container_app_job'; expected "
        "a part of an hour or of a day, a day or a week, such as '15m', '1h', '6h', '1d' or '7d', or set the "
        "kind 'logic_app'"
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
