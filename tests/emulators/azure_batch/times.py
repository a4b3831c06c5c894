"""Times and lengths of time as the service writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime


def as_text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def in_header(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def seconds_of(duration: str) -> float:
    """Of an ISO 8601 length of time, such as ``P1DT2H30M``."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?", duration)
    if found is None:
        raise ValueError(duration)
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
