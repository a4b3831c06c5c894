"""Fixtures of the tests of notifying."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.receiver import Receiver


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Nobody listens yet."""
    # A proxy of this machine has no business with 127.0.0.1.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one = Receiver(tmp_path)
    yield one
    one.kill()
