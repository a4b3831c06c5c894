"""Code blocks of the documentation's pages, for tests that do what a page says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def read_page(name: str) -> str:
    """Read a page below ``docs/``."""
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def code_blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of one language, without the indentation of the list they lie in."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]
