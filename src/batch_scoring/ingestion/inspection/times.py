"""Guess in which formats a column of texts states times; reads no file and decides no setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

from batch_scoring.ingestion.interpretation import EPOCHS, EXCEL
from batch_scoring.ingestion.sql import LAST_TICKS
from batch_scoring.ingestion.time_formats import formats_of
from batch_scoring.ingestion.time_spelling import spelled_usually

# What ingestion reads without being asked.
ISO = "ISO 8601"
# The least share of times in a column of times; a few cells are words for "missing", or broken.
MOST = 0.9

_ISO = re.compile(
    r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d(:\d\d([.,]\d+)?)?\s?(Z|z|[+-]\d\d(:?\d\d)?)?)?|\d{8}T\d{6}Z?"
)
_OFFSET = re.compile(r":\d\d.*(Z|z|[+-]\d\d(:?\d\d)?)$|\d{6}Z$")
_NUMBER = re.compile(r"\d+([.,]\d+)?([eE]\+?\d+)?")
_CLOCK = re.compile(r"\d\d?([:.])\d\d(\1\d\d([.,]\d{1,9})?)?( ?[AaPp][Mm])?")
# Seconds since 1970, and days since 1899-12-30, of 1990 to 2100.
_EPOCH_SECONDS, _EXCEL_DAYS = (631_152_000, 4_102_444_800), (32_874, 73_051)


@dataclass(frozen=True)
class TimeLook:
    """How a column states times.

    Attributes
    ----------
    formats : tuple of str
        Formats that read the column, best first: strptime formats, or :data:`ISO`, ``epoch_s``, ``excel`` …
    holds : str
        ``"moment"``, ``"date"`` (without a time of day) or ``"clock"`` (a time of day without a date).
    has_zone : bool
        Whether the texts say their zone or offset.
    is_doubtful : bool
        Whether day and month may be the other way round.
    """

    formats: tuple[str, ...]
    holds: str
    has_zone: bool = False
    is_doubtful: bool = False


def time_look(texts: Sequence[str], is_date: bool = False) -> TimeLook | None:
    """Guess how texts state times; None where they do not.

    Parameters
    ----------
    texts : sequence of str
        Stripped, none empty, in the order of the file.
    is_date : bool
        Whether they are known to be dates: ``12.03.26`` may be a time of day, too.

    Examples
    --------
    >>> time_look(["02.03.2026 14:00", "14.03.2026 15:00"]).formats
    ('%d.%m.%Y %H:%M',)
    >>> time_look(["1/5/2026 1:00 PM"]).is_doubtful
    True
    """
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return None
    if _most(distinct, _ISO.fullmatch):
        has_clock = any(len(text) > len("2026-03-02") for text in distinct)
        zoned = _most(distinct, _OFFSET.search)
        return TimeLook((ISO,), "moment" if has_clock else "date", zoned)
    if _most(distinct, _NUMBER.fullmatch):
        return _number_look(distinct)
    if not is_date and _most(distinct, lambda text: _CLOCK.fullmatch(spelled_usually(text))):
        day = f"2026-03-02 {distinct[0]}"
        clocks = [form.removeprefix("%Y-%m-%d ") for forms in formats_of(day).values() for form in forms]
        return TimeLook(tuple(clocks), "clock") if clocks else None
    return _text_look(texts, distinct)


def read_time(text: str, form: str) -> datetime | None:
    """Read a time, of UTC where the text has no offset; None where it is not of the format."""
    if "%V" in form and "%u" not in form:  # Python wants the day, too
        text, form = f"{text} 1", f"{form} %u"
    try:
        read = datetime.strptime(spelled_usually(text), form)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text_look(texts: Sequence[str], distinct: Sequence[str]) -> TimeLook | None:
    found = (form for text in distinct[:50] for forms in formats_of(text).values() for form in forms)
    reading = [form for form in dict.fromkeys(found) if _most(distinct, partial(read_time, form=form))]
    if not reading:
        return None
    ordered = sorted(reading, key=lambda form: _strangeness(texts, form))
    best = ordered[0]
    # Where one order of day and month makes times go on steadily and the other does not, it is clear.
    is_doubtful = len(ordered) > 1 and not _is_clear(texts, best, ordered[1])
    return TimeLook(tuple(ordered), _holds(best), "%z" in best.lower(), is_doubtful)


def _number_look(texts: Sequence[str]) -> TimeLook | None:
    numbers = [float(text.replace(",", ".")) for text in texts if _NUMBER.fullmatch(text)]
    low, high = min(numbers), max(numbers)
    for name, microseconds in EPOCHS.items():
        scale = 1e6 / microseconds
        are_ticks = name == "epoch_ns" and low <= LAST_TICKS
        if not are_ticks and _EPOCH_SECONDS[0] * scale <= low and high <= _EPOCH_SECONDS[1] * scale:
            return TimeLook((name,), "moment", has_zone=True)
    compact = [form for forms in formats_of(texts[0]).values() for form in forms]
    if compact and _most(texts, lambda text: read_time(text, compact[0])):
        return TimeLook((compact[0],), _holds(compact[0]))
    if _EXCEL_DAYS[0] <= low and high <= _EXCEL_DAYS[1]:
        return TimeLook((EXCEL,), "moment")
    return None


def _holds(form: str) -> str:
    return "moment" if "%H" in form or "%I" in form else "date"


def _most(texts: Sequence[str], matches: Callable[[str], object]) -> bool:
    """Whether most texts match; no more are looked at than decide it."""
    least, n = MOST * len(texts), len(texts)
    for text in texts:
        n -= not matches(text)
        if n < least:
            return False
    return True


def _strangeness(texts: Sequence[str], form: str) -> tuple[bool, float, bool]:
    """Whether times of this format lie in the future, how much time their steps take, whether it is unusual.

    Day first is usual, but not before AM and PM.
    """
    seconds = [read.timestamp() for text in texts if (read := read_time(text, form)) is not None]
    steps = sum(abs(b - a) for a, b in pairwise(seconds))
    is_unusual = ("%p" in form) == form.startswith("%d")
    return max(seconds) > datetime.now(UTC).timestamp(), steps, is_unusual


def _is_clear(texts: Sequence[str], best: str, other: str) -> bool:
    (ahead, steps, _), (other_ahead, other_steps, _) = _strangeness(texts, best), _strangeness(texts, other)
    return ahead < other_ahead or 2 * steps < other_steps
