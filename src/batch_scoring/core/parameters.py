"""Read configuration into typed, frozen objects; a misspelt key is an error with a suggestion."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from batch_scoring.core.errors import InputError
from batch_scoring.core.text import read_length

T = TypeVar("T")
# Whether a setting is valid, and what is expected.
Check = tuple[bool, str]

# Of a run and of a duration; what is computed from both is a time, too.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(days=365_000)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def read_parameters(cls: type[T], values: Mapping[str, Any] | None, where: str) -> T:
    """Read a mapping into the dataclass ``cls``.

    Parameters
    ----------
    cls : a dataclass type
        Its fields name the allowed keys; their annotations (bool, int, float, str, datetime,
        timedelta, list, dict, a nested dataclass, or any of these ``| None``) say how to read them.
    values : mapping or None
        As it comes from ``params:…``. Missing keys take the dataclass's defaults.
    where : str
        The name of the group, for messages, such as ``"train"``.

    Raises
    ------
    InputError
        On an unknown key, a missing one, or a value of the wrong type.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Windows:
    ...     window: timedelta = timedelta(minutes=5)
    >>> read_parameters(Windows, {"window": "1h"}, "aggregate").window.total_seconds()
    3600.0
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected a group of settings, got {values!r}")
    hints = typing.get_type_hints(cls)
    # A setting named like a Python keyword ("from") is a field with a trailing underscore.
    fields = {f.name.rstrip("_"): f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            hint = suggestion(key, fields) or f"known are: {', '.join(sorted(fields))}"
            raise InputError(f"{where}.{key}: there is no such setting; {hint}")
    read = {
        fields[key].name: _read(hints[fields[key].name], value, f"{where}.{key}")
        for key, value in values.items()
    }
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in read:
            raise InputError(f"{where}.{name}: this setting is missing")
    return cls(**read)


def suggestion(name: object, known: Collection[str]) -> str:
    """Suggest the known name that is most similar to a misspelt one; empty where none is.

    Examples
    --------
    >>> suggestion("dsk", ["local", "dask"])
    "did you mean 'dask'?"
    """
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def require(settings: Any, where: str, checks: Mapping[str, Check]) -> None:
    """Raise unless every checked setting is valid.

    Parameters
    ----------
    settings : object
        Its attributes are the values.
    where : str
        The name of the group, for messages, such as ``"train.fit"``.
    checks : mapping of str to (bool, str)
        By setting: whether its value is valid, and what is expected.

    Raises
    ------
    InputError
        Naming the first setting that is not valid.

    Examples
    --------
    >>> require(timedelta(1), "train", {"days": (False, "7 or more")})
    Traceback (most recent call last):
    batch_scoring.core.errors.InputError: train.days: 1 is not valid; expected 7 or more
    """
    for name, (is_valid, expected) in checks.items():
        if not is_valid:
            value = getattr(settings, name)
            shown = read_length(value.total_seconds()) if isinstance(value, timedelta) else repr(value)
            shown = value.isoformat() if isinstance(value, datetime) else shown
            raise InputError(f"{where}.{name}: {shown} is not valid; expected {expected}")


def within(value: float, least: float, most: float) -> Check:
    """Check a number against both of its limits, for :func:`require`.

    Examples
    --------
    >>> within(64, 1, 32)
    (False, '1 to 32')
    """
    return least <= value <= most, f"{least:g} to {most:g}"


@dataclasses.dataclass(frozen=True)
class Valid:
    """What a setting has to be, for its annotation: ``Annotated[int, at_least(1)]``; null is valid, too."""

    holds: Callable[[Any], bool]
    expected: str


def at_least(least: float, more: str = "") -> Valid:
    """Expect a number that is not below a limit; ``more`` is added to what is expected."""
    return Valid(lambda value: value >= least, f"{least:g} or more{more}")


def between(least: float, most: float, more: str = "") -> Valid:
    """Expect a number within both of its limits."""
    return Valid(lambda value: within(value, least, most)[0], within(0, least, most)[1] + more)


def like(pattern: str, expected: str) -> Valid:
    """Expect a text that a regular expression describes as a whole."""
    return Valid(lambda value: re.fullmatch(pattern, value) is not None, expected)


def positive(example: str) -> Valid:
    """Expect a duration above zero, such as the example."""
    return Valid(lambda value: value > timedelta(0), f"a duration, such as {example!r}")


SHARE = Valid(lambda share: 0 <= share <= 1, "a number from 0 to 1")


class Settings:
    """Base of a frozen dataclass whose annotations say what is valid; raises InputError for what is not.

    Attributes
    ----------
    where : str
        The name of the group, for messages.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Jobs(Settings):
    ...     where = "jobs"
    ...     retries: typing.Annotated[int, at_least(0)] = 2
    >>> Jobs(-1)
    Traceback (most recent call last):
    batch_scoring.core.errors.InputError: jobs.retries: -1 is not valid; expected 0 or more
    """

    where: typing.ClassVar[str]

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name)
            for rule in getattr(hint, "__metadata__", ()):
                require(self, self.where, {name: (value is None or rule.holds(value), rule.expected)})


