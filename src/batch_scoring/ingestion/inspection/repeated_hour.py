"""Find times that come twice: the hour in which clocks are set back, halves of days, rounded numbers."""

from __future__ import annotations

import re
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


def rounded_times(column: Column) -> str | None:
    """Say that times are numbers with a power of ten, which are of several rows where they are rounded.

    Examples
    --------
    >>> rounded_times(Column("ts", ("1.77241E+12", "1.77242E+12")))[:39]
    "ts: '1.77241E+12' is rounded, as spread"
    """
    if column.time is None or not re.fullmatch(r"\d([.,]\d+)?[eE]\+?\d+", column.texts[0]):
        return None
    return (
        f"{column.name}: {column.texts[0]!r} is rounded, as spreadsheets save long numbers; export all digits"
    )


def half_days(column: Column) -> str | None:
    """Say that times are of a clock of 12 hours without AM and PM; None where they are not.

    Examples
    --------
    >>> noon = ("2026-03-02 12:50", "2026-03-02 01:00", "2026-03-02 11:50", "2026-03-02 12:00")
    >>> half_days(Column("time", noon))[:30]
    "time: after '2026-03-02 12:50'"
    >>> half_days(Column("time", ("2026-03-02 12:50", "2026-03-02 13:00")))
    """
    look, texts = column.time, column.texts
    if look is None or look.holds != "moment":
        return None
    if look.formats[0].startswith(("epoch", "excel")) or "%p" in look.formats[0]:
        return None
    times = [_read(text, look.formats[0]) for text in texts]
    if not {time.hour for time in times if time} <= set(range(1, 13)):
        return None
    for text, next_text, (one, two) in zip(texts, texts[1:], pairwise(times), strict=False):
        if one and two and one.date() == two.date() and one.hour == 12 and two.hour < 12:
            return (
                f"{column.name}: after {text!r} comes {next_text!r}, and no hour is 0 or above 12: a clock "
                "of 12 hours without AM and PM; export times of 24 hours, or with AM and PM"
            )
    return None


def _read(text: str, form: str) -> datetime | None:
    if form != ISO:
        return read_time(text, form)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
