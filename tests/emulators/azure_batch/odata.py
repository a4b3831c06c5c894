"""The part of OData that the stand-in understands: some filters, and ``$select``; refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

_STARTS = re.compile(r"startswith\((\w+),\s*'([^']*)'\)")
_COMPARES = re.compile(r"([\w/]+) (eq|ne|gt|ge|lt|le) (?:'([^']*)'|[Dd]ate[Tt]ime'([^']+)'|(-?\d+))")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}


class ODataError(Exception):
    """A filter or a property that is not understood."""


def matches(text: str | None, known: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
    """A filter as a function; ``known`` are the properties that may be filtered by."""
    if not text:
        return lambda item: True
    tests = [_test(part.strip(), known) for part in re.split(r"\s+and\s+", text)]
    return lambda item: all(test(item) for test in tests)


def selected(text: str | None, item: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Only the properties that were asked for."""
    if not text:
        return dict(item)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ODataError(f"$select: {name}")
    return {name: item[name] for name in names if name in item}


def _test(part: str, known: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
    if found := _STARTS.fullmatch(part):
        name, start = found.groups()
        _require(name, known)
        return lambda item: str(_value(item, name)).startswith(start)
    if found := _COMPARES.fullmatch(part):
        name, operator, text, time, number = found.groups()
        _require(name, known)
        compare = _OPERATORS[operator]
        if time is not None:
            moment = datetime.fromisoformat(time)
            return lambda item: name_in(item, name) and compare(_time(_value(item, name)), moment)
        wanted = text if number is None else int(number)
        return lambda item: name_in(item, name) and compare(_value(item, name), wanted)
    raise ODataError(f"$filter: {part}")


def name_in(item: Mapping[str, Any], name: str) -> bool:
    """Whether it has the property; a comparison with what is not there is false."""
    return _value(item, name) is not None


def _value(item: Any, name: str) -> Any:
    for step in name.split("/"):
        item = item.get(step) if isinstance(item, Mapping) else None
    return item


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _require(name: str, known: Sequence[str]) -> None:
    if name.partition("/")[0] not in known:
        raise ODataError(f"$filter: {name} cannot be filtered by")
