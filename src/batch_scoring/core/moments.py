"""Moments as text and as numbers: UTC, microseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """A time as Arrow stores it: microseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def as_text(moment: datetime) -> str:
    """A time in UTC as ISO 8601, to the second where it has no fraction.

    Examples
    --------
    >>> from datetime import UTC
    >>> as_text(datetime(2026, 1, 5, 10, tzinfo=UTC))
    '2026-01-05T10:00:00Z'
    """
    return moment.isoformat().replace("+00:00", "Z")
