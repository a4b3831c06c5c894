"""What a column of text holds, from a sample: numbers, times of day, dates, or other text."""

from __future__ import annotations

import re
from collections.abc import Sequence

MISSING_WORDS = frozenset(("", "?", "-", "na", "n/a", "nan", "null", "none", "nil"))
# Of a column's texts; the others are for the quarantine.
_MOST = 0.9

_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?")
_TIME = re.compile(
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[-/. ][A-Za-z]{3,9}[-/. ]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"([T ,]+\d{1,2}([:.]\d\d.*)?)?|\d{8}T\d{6}.*"
)
_PATTERNS = {"clock": _CLOCK, "time": _TIME, "number": _NUMBER}


def kind_of(texts: Sequence[str]) -> str:
    """Return what texts are: ``"number"``, ``"time"``, ``"clock"``, ``"text"``, or ``"empty"``.

    Examples
    --------
    >>> [kind_of(texts) for texts in (["1,5", "?"], ["12.03.2026 14:00"], ["17:24:00"], ["", "NA"])]
    ['number', 'time', 'clock', 'empty']
    """
    known = [text for text in map(str.strip, texts) if text.casefold() not in MISSING_WORDS]
    if not known:
        return "empty"
    for kind, pattern in _PATTERNS.items():
        if sum(pattern.fullmatch(text) is not None for text in known) >= _MOST * len(known):
            return kind
    return "text"


def kinds_of(records: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the kind of each of a sample's ``width`` columns; records of another width do not count."""
    whole = [record for record in records if len(record) == width]
    return [kind_of([record[position] for record in whole]) for position in range(width)]
