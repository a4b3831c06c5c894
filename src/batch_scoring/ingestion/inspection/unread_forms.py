"""Say which tables cannot be read as they lie: they would be stored at wrong times, or in part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.roles import Roles

_CLOCK = re.compile(r"\d\d:\d\d(?::00)?")
# What says where a grid of times lies, and how fine it is.
_GRID, _STEPS = frozenset(("start", "end", "rows", "columns")), frozenset(("step", "interval", "resolution"))
# Fewer may be sensors that are numbered.
_MANY = 10
_HOURS = 24


def unread_forms(columns: Sequence[Column], roles: Roles) -> Iterator[str]:
    """Yield a sentence on each form of a table in which a row is not one moment.

    Examples
    --------
    >>> day = [Column("column_1", ("Tag", "12.03.2026"))]
    >>> quarters = [Column(f"c{n}", (f"{n // 4:02}:{n % 4 * 15:02}", "1,5")) for n in range(96)]
    >>> list(unread_forms(day + quarters, Roles("wide", day, [], "", None, None, None, quarters)))[0][:40]
    'the columns are times of a day, from 00:'
    """
    for texts in (
        [column.name for column in columns],
        [column.texts[0] for column in columns if column.texts],
    ):
        clocks = [text for text in texts if _CLOCK.fullmatch(text.strip())]
        if len(clocks) > _HOURS and clocks[:_HOURS] == sorted(set(clocks))[:_HOURS]:
            yield (
                f"the columns are times of a day, from {clocks[0]} to {clocks[-1]}, and no sensors; write a "
                "row for each of them, with date and time"
            )
            return
    numbered = [
        one.name for one in roles.sensors if one.name.rpartition(".")[2].isdigit() and "." in one.name
    ]
    if len(numbered) >= _MANY and len(numbered) == len(roles.sensors):
        yield (
            f"{numbered[0]} … {numbered[-1]}: the keys are numbers, such as seconds since a start, and no "
            "sensors; write an object for each value, with its time"
        )
    last = [one.words[-1] if one.words else "" for one in (*roles.time, *roles.sensors)]
    if roles.time and set(last) & _STEPS and set(last) <= _GRID | _STEPS:
        step = next(one.name for one in roles.sensors if one.words[-1] in _STEPS)
        yield (
            f"the times are counted from {roles.time[0].name} by {step}, and the values lie in lists; write "
            "a row for each time, with the time in it"
        )
    yield from _own_times(columns)


def _own_times(columns: Sequence[Column]) -> Iterator[str]:
    """Say it where objects or lists beside each other have values and times of their own."""
    times = {
        outer: column
        for column in columns
        if column.is_clearly_time and (outer := column.name.rpartition(".")[0])
    }
    measured = {one.name.rpartition(".")[0] for one in columns if one.is_number and not one.is_no_sensor}
    own = [outer for outer in times if outer in measured]
    keys = {times[outer].name.rpartition(".")[2] for outer in own}
    # Of lists only one is read; objects beside each other may have one time.
    are_lists = {outer.endswith("[]") for outer in own}
    are_apart = are_lists == {True} or len({times[one].texts for one in own}) > 1
    if len(own) > 1 and len(keys) == len(are_lists) == 1 and are_apart:
        yield (
            f"{own[0].removesuffix('[]')} and {own[1].removesuffix('[]')} have times of their own; write an "
            "object for each time, with the name of what it is of beside it"
        )