def read_duration(value: Any, where: str) -> timedelta:
    """Read ``"5m"``, ``"1h30m"``, ``"14d"`` or a number of seconds; never negative.

    Examples
    --------
    >>> read_duration("1h30m", "window")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(value, timedelta):
        return value
    text = str(value).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])", text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif parts and "".join(a + b for a, b in parts) == re.sub(r"\s", "", text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    else:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST.total_seconds():
        raise InputError(
            f"{where}: {value!r} is not a valid duration; expected one such as '5m', '1h' or '14d', "
            f"at most '{_LONGEST.days}d'"
        )
    return timedelta(seconds=seconds)


def read_time(value: Any, where: str) -> datetime:
    """Read an ISO 8601 time as UTC; a time without an offset is taken as UTC.

    Examples
    --------
    >>> read_time("2026-01-05T00:00+01:00", "from").isoformat()
    '2026-01-04T23:00:00+00:00'
    """
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{where}: {value!r} is not a valid time; expected ISO 8601, such as '2026-01-05T00:00Z'"
        ) from None


def scheduled_time(at: Any) -> datetime:
    """Return a run's scheduled time, UTC: the parameter ``at``, or now where it is not given.

    Raises
    ------
    InputError
        When it is no time, or one that only a clock that was never set shows.
    """
    time = datetime.now(UTC) if at is None else read_time(at, "at")
    if not EARLIEST <= time < LATEST:
        where = "this machine's clock" if at is None else "at"
        raise InputError(
            f"{where}: {time.isoformat()} is not valid; expected a time from {EARLIEST.year} to "
            f"{LATEST.year}" + ("; set the clock, or name the time with `at`" if at is None else "")
        )
    return time


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        return _read(next(o for o in options if o is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            known = typing.get_args(hint)
            expected = "; ".join(filter(None, [", ".join(map(repr, known)), suggestion(value, known)]))
            raise InputError(f"{where}: {value!r} is not valid; expected one of {expected}")
        return value
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return read_parameters(hint, value, where)  # type: ignore[arg-type]
    if hint is timedelta:
        return read_duration(value, where)
    if hint is datetime:
        return read_time(value, where)
    return _read_plain(origin or hint, value, where)


def _read_plain(hint: Any, value: Any, where: str) -> Any:
    number = _finite(value)
    if hint is float and number is not None:
        return number
    if hint is int and number is not None and number.is_integer():
        return int(value)
    if hint is tuple and isinstance(value, (list, tuple)):
        return tuple(value)
    if hint in (bool, str, list, dict) and isinstance(value, hint):
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "text", tuple: "a list"}
    raise InputError(f"{where}: expected {names.get(hint, f'a {hint.__name__}')}, got {value!r}")


def _finite(value: Any) -> float | None:
    """Return a number as a float; None of one that is infinite, too large or none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def require_zone(name: str, zone: str) -> None:
    """Raise InputError, naming the setting, unless it is a time zone."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(
            f"{name}: {zone!r} is not a time zone; expected an IANA name such as 'Europe/Berlin'"
        ) from None
