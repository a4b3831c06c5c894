"""The form of a text file: encoding, delimiter, lines above the header, header; found in its first bytes."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from batch_scoring.ingestion.delimited import are_row_names, have_an_end, no_table, stacked

# Best first: of two that give as many fields, the comma is more often a decimal mark.
DELIMITERS = (";", "\t", "|", ",")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_KANA_OR_KANJI = re.compile("[ぁ-ヿ一-鿿]{2}")
_JAPANESE = re.compile("[\u3000-\u9fff\uff00-\uffef℃°×±−]")
_LINES = 300
_MOST_HEADERS = 6
_RULE = re.compile(r":?-{3,}:?")
_DATE = re.compile(r"\d+[-/.]\d+[-/.]\d+")
_NUMBER_OR_TIME = re.compile(r"[+-]?[\d.,:/ TZ-]*\d[\d.,:/ TZ+-]*(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class TextForm:
    """The form of a table in a text file.

    Attributes
    ----------
    encoding : str
    delimiter : str
    comment : str or None
        What lines that are no rows begin with.
    skip_lines : int
        Title lines above the header, comment lines not counted.
    header : int
        Rows of the header; 0 where there is none.
    names : list of str
        Of the columns; ``column_1``, ``column_2`` … without a header.
    rows : list of list of str
        The fields of each row of the same width as the header.
    """

    encoding: str
    delimiter: str
    comment: str | None
    skip_lines: int
    header: int
    names: list[str]
    rows: list[list[str]]


def encoding_of(head: bytes) -> str:
    """Guess the encoding of a text from its first bytes.

    Examples
    --------
    >>> encoding_of("Zähler".encode("latin-1")), encoding_of("Zähler".encode())
    ('latin-1', 'utf-8')
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if len(head) > 3 and head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    try:
        # The last letter may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        western = "latin-1" if not any(0x80 <= byte < 0xA0 for byte in head) else "cp1252"
        return _of_east_asia(head[: head.rfind(b"\n") + 1]) or western
    return "utf-8"


def _of_east_asia(lines: bytes) -> str:
    """Return the Chinese or Japanese encoding in which each letter takes two bytes; empty without one.

    Examples
    --------
    >>> _of_east_asia("时间,温度".encode("gbk")), _of_east_asia("日時,温度".encode("shift_jis"))
    ('gb18030', 'cp932')
    >>> _of_east_asia("Größe;Straße;Zähler".encode("latin-1"))
    ''
    """
    # Letters of Europe stand alone among those of ASCII, or in words of any length.
    words = _HIGH.findall(lines)
    are_pairs = all(len(word) % 2 == 0 for word in words) and max(map(len, words), default=0) > 3
    if are_pairs and _decoded(lines, "gb2312"):
        return "gb18030"
    text = _decoded(lines, "cp932")
    high = {letter for letter in text if letter > "\x7f"}
    is_japanese = _KANA_OR_KANJI.search(text) and all(map(_JAPANESE.match, high))
    return "cp932" if is_japanese else ""


def _decoded(lines: bytes, encoding: str) -> str:
    """Return the text of some lines; empty where they are of another encoding."""
    try:
        return lines.decode(encoding)
    except UnicodeDecodeError:
        return ""


def text_form(head: bytes) -> TextForm | None:
    r"""Find the form of a table in a text file; None where there is no row.

    Parameters
    ----------
    head : bytes
        Its first lines, not compressed.

    Examples
    --------
    >>> form = text_form(b"Plant 7\n\ntime;temp\n2026-03-02;1,5\n")
    >>> form.delimiter, form.skip_lines, form.header, form.names
    (';', 2, 1, ['time', 'temp'])
    """
    encoding = encoding_of(head)
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    lines = text.splitlines(keepends=True)
    comment = (
        "#" if any(line.startswith("#") for line in lines[:_LINES]) and not _is_header(lines[0]) else None
    )
    kept = [line for line in lines if not (comment and line.startswith(comment))]
    if not any(line.strip() for line in kept) or no_table(lines[0]):
        return None
    delimiter = _delimiter(kept[:_LINES])
    parsed = [line.split() for line in kept] if delimiter == " " else _parsed(kept, delimiter)
    width = _width(parsed[:_LINES])
    most = _filled_of_most(parsed[:_LINES])
    skip = next((n for n, row in enumerate(parsed) if len(row) == width and not _is_title(row, most)), 0)
    rows = [row for row in parsed[skip:] if len(row) == width]
    # In Markdown, a line is below the header.
    rows = [row for row in rows if not all(_RULE.fullmatch(text.strip()) for text in row if text)] or rows
    header = _header_rows(rows)
    if not header and skip and are_row_names(parsed[skip - 1], rows):
        skip, header, rows = skip - 1, 1, [["", *parsed[skip - 1]], *rows]
    elif not header and skip and have_an_end(parsed[skip - 1], rows):
        skip, header, rows = skip - 1, 1, [[*parsed[skip - 1], ""], *rows]
    names = stacked(rows[:header]) if header else [f"column_{n + 1}" for n in range(width)]
    return TextForm(encoding, delimiter, comment, skip, header, names, rows[header:])


