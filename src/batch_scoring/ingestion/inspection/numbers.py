"""Guess how a column of texts states numbers: decimal mark, thousands, units, words, values for "missing"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from batch_scoring.ingestion.numbers import NO_VALUES
from batch_scoring.ingestion.units import are_of_one_quantity

# Texts that say that there is no value, in any case of letters.
MISSING_WORDS = frozenset((*NO_VALUES, ".", "undefined", "invalid", "bad", "err", "error", "no data",
    "bad input", "i/o timeout", "pt created", "calc failed", "no result", "scan off"))  # fmt: skip
# Numbers that loggers write where there is no value, of either sign.
_MISSING_NUMBERS = frozenset(
    (99.0, 99.9, 127.0, 200.0, 273.0, 999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0)
) | {
    32767.0,
    32768.0,
    65535.0,
    1e30,
}
# Pairs of words for 0 and 1.
_STATES = (
    ("off", "on"), ("false", "true"), ("no", "yes"), ("closed", "open"), ("stopped", "running"),
    ("inactive", "active"), ("down", "up"), ("low", "high"), ("idle", "busy"), ("ok", "fault"),
    ("normal", "alarm"), ("disabled", "enabled"), ("disconnected", "connected"), ("offline", "online"),
    ("f", "t"), ("n", "y"), ("aus", "ein"), ("unoccupied", "occupied"), ("clear", "detected"),
)  # fmt: skip
# Each of these says what it means without the other one; "normal" or "low" may be of any scale.
_SURE = frozenset(("off", "on", "false", "true", "closed", "open", "aus", "ein"))
# Decimal mark and thousands separator, the most usual first.
MARKS = ((".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"))

MOST_WORDS = 12
# Of a column's texts, that it is one of numbers.
MOST = 0.9
# Words of this count among numbers are no slip, and as many of them may say that there is no value.
_AGAIN, _MOST_REASONS = 3, 3
_SPACES = "\u00a0\u202f"
_UNIT = re.compile(r"([+-]?[\d][\d.,' \u00a0\u202f]*?)(\s*)([^\d\s.,'+#*-][^\d]*)")


@dataclass(frozen=True)
class NumberLook:
    """How a column states numbers.

    Attributes
    ----------
    readable : dict of (str, str) to float
        Share of the texts that each decimal mark and thousands separator reads.
    missing : dict of str to int
        Texts that mean "no value", and how often they stand there.
    units : dict of str to int
        Units behind the numbers, and how often; empty where the numbers stand alone.
    words : dict of str to float
        Words with the number that they mean.
    is_row_number : bool
        Whether whole numbers go up by one from row to row.
    is_ambiguous : bool
        Whether each comma may be a decimal mark or separate thousands.
    """

    readable: Mapping[tuple[str, str], float]
    missing: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, float] = field(default_factory=dict)
    is_row_number: bool = False
    is_ambiguous: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether ingestion takes the column for one of numbers of itself: few other texts, and no words."""
        return not self.words and max(self.readable.values()) >= MOST


def number_look(texts: Sequence[str]) -> NumberLook | None:
    """Guess how texts state numbers; None where they do not.

    Parameters
    ----------
    texts : sequence of str
        Stripped, none empty.

    Examples
    --------
    >>> number_look(["19,76", "20,1", "?"]).missing
    {'?': 1}
    >>> number_look(["ON", "OFF", "ON"]).words
    {'ON': 1.0, 'OFF': 0.0}
    """
    counts = Counter(texts)
    missing = {text: n for text, n in counts.items() if text.casefold() in MISSING_WORDS}
    stated = {text: n for text, n in counts.items() if text not in missing}
    if not stated:
        return None
    bare = {text: _without_unit(text) for text in stated}
    units: Counter[str] = Counter()
    for text, n in stated.items():
        if bare[text][1]:
            units[bare[text][1]] += n
    total = sum(stated.values())
    readable = {
        marks: sum(n for text, n in stated.items() if form.fullmatch(bare[text][0])) / total
        for marks, form in _FORMS.items()
    }
    if max(readable.values()) < 0.5:
        words = _states(list(stated))
        return NumberLook({(".", ""): 1.0}, missing, words=words) if words else None
    commas = [text for text in stated if "," in text]
    wordy = {text: n for text, n in stated.items() if not any(map(str.isdigit, text))}
    words = _states(wordy, among_numbers=True)
    return NumberLook(
        readable,
        missing | _missing_numbers(stated) | ({} if words else _repeated(wordy, total)),
        # Without their units, numbers in °C and in °F would be one series.
        dict(units) if len(units) <= 3 and not are_of_one_quantity(units) else {},
        words,
        _is_row_number(texts),
        bool(commas) and all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text) for text in commas),
    )


