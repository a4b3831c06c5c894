"""Say what nobody can know of the columns of a file, and which setting would tell."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.roles import Roles, parts_of_values
from batch_scoring.ingestion.inspection.unnamed import is_whole

_FEW = 12
_NO_NAMES = frozenset(("null", "none", "nan", "n/a", "na", "unknown"))
# As pandas names a column of two levels in a file.
_LEVELS = re.compile(r"\('.+', '.+'\)")
# Of 2010; twenty years later is what devices of Garmin mean by such seconds.
_LONG_AGO = 1_262_304_000


def remarks(columns: Sequence[Column], roles: Roles) -> Iterator[str]:
    """Yield a sentence on each column, or some of them, that may mean something else than it is taken for."""
    values = [roles.value] if roles.value is not None else roles.sensors
    are_values = frozenset(values)
    for column in columns:
        yield from _of_column(column, are_values)
    levels = [column.name for column in roles.sensors if _LEVELS.fullmatch(column.name)]
    if levels:
        yield (
            f"{levels[0]} …: columns of pandas with two levels are sensors of one device; to have a row a "
            "device, write df.stack(0).reset_index()"
        )
    for named in (roles.device, roles.sensor):
        blank = [] if named is None else [text for text in named.texts if text.casefold() in _NO_NAMES]
        if named is not None and blank and len(set(named.texts)) > 1:
            yield (
                f"{named.name}: {blank[0]} in {len(blank):,} of the rows is stored as a name like any other; "
                "if it means that there is none, leave the field empty, and the rows are refused"
            )
    yield from _of_times(roles.time)
    hours = _hours_among(roles.sensors)
    if hours:
        yield (
            f"{hours[0]} … {hours[-1]}: taken as {len(hours)} sensors; if they are the hours of one, write a "
            "row an hour, with its time"
        )
    if roles.shape != "long" and roles.device is None:
        yield from _of_unused(columns, roles)


def _of_times(columns: Sequence[Column]) -> Iterator[str]:
    """Say it where seconds may be counted from another day than 1970-01-01."""
    first = columns[0] if columns else None
    if first is None or first.time is None or first.time.formats[0] != "epoch_s":
        return
    digits = [text for text in first.texts if text.isdigit()]
    if digits and max(map(int, digits)) < _LONG_AGO:
        yield (
            f"{first.name}: the seconds are taken as counted from 1970-01-01, and end before 2010; if they "
            "are counted from 1989-12-31, as in FIT files of Garmin, add 631065600 to each"
        )


def _of_column(column: Column, values: Collection[Column]) -> Iterator[str]:
    kinds = list(dict.fromkeys(column.texts))
    if column.is_remark and 1 < len(kinds) <= _FEW and column not in values:
        listed = ", ".join(kinds)
        yield (
            f"{column.name}: readings are stored whatever it says ({listed}); to refuse bad ones, set "
            f"ingest.quality.column={column.name}, and what is good in ingest.quality.good"
        )
    elif column.type.startswith(("list", "large_list", "map")):
        yield f"{column.name}: lists are not stored; write a row for each value"
    elif column.is_encoded and values:
        yield f"{holds_bytes(column)}, which are not decoded: nothing of them is stored"
    elif column in values and is_whole(column) and len(kinds) > 1:
        yield f"{column.name}: whole numbers; if they name devices, set ingest.columns.device={column.name}"


def _of_unused(columns: Sequence[Column], roles: Roles) -> Iterator[str]:
    """Name columns of texts that repeat: if they name devices, the readings of several are one series."""
    used = {*roles.time, *roles.sensors}
    parts = parts_of_values(columns)
    for column in columns:
        if not column.is_id or column in used or column in parts:
            continue
        if column.distinct > 1:
            yield (
                f"{column.name}: {column.distinct} texts such as {column.texts[0]!r} are not used; if they "
                f"name devices, set ingest.columns.device={column.name}"
            )
        elif len(column.texts) > 1:
            yield (
                f"{column.name}: {column.texts[0]!r} in every row; if it names the device, set "
                f"ingest.columns.device={column.name}"
            )


def holds_bytes(column: Column) -> str:
    """Say that a column holds bytes that nothing here can decode, with the first."""
    return f"{column.name} holds encoded bytes ({column.texts[0][:24]!r})"


def _hours_among(sensors: Sequence[Column]) -> list[str]:
    """Return the names of columns that go by all hours of a day, such as H00 … H23; empty without them.

    Examples
    --------
    >>> _hours_among([Column(f"{hour}:00", ("1",)) for hour in range(24)])[:2]
    ['0:00', '1:00']
    """
    hours = {
        column.name: int(found[1])
        for column in sensors
        if (
            found := re.fullmatch(
                r"(?:h|hour|hr|he)?[ _-]?(\d{1,2})(?:[:.]?00)?h?", column.name.strip(), re.I
            )
        )
    }
    every = set(hours.values())
    return list(hours) if every in (set(range(24)), set(range(1, 25))) else []
