"""Find the strptime formats that a written time may have; of ``05/06/2026`` there are two."""

from __future__ import annotations

import re
from collections.abc import Iterator

from batch_scoring.ingestion.time_spelling import spelled_usually

# Which of the date's parts comes first.
DAY_FIRST, MONTH_FIRST, YEAR_FIRST, NAMED = "day", "month", "year", "named month"

_CLOCK = re.compile(
    r"(?P<gap>T| *[ ,;:_@-] *| at |)"
    r"(?P<hour>\d{1,2})"
    r"(?:(?P<mark>[:.-])(?P<minute>\d{1,2})(?:(?P=mark)(?P<second>\d{1,2})(?P<fraction>[.,]\d{1,9}|:\d{3})?)?)?"
    r"(?: ?(?P<half>[AaPp][Mm]))?"
    r"(?P<space> ?)(?P<zone>Z|[+-]\d\d:?\d\d|UTC|GMT)?"
)
_DIGITS = re.compile(r"(\d{1,4})([-./ ])(\d{1,2})\2(\d{1,4})(?!\d)")
_COMPACT_DATE = re.compile(r"(?:19|20)\d{6}(?=[T _-])")
_WEEK = re.compile(r"(?:19|20)\d\d-W[0-5]\d(?P<day>-[1-7])?")
_MONTHS = (
    (YEAR_FIRST, "%Y-%m", re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])")),
    (MONTH_FIRST, "%m/%Y", re.compile(r"(?:0?[1-9]|1[0-2])/(?:19|20)\d\d")),
)
_COMPACT_CLOCK = re.compile(r"([T _-])(\d\d){2,3}")
_DAY_NAME = re.compile(r"(?P<before>[A-Za-z]{3,9})(?P<mark>,? )")
_NAME = r"(?P<name>[A-Za-z]{3,9})"
_YEAR = r"(?P<year>\d{4}|\d\d)(?!\d)"
_NAMED_FORMS = (
    re.compile(rf"(?P<day>\d{{1,2}})(?P<one>\. |[-/. ]?){_NAME}(?P<two>[-/. ]?){_YEAR}"),
    re.compile(rf"{_NAME}(?P<one> )(?P<day>\d{{1,2}})(?P<two>,? ){_YEAR}"),
    re.compile(rf"(?P<year>\d{{4}})(?P<one>[-/. ]){_NAME}(?P<two>[-/. ])(?P<day>\d{{1,2}})"),
)
_CTIME = re.compile(
    r"(?P<name>[A-Za-z]{3}) +\d{1,2} \d\d:\d\d:\d\d(?P<zone> (?:[+-]\d\d:?\d\d|UTC|GMT))? \d{4}"
)
_COMPACT = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d"}
_SHORT_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def formats_of(text: str) -> dict[str, list[str]]:
    """Return the formats that a text may have, by what comes first in its date.

    Digits between points are day first, as everywhere where dates are written so; between slashes or dashes
    they may be either.

    Parameters
    ----------
    text : str
        A time, without spaces around it.

    Examples
    --------
    >>> formats_of("24.11.2026 07:05")
    {'day': ['%d.%m.%Y %H:%M']}
    >>> formats_of("5/6/2026 7:05 pm")
    {'day': ['%d/%m/%Y %I:%M %p'], 'month': ['%m/%d/%Y %I:%M %p']}
    >>> formats_of("2026-11-24-07:05:00")
    {'year': ['%Y-%m-%d-%H:%M:%S']}
    >>> formats_of("20261124T07:05:00")
    {'year': ['%Y%m%dT%H:%M:%S']}
    >>> formats_of("2026-W48-2 07:05"), formats_of("2026-W48")
    ({'year': ['%G-W%V-%u %H:%M']}, {'year': ['%G-W%V']})
    >>> formats_of("Tue Nov 24 07:05:00 CET 2026"), formats_of("24. Dezember 2026 7:05")
    ({'named month': ['%a %b %d %H:%M:%S %z %Y']}, {'named month': ['%d. %b %Y %H:%M']})
    >>> formats_of("2026-11"), formats_of("11/2026")
    ({'year': ['%Y-%m']}, {'month': ['%m/%Y']})
    >>> formats_of("yesterday")
    {}
    """
    text = spelled_usually(text)
    found: dict[str, list[str]] = {}
    for first, form, month in _MONTHS:  # the first day of it
        if month.fullmatch(text):
            return {first: [form]}
    if re.fullmatch(r"(?:19|20)\d+", text) and len(text) in _COMPACT:
        return {YEAR_FIRST: [_COMPACT[len(text)]]}
    for first, date, rest in _dates(text):
        if (clock := _clock_format(rest)) is not None:
            found.setdefault(first, []).append(date + clock)
    return found


