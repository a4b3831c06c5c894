"""Find the hour that local times state twice, in the night when clocks are set back."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.times import ISO, read_time

_SUNDAY, _HOUR = 6, timedelta(hours=1)


def repeated_hour(column: Column) -> str | None:
    """Say where the times of a column, which have no zone, go back as clocks do; None where they do not.

    Examples
    --------
    >>> texts = ("2025-10-26 01:30", "2025-10-26 02:00", "2025-10-26 02:30", "2025-10-26 02:00")
    >>> repeated_hour(Column("time", texts))[:44]
    'time: goes back after 2025-10-26 02:30, as c'
    """
    look = column.time
    if (
        look is None
        or look.has_zone
        or look.holds != "moment"
        or look.formats[0].startswith(("epoch", "excel"))
    ):
        return None
    times = [_read(text, look.formats[0]) for text in column.texts]
    back = [
        text
        for text, (one, next_one) in zip(column.texts, pairwise(times), strict=False)
        if one and next_one and next_one < one
    ]
    steps = [one - two for one, two in pairwise(times) if one and two and two < one]
    if len(steps) != 1 or steps[0] > _HOUR:
        return None
    last = _read(back[0], look.formats[0])
    if last is None or last.weekday() != _SUNDAY:
        return None
    return (
        f"{column.name}: goes back after {back[0]}, as clocks do in autumn; set ingest.timezone to the zone "
        "of the place, such as Europe/Berlin, which tells the repeated hour apart"
    )


def _read(text: str, form: str) -> datetime | None:
    if form != ISO:
        return read_time(text, form)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
