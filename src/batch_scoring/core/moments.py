"""Convert times to text and to microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


def microseconds(moment: datetime) -> int:
    """Convert a time to microseconds since the epoch, as Arrow stores it; a time without a zone is UTC."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MICROSECOND


def as_text(moment: datetime) -> str:
    """Format a time in UTC as ISO 8601, to the second where it has no fraction.

    Examples
    --------
    >>> from datetime import UTC
    >>> as_text(datetime(2026, 1, 5, 10, tzinfo=UTC))
    '2026-01-05T10:00:00Z'
    """
    return moment.isoformat().replace("+00:00", "Z")