def _dates(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield what comes first, the date's format, and the text behind the date."""
    if compact := _COMPACT_DATE.match(text):
        yield YEAR_FIRST, "%Y%m%d", text[compact.end() :]
        return
    if week := _WEEK.match(text):
        # A week alone is its Monday.
        yield YEAR_FIRST, "%G-W%V" + ("-%u" if week["day"] else ""), text[week.end() :]
        return
    if digits := _DIGITS.match(text):
        one, mark, two, three = digits.groups()
        rest = text[digits.end() :]
        for first, parts in _orders(one, two, three, mark):
            yield first, mark.join(parts), rest
        return
    before = ""
    day = _DAY_NAME.match(text)
    if day and day["before"][:3].lower() in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        before = ("%a" if len(day["before"]) == 3 else "%A") + day["mark"]
        text = text[day.end() :]
    # As C's ctime and Java's Date write: the year is last.
    if ctime := _CTIME.fullmatch(text):
        if ctime["name"].lower() in _SHORT_MONTHS:
            yield NAMED, f"{before}%b %d %H:%M:%S{_zone_format(ctime['zone'])} %Y", ""
        return
    for form in _NAMED_FORMS:
        found = form.match(text)
        if found and found["name"][:3].lower() in _SHORT_MONTHS:
            year = "%Y" if len(found["year"]) == 4 else "%y"
            month = "%b" if len(found["name"]) == 3 else "%B"
            written = {"day": "%d", "name": month, "year": year}
            one, two, three = (written[name] for name in sorted(written, key=found.start))
            date = f"{before}{one}{found['one']}{two}{found['two']}{three}"
            yield NAMED, date, text[found.end() :]


def _orders(one: str, two: str, three: str, mark: str) -> Iterator[tuple[str, tuple[str, str, str]]]:
    if len(one) == 4:
        if len(three) <= 2 and int(two) <= 12:
            yield YEAR_FIRST, ("%Y", "%m", "%d")
        return
    if len(one) > 2 or len(three) not in (2, 4):
        return
    year = "%Y" if len(three) == 4 else "%y"
    if 1 <= int(one) <= 31 and 1 <= int(two) <= 12:
        yield DAY_FIRST, ("%d", "%m", year)
    if mark == ".":
        return
    if 1 <= int(one) <= 12 and 1 <= int(two) <= 31:
        yield MONTH_FIRST, ("%m", "%d", year)
    if len(one) == len(three) == 2 and 1 <= int(two) <= 12 and 1 <= int(three) <= 31:
        yield YEAR_FIRST, ("%y", "%m", "%d")


def _clock_format(text: str) -> str | None:
    """Return the format of what stands behind a date; None where it is no time of day."""
    if not text:
        return ""
    if compact := _COMPACT_CLOCK.fullmatch(text):
        return compact[1] + ("%H%M%S" if len(text) > len("T2000") else "%H%M")
    clock = _CLOCK.fullmatch(text)
    if not clock or (not clock["gap"]):
        return None
    # 07:00 behind a day and a dash is an offset, unless there are seconds.
    if (clock["gap"] in ("-", "_") or clock["mark"] == "-") and not clock["second"]:
        return None
    hour = "%I" if clock["half"] else "%H"
    mark = clock["mark"] or ""
    found = clock["gap"] + hour
    found += f"{mark}%M" if clock["minute"] else ""
    found += f"{mark}%S" if clock["second"] else ""
    if clock["fraction"]:
        found += clock["fraction"][0] + ("%f" if len(clock["fraction"]) <= 7 else "%n")
    if clock["half"]:
        found += " %p" if text[clock.start("half") - 1] == " " else "%p"
    if not clock["zone"]:
        return found if not clock["space"] else None
    return found + _zone_format(clock["space"] + clock["zone"])


def _zone_format(zone: str | None) -> str:
    """Return the format of a zone and the space before it; empty without a zone."""
    if not zone:
        return ""
    space = " " * zone.startswith(" ")
    return space + ("%Z" if zone.strip() in ("UTC", "GMT") else "%z")
