"""Spell written times as strptime reads them: words and marks of other languages, zones by name, ``p. m.``.

Only patterns that DuckDB and Python read alike: both apply them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from batch_scoring.ingestion.sql import literal

# Abbreviations of one offset. BST, CST and IST are left out: each has several, by country.
OFFSETS = {
    "WET": "+0000", "WEST": "+0100", "CET": "+0100", "CEST": "+0200", "MEZ": "+0100", "MESZ": "+0200",
    "EET": "+0200", "EEST": "+0300", "MSK": "+0300", "EST": "-0500", "EDT": "-0400", "CDT": "-0500",
    "MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700", "JST": "+0900", "KST": "+0900",
    "AEST": "+1000", "AEDT": "+1100", "NZST": "+1200", "NZDT": "+1300",
}  # fmt: skip
# In German, French, Spanish, Italian and Dutch, where they are not as in English.
_MONTHS = {
    "Jan": "januari|januar|jänner|janvier|janv|enero|ene|gennaio|gen",
    "Feb": "februari|februar|février|févr|fevrier|febrero|febbraio",
    "Mar": "märz|maerz|mär|mrz|mars|marzo|maart|mrt",
    "Apr": "avril|avr|abril|abr|aprile",
    "May": "mai|mayo|maggio|mag|mei",
    "Jun": "juni|juin|junio|giugno|giu",
    "Jul": "juli|juillet|juil|julio|luglio|lug",
    "Aug": "augustus|août|aout|agosto|ago",
    "Sep": "sept|septembre|septiembre|settembre|set",
    "Oct": "oktober|okt|octobre|octubre|ottobre|ott",
    "Nov": "novembre|noviembre",
    "Dec": "dezember|dez|décembre|déc|decembre|diciembre|dicembre|dic",
}
# The directives of the formats that each pattern matters to, the pattern, and what takes its place.
_SPELLINGS: tuple[tuple[str, str, str], ...] = (
    # An interval is its start.
    ("HI", r"^(\d[\d./-]{7,9}[ T]\d\d?:\d\d(?::\d\d)?) - \d[\d./-]{7,9}[ T]\d\d?:\d\d(?::\d\d)?$", r"\1"),
    ("HI", r"(?: Uhr$|\bklo |\bkl\. ?)", ""),
    ("Y", r"^(\d\d?\.\d\d?\.\d{4}|\d{4}\.\d\d?\.\d\d?)(?:\.| ?г\.)(,? |$)", r"\1\2"),
    ("Y", r"^(\d{4})[年년] ?(\d\d?)[月월] ?(\d\d?)[日일]", r"\1-\2-\3"),
    ("Y", r"^(\d\d?\.|\d{4}\.) (\d\d?\.) (\d{4}|\d\d?)\.?", r"\1\2\3"),
    ("HI", r"(\d\d?)[時时点點시] ?(\d\d?)[分분]", r"\1:\2"),
    ("HI", r"(:\d\d) ?(\d\d)[秒초]$", r"\1:\2"),
    *(
        ("p", rf"(?:{words}) ?(\d\d?:\d\d(?::\d\d)?)$", rf"\1 {half}M")
        for half, words in {"A": "오전|午前|上午", "P": "오후|午後|下午"}.items()
    ),
    ("p", r"(:\d\d ?)π\.?μ\.?$", r"\1AM"),
    ("p", r"(:\d\d ?)μ\.?μ\.?$", r"\1PM"),
    ("p", r"(?i)(:\d\d ?)([ap])(?:\.? ?m\.?)?( |$)", r"\1\2M\3"),
    *(
        ("b", rf"(?i)(\d\.?[-/ ]?)(?:{names})\.?([-/ \d])", rf"\1{month}\2")
        for month, names in _MONTHS.items()
    ),
    # +01:00[Europe/Berlin] of Java, GMT+0100 (Central European Time) of JavaScript.
    ("z", r"(Z|[+-]\d\d:?\d\d) ?[\[(][^\])]*[\])]$", r"\1"),
    ("z", r"(?:GMT|UTC) ?\+(\d)$", r"+0\1:00"),
    ("z", r"(?:GMT|UTC) ?-(\d)$", r"-0\1:00"),
    ("z", r"(?:GMT|UTC) ?([+-]\d\d)$", r"\1:00"),
    ("z", r"(?:GMT|UTC) ?([+-]\d\d:?\d\d)$", r"\1"),
    *(("z", rf"(\d ?(?:[AaPp][Mm])? ){zone}( |$)", rf"\1{offset}\2") for zone, offset in OFFSETS.items()),
)
_COMPILED = [(re.compile(pattern), usual) for _, pattern, usual in _SPELLINGS]


def spelled_usually(text: str) -> str:
    """Return a written time with months in English, zones as offsets, and of an interval its start.

    Examples
    --------
    >>> spelled_usually("12. März 2026 20:00"), spelled_usually("12/03/2026 8:00 p. m.")
    ('12. Mar 2026 20:00', '12/03/2026 8:00 pM')
    >>> spelled_usually("2026-03-12 20:00:00 EST"), spelled_usually("2026-03-12 20:00:00 GMT+1")
    ('2026-03-12 20:00:00 -0500', '2026-03-12 20:00:00 +01:00')
    >>> spelled_usually("2026年3月12日 20時00分"), spelled_usually("12. 3. 2026 klo 20.00")
    ('2026-3-12 20:00', '12.3.2026 20.00')
    """
    for pattern, usual in _COMPILED:
        text = pattern.sub(usual, text)
    return text


def spelled_in_sql(text: str, formats: Iterable[str]) -> str:
    """Return the expression of a text as :func:`spelled_usually` has it, as far as formats need it."""
    directives = set(re.findall("%-?(.)", " ".join(formats)))
    for needed, pattern, usual in _SPELLINGS:
        if directives & set(needed):
            text = f"regexp_replace({text}, {literal(pattern)}, {literal(usual)})"
    return text
