"""Which files are collected: importing MLflow, pandas and Azure's clients for nothing takes seconds."""

import re
from pathlib import Path

import pytest

_MARKS = re.compile(r"^pytestmark = (\[[^]]*|.*)", re.MULTILINE)
_QUICK = re.compile(r"not \w+( and not \w+)*")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip modules without a test or an example, and test modules with a mark that the run leaves out."""
    if collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    if not collection_path.name.startswith("test_"):
        return None if ">>>" in text else True
    marks, expression = _MARKS.search(text), config.option.markexpr
    if marks is None or not _QUICK.fullmatch(expression):
        return None
    left_out = {*re.findall(r"not (\w+)", expression)}
    return True if left_out.intersection(re.findall(r"pytest\.mark\.(\w+)", marks[0])) else None
