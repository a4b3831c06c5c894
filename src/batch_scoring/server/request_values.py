"""Read and bound what a URL or a form asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.core.parameters import EARLIEST, LATEST, read_time

MAX_TEXT = 200


def text(values: Mapping[str, str], name: str, longest: int = MAX_TEXT) -> str:
    """Return a text without blanks at its ends; empty where it is missing.

    Raises
    ------
    InputError
        When it is longer than ``longest`` characters, or holds a control character.
    """
    return _checked(values.get(name, "").strip(), name, longest)


def exact_id(values: Mapping[str, str], name: str, longest: int) -> str:
    """Return an id as it is, for blanks at its ends are part of it; raises as :func:`text` does."""
    return _checked(values.get(name, ""), name, longest)


def _checked(found: str, name: str, longest: int) -> str:
    if len(found) > longest:
        raise InputError(f"{name}: {len(found):,} characters are too many; expected at most {longest}")
    if any(ord(c) < 32 and c not in "\n\r\t" for c in found):
        raise InputError(f"{name}: not valid; expected text without control characters")
    return found


# DEL and C1, and what turns the direction of the text around it: a name could pose as another.
_HIDDEN = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def written(values: Mapping[str, str], name: str, longest: int, is_one_line: bool = False) -> str:
    """Return what a person writes for others to read, such as a name or a comment.

    Raises
    ------
    InputError
        As :func:`text`; for characters that hide or turn others; for lines where one is expected.
    """
    found = text(values, name, longest)
    if _HIDDEN.search(found) or (is_one_line and len(found.splitlines()) > 1):
        raise InputError(f"{name}: not valid; expected text without control characters")
    return found


def choice(values: Mapping[str, str], name: str, known: Collection[str], default: str = "") -> str:
    """Return one of the known words, or the default where it is missing."""
    found = values.get(name, "") or default
    if found and found not in known:
        raise InputError(f"{name}: {found[:40]!r} is not valid; expected one of {', '.join(known)}")
    return found


def whole(values: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    found = values.get(name, "")
    if not found:
        return default
    if not found.isascii() or not found.isdecimal() or len(found) > 12 or not least <= int(found) <= most:
        raise InputError(f"{name}: {found[:40]!r} is not valid; expected a number from {least} to {most}")
    return int(found)


def moment(values: Mapping[str, str], name: str) -> int | None:
    """Return a time, UTC, in microseconds since the epoch; None where it is missing."""
    at = time(values, name)
    return None if at is None else microseconds(at)


def time(values: Mapping[str, str], name: str) -> datetime | None:
    """Return a time, UTC, from 1970 to 2200; None where it is missing."""
    found = values.get(name, "")
    if not found:
        return None
    at = read_time(found[:40], name)
    if not EARLIEST <= at < LATEST:
        raise InputError(
            f"{name}: {found[:40]!r} is not valid; expected a time from {EARLIEST.year} to {LATEST.year}"
        )
    return at
