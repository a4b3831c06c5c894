"""What a column of text holds, from a sample: numbers, times of day, dates, or other text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from batch_scoring.ingestion.interpretation import Interpretation
from batch_scoring.ingestion.numbers import NO_VALUES

# Of a column's texts; the others are for the quarantine.
_MOST = 0.9

_GROUPS = r"\d{1,3}([ \u00a0\u202f'\u2019]\d{3})+([.,]\d+)?"
_NUMBER = re.compile(rf"[+-]?({_GROUPS}|\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?( ?[°%][A-Za-z]?)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?")
_TIME = re.compile(
    r"(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[-/. ][A-Za-z]{3,9}[-/. ]\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"([T ,]+\d{1,2}([:.]\d\d.*)?)?|\d{8}T\d{6}.*"
)
_USUAL = Interpretation()
_PATTERNS = {"clock": _CLOCK, "time": _TIME, "number": _NUMBER}


def kind_of(texts: Sequence[str], settings: Interpretation = _USUAL) -> str:
    """Return what texts are: ``"number"``, ``"time"``, ``"clock"``, ``"text"``, or ``"empty"``.

    Words and units of the settings are numbers; and so are those with ``°`` or ``%`` behind them, which are
    refused with a reason unless a setting takes these off.

    Examples
    --------
    >>> [kind_of(texts) for texts in (["1,5", "?"], ["12.03.2026 14:00"], ["17:24:00"], ["NA"], ["1 240,5"])]
    ['number', 'time', 'clock', 'empty', 'number']
    """
    known = [text for text in map(str.strip, texts) if text.casefold() not in NO_VALUES]
    if not known:
        return "empty"
    words, suffixes = settings.numbers_of_words, settings.suffixes
    if words or suffixes:
        known = ["1" if text.lower() in words else _without_unit(text, suffixes) for text in known]
    for kind, pattern in _PATTERNS.items():
        if _are_mostly(pattern, known):
            return kind
    return "text"


def _are_mostly(pattern: re.Pattern[str], texts: Sequence[str]) -> bool:
    """Whether most texts match; of a wide file's many columns no more are looked at than decide it."""
    least, n = _MOST * len(texts), len(texts)
    for text in texts:
        n -= pattern.fullmatch(text) is None
        if n < least:
            return False
    return True


def kinds_of(records: Sequence[Sequence[str]], width: int, settings: Interpretation = _USUAL) -> list[str]:
    """Return the kind of each of a sample's ``width`` columns; records of another width do not count."""
    whole = [record for record in records if len(record) == width]
    return [kind_of([record[position] for record in whole], settings) for position in range(width)]


def _without_unit(text: str, suffixes: Sequence[str]) -> str:
    unit = next((one for one in suffixes if text.endswith(one)), "")
    return text[: len(text) - len(unit)].strip()
