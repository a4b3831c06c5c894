"""Write the table of shapes into docs/reference/formats.md: ``python -m tests.format_reference``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.ingestion.shapes import SHAPES

PAGE = Path(__file__).parents[1] / "docs/reference/formats.md"
_BEGIN, _END = "<!-- shapes -->", "<!-- end of shapes -->"
_TRIES = {1: "1", 2: "2", 0: "not read"}


def written_from_shapes(page: str) -> str:
    """The page with the table of today's shapes."""
    before, rest = page.split(_BEGIN)
    after = rest.split(_END)[1]
    count = Counter(shape.tries for shape in SHAPES)
    said = (
        f"Of {len(SHAPES)} shapes, {count[1]} are read as they are, {count[2]} with what "
        f"`kedro readings inspect` proposes, and {count[0]} are not read, with a sentence that says why."
    )
    rows = [f"| {shape.name.replace('|', chr(92) + '|')} | {_TRIES[shape.tries]} |" for shape in SHAPES]
    table = "\n".join([said, "", "| shape | tries |", "|---|---|", *rows])
    return f"{before}{_BEGIN}\n{table}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_from_shapes(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