def read_number(text: str, decimal: str, thousands: str) -> float | None:
    """Read a number; None where the text is none of this form.

    Examples
    --------
    >>> read_number("1.234,5", ",", "."), read_number("1,5", ".", "")
    (1234.5, None)
    """
    if _form(decimal, thousands).fullmatch(text) is None:
        return None
    for mark in thousands and (thousands, *_SPACES):
        text = text.replace(mark, "")
    return float(text.replace(decimal, "."))


@cache
def _form(decimal: str, thousands: str) -> re.Pattern[str]:
    """Return the form of a number; each text of thousands of columns is held against several."""
    mark, power = re.escape(decimal), r"([eE][+-]?\d+)?"
    if not thousands:
        return re.compile(rf"[+-]?(\d+{mark}?\d*|{mark}\d+){power}")
    return re.compile(rf"[+-]?\d{{1,3}}([{re.escape(thousands)}{_SPACES}]\d{{3}})*({mark}\d*{power})?")


_FORMS = {marks: _form(*marks) for marks in MARKS}


def _without_unit(text: str) -> tuple[str, str]:
    """Split a number from the unit behind it."""
    match = _UNIT.fullmatch(text)
    return (match.group(1), match.group(3)) if match else (text, "")


def _states(texts: Iterable[str], among_numbers: bool = False) -> dict[str, float]:
    """Give words numbers: 0 and 1 where they are a known pair; empty where they are not few words."""
    listed = list(texts)
    folded = {text.casefold() for text in listed}
    if not listed or len(folded) > MOST_WORDS:
        return {}
    if (len(folded) == 1 or among_numbers) and not folded <= _SURE:
        return {}
    for zero, one in _STATES:
        if folded <= {zero, one}:
            return {text: float(text.casefold() == one) for text in listed}
    return {}


def _repeated(words: Mapping[str, int], n_texts: int) -> dict[str, int]:
    """Return words that stand again and again among many numbers: they say that there is none."""
    again = {text: n for text, n in words.items() if n >= _AGAIN}
    return again if len(again) <= _MOST_REASONS and sum(again.values()) <= (1 - MOST) * n_texts else {}


def _missing_numbers(counts: Mapping[str, int]) -> dict[str, int]:
    """Find numbers that mean "no value": known ones, repeated, and further off than the others reach."""
    numbers = {text: read_number(text.replace(",", "."), ".", "") for text in counts}
    suspects = {
        text for text, number in numbers.items() if number is not None and abs(number) in _MISSING_NUMBERS
    }
    others = [number for text, number in numbers.items() if text not in suspects and number is not None]
    if not suspects or len(others) < 2:
        return {}
    low, high = min(others), max(others)
    reach = max(high - low, 1.0)
    return {
        text: counts[text] for text in counts
        if text in suspects and not low - reach <= (numbers[text] or 0.0) <= high + reach
    }  # fmt: skip


def _is_row_number(texts: Sequence[str]) -> bool:
    head = texts[:50]
    return (
        len(head) > 2
        and all(text.isdigit() for text in head)
        and all(int(b) == int(a) + 1 for a, b in pairwise(head))
    )
