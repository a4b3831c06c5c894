"""Hooks of MkDocs: the navigation is the list in index.md, and what lies outside of docs/ is no link."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Take the navigation from the sections of index.md, which readers of a clone see, too."""
    index = (Path(config.docs_dir) / "index.md").read_text(encoding="utf-8")
    _, *sections = index.split("\n## ")
    config.nav = ["index.md"]
    for section in sections:
        name, _, items = section.partition("\n")
        own, *groups = items.split("\n### ")
        config.nav.append(
            {name: [*_pages(own), *({group.splitlines()[0]: _pages(group)} for group in groups)]}
        )
    return config


def _pages(items: str) -> list[str]:
    return re.findall(r"^- \[[^\]]+\]\(([^)]+\.md)\)", items, re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Name files of the project that are not on the site, where a clone links to them."""
    up = len(Path(page.file.src_uri).parts)
    return re.sub(rf"\[([^\]]+)\]\((?:\.\./){{{up}}}[^)]+\)", r"\1", markdown)
