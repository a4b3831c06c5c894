"""Format text for users: durations, counts and tables in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta


def last_lines(text: str | None, at_most: int) -> list[str]:
    """Return the last lines of a log, without empty ones."""
    lines = [line.rstrip() for line in (text or "").splitlines() if line.strip()]
    return lines[-at_most:]


def duration(seconds: float) -> str:
    """Format a duration with two units, for progress lines.

    Examples
    --------
    >>> [duration(s) for s in (0.25, 7.36, 75, 3700, 90_000)]
    ['0.25 s', '7.4 s', '1 m 15 s', '1 h 01 m', '1 d 01 h']
    """
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    for unit, smaller, length, part in (("d", "h", 86_400, 3_600), ("h", "m", 3_600, 60), ("m", "s", 60, 1)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} {int(seconds % length // part):02d} {smaller}"
    raise AssertionError


def number(n: int, what: str) -> str:
    """Format a count with its noun.

    Examples
    --------
    >>> number(1, "job"), number(1200, "job")
    ('1 job', '1,200 jobs')
    """
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Format rows in aligned columns; columns named in ``right`` are right-aligned.

    Examples
    --------
    >>> print(text_table(("job", "s"), [("a", "10"), ("bcde", "2")], ["s"]))
    job    s
    a     10
    bcde   2
    """
    return "\n".join(align([head, *rows], [place for place, name in enumerate(head) if name in right]))


def read_length(seconds: float) -> str:
    """Format a duration in its largest whole unit, such as ``5 min``.

    Examples
    --------
    >>> read_length(300), read_length(5400), read_length(86400)
    ('5 min', '90 min', '1 d')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{timedelta(seconds=seconds).total_seconds():g} s"


def printable(text: str) -> str:
    """Escape characters that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def align(rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """Format rows as lines with aligned columns; columns at positions ``right`` are right-aligned.

    Examples
    --------
    >>> align([["sensor", "version"], ["vibration", "2"]])
    ['sensor     version', 'vibration  2']
    """
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
