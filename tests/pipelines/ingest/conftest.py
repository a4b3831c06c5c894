"""The data folder of a test's ingest runs."""

from pathlib import Path

import pytest

from tests.pipelines.ingest.ingestion import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
