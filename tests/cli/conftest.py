"""The project as a command finds it."""

from pathlib import Path

import pytest
from kedro.framework.startup import bootstrap_project

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(monkeypatch):
    """Stand in the folder of the project; return it."""
    bootstrap_project(PROJECT)
    monkeypatch.chdir(PROJECT)
    return PROJECT