def _is_header(line: str) -> bool:
    """Whether a line that begins with # names columns, as some loggers write it."""
    return line.startswith("#") and bool(re.match(r"# ?(time|date|ts)", line, re.IGNORECASE))


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that gives the most lines the same, and more than one, field."""
    filled = [line for line in lines if line.strip()]
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in _parsed(filled, delimiter))
        width, n = max(widths.items(), key=lambda item: (item[0] > 1) * item[1] * item[0])
        score = (width > 1) * (n / len(filled)) ** 2 * (1 + width / 100)
        if score > best_score:
            best, best_score = delimiter, score
    if best_score < 0.5:
        widths = Counter(len(line.split()) for line in filled)
        width, n = widths.most_common(1)[0]
        if (width > 2 or _are_numbers(filled)) and n > 0.8 * len(filled):
            return " "
    return best


def _are_numbers(lines: Sequence[str]) -> bool:
    """Whether lines hold two numbers each."""
    fields = [line.split() for line in lines]
    return all(len(row) == 2 and all(map(_NUMBER_OR_TIME.fullmatch, row)) for row in fields)


def _parsed(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:  # a field of more than 128 kB, or a line end in the middle of one
        return [line.rstrip("\r\n").split(delimiter) for line in lines]


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Return the number of fields of most rows."""
    widths = Counter(len(row) for row in rows if any(field.strip() for field in row))
    return max(widths.items(), key=lambda item: (item[1], item[0]))[0] if widths else 0


def _filled_of_most(rows: Sequence[Sequence[str]]) -> int:
    """Return how many fields of most rows hold something."""
    counts = Counter(sum(bool(field.strip()) for field in row) for row in rows)
    del counts[0]
    return counts.most_common(1)[0][0] if counts else 0


def _is_title(row: Sequence[str], filled_of_most: int) -> bool:
    """Whether a row holds nothing, or at its beginning a text or two above a table with more columns."""
    filled = [bool(field.strip()) for field in row]
    n = sum(filled)
    return not n or (all(filled[:n]) and 2 * n <= filled_of_most and filled_of_most > 2)


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """Count the rows of the header: the first ones without a number where the rows below have one."""

    def numbers(row: Sequence[str]) -> set[int]:
        return {place for place, text in enumerate(row) if _NUMBER_OR_TIME.fullmatch(text.strip())}

    if not rows:
        return 0
    if len(rows) == 1:
        return 0 if numbers(rows[0]) else 1
    typical = Counter(place for row in rows[3:60] or rows[-1:] for place in numbers(row))
    usual = {place for place, n in typical.items() if 2 * n > len(rows[3:60] or rows[-1:])}
    if not usual:
        return 0 if numbers(rows[0]) else 1
    n = 0
    while n < min(_MOST_HEADERS // 2, len(rows) - 1) and not numbers(rows[n]) & usual:
        # A first row of data may lack its numbers, too; a header names its columns.
        if n and not any(text.strip() for text in rows[n]):
            break
        n += 1
    # A row of numbers without a time is of the header where another one follows, as with serial numbers.
    times = {place for place in usual if _DATE.match(rows[-1][place].strip())}
    for at in range(n, min(_MOST_HEADERS, len(rows) - 1) if n and times else n):
        if numbers(rows[at]) & times:
            break
        if not numbers(rows[at]) & usual and any(text.strip() for text in rows[at]):
            n = at + 1
    return n
