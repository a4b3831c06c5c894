"""Which files are collected: importing MLflow, pandas and Azure's clients for nothing takes seconds."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
_MARKS = re.compile(r"^pytestmark = (\[[^]]*|.*)", re.MULTILINE)
_QUICK = re.compile(r"not \w+( and not \w+)*")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip sources without an example, and test modules with a mark that the run leaves out."""
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    if ROOT / "src" in collection_path.parents:
        return True if ">>>" not in text else None
    marks, expression = _MARKS.search(text), config.option.markexpr
    if marks is None or not _QUICK.fullmatch(expression):
        return None
    left_out = {*re.findall(r"not (\w+)", expression)}
    return True if left_out.intersection(re.findall(r"pytest\.mark\.(\w+)", marks[0])) else None
