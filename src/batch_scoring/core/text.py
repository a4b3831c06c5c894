"""Format text for users: durations, counts and tables in columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


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
    return f"{seconds:g} s"


def cut(text: str, length: int) -> str:
    """Shorten a text to a length; what is cut off shows as an ellipsis.

    Examples
    --------
    >>> cut("vibration", 9), cut("vibration", 5)
    ('vibration', 'vibr…')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def short_line(text: str) -> str:
    """Shorten what a service says to one line of at most 300 characters, without a final period.

    Examples
    --------
    >>> short_line("The pool is full.   Try again. ")
    'The pool is full. Try again'
    """
    return " ".join(text.split())[:300].rstrip(".")


def printable(text: str) -> str:
    """Escape characters that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def text_table(rows: Iterable[Sequence[str]], right: Collection[str] = ()) -> str:
    """Format rows in aligned columns; those with a text of ``right`` in the first row are right-aligned.

    Examples
    --------
    >>> print(text_table([("job", "s"), ("a", "10"), ("bcde", "2")], right=["s"]))
    job    s
    a     10
    bcde   2
    """
    table = list(rows)
    columns = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_right = [column[0] in right for column in columns]
    return "\n".join(
        "  ".join(
            text.rjust(width) if from_right else text.ljust(width)
            for text, width, from_right in zip(row, widths, is_right, strict=True)
        ).rstrip()
        for row in table
    )
